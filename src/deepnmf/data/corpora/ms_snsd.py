"""MS-SNSD (Reddy et al. 2019): clean speech and noise of 16 kHz, to be mixed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ..folders import split_by_group
from ..manifest import Split
from ..scan import Clip, find_recordings, read_clips
from .download import Archive
from .layout import PrepareOptions, locate

LICENCE = "speech ODbL-1.0 (PTDB-TUG) and CC-BY-4.0 (VoiceBank); noise CC0 (Freesound) and CC-BY-SA-3.0 (DEMAND)"
SPLITTING = "test as published; dev is a tenth of the training speakers and noise types, by seed"
ARCHIVES = (Archive("https://github.com/microsoft/MS-SNSD/archive/refs/heads/master.zip", name="MS-SNSD-master.zip"),)
"""GitHub packs it at each request, so neither size nor hash is published; the first copy's is kept."""

UNKNOWN_SPEAKER = "unknown"


def speech(root: Path, options: PrepareOptions) -> dict[Split, list[Clip]]:
    """Return the clean speech; speakers are given where the files have VoiceBank's names."""
    return _split(root, "clean", options, _speaker)


def noise(root: Path, options: PrepareOptions) -> dict[Split, list[Clip]]:
    """Return the noise; its type is the file's name up to the number."""
    return _split(root, "noise", options, lambda path: path.stem.rpartition("_")[0] or path.stem)


def _speaker(path: Path) -> str:
    found = re.match(r"p\d+(?=_)", path.stem)
    return found[0] if found else UNKNOWN_SPEAKER


def _split(root: Path, kind: str, options: PrepareOptions, group: Callable[[Path], str]) -> dict[Split, list[Clip]]:
    root = locate(root, "clean_train", "MS-SNSD", "MS-SNSD-master")
    parts = {
        part: read_clips(find_recordings(root / f"{kind}_{part}", options.report), root, options.report, group)
        for part in ("train", "test")
    }
    return {**split_by_group(parts["train"], options.seed, ("train", "dev")), "test": parts["test"]}
