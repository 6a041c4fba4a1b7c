"""WHAM!: one speaker of WSJ0 in the noise of cafés and bars (the mix_single task; 8 or 16 kHz)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..folders import SPLITS
from ..manifest import MixtureEntry
from .layout import PrepareOptions, locate, pair_entry, pairs

LICENCE = "noise CC-BY-NC-4.0; speech LDC user agreement (WSJ0, LDC93S6A)"
SPLITTING = "those of the corpus: tr, cv, tt"
FOLDERS = dict(zip(SPLITS, ("tr", "cv", "tt"), strict=True))
PUBLISHED = {"train": 20000, "dev": 5000, "test": 3000}
VARIANTS = ("wav16k/min", "wav16k/max", "wav8k/min", "wav8k/max")
"""Where `root` is none of them, the first that is there is taken."""
SPEAKER_LETTERS = 3
"""WSJ0 names an utterance by speaker, text and take: 40na010x is by speaker 40n."""


def rows(root: Path, options: PrepareOptions) -> Iterator[MixtureEntry]:
    """Yield ``mix_single`` files, each with its speech in ``s1``."""
    root = locate(root, "tr/mix_single", *VARIANTS)
    for split, folder in FOLDERS.items():
        found = 0
        for clip, clean, name in pairs(
            root / folder / "mix_single", root / folder / "s1", options.report, lambda path: path.stem[:SPEAKER_LETTERS]
        ):
            found += 1
            yield pair_entry(split, clip, clean, f"{folder}/{name}")
        options.report.count(folder, found, PUBLISHED[split])
