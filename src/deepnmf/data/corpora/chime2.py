"""CHiME-2, track 2: WSJ0 utterances in a living room with real noise at six SNRs (LDC2017S10; 16 kHz, binaural)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..folders import SPLITS
from ..manifest import MixtureEntry
from .layout import PrepareOptions, locate, pair_entry, pairs

LICENCE = "LDC user agreement (LDC2017S10)"
SPLITTING = "those of the corpus: si_tr_s, si_dt_05, si_et_05"
FOLDERS = dict(zip(SPLITS, ("si_tr_s", "si_dt_05", "si_et_05"), strict=True))
PUBLISHED = {"train": (7138,), "dev": (2460, 2454), "test": (1980,)}
"""Noisy utterances; for dev the literature has 410 and the challenge's own page 409, times six SNRs."""


def rows(root: Path, options: PrepareOptions) -> Iterator[MixtureEntry]:
    """Yield ``isolated`` files, each with the reverberant speech of the same level in ``scaled``.

    The noise is the difference of the two. Both channels are used: their mean is, where a file is read.
    """
    root = locate(root, "isolated", "data/chime2-wsj0")
    for split, folder in FOLDERS.items():
        found = 0
        for clip, clean, name in pairs(
            root / "isolated" / folder, root / "scaled" / folder, options.report, lambda path: path.parent.name
        ):
            level, speaker, utterance = name.split("/")[0], clip.group, clip.path.stem
            found += 1
            yield pair_entry(split, clip, clean, f"{level}/{speaker}/{utterance}", snr_db=snr_db(level))
        options.report.count(folder, found, *PUBLISHED[split])


def snr_db(folder: str) -> float:
    """Return the SNR that a folder is named after.

    Examples
    --------
    >>> snr_db("m6dB"), snr_db("9dB")
    (-6.0, 9.0)
    """
    return float(folder.removesuffix("dB").replace("m", "-"))
