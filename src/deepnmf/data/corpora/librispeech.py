"""LibriSpeech (Panayotov et al. 2015): read speech of 16 kHz, to be mixed with a corpus of noise."""

from __future__ import annotations

from pathlib import Path

from ..folders import SPLITS
from ..manifest import Split
from ..scan import Clip, read_clips
from .download import Archive
from .layout import PrepareOptions, locate, recordings_of

LICENCE = "CC-BY-4.0"
SPLITTING = "speech as published: train-clean-100, dev-clean, test-clean"
FOLDERS = dict(zip(SPLITS, ("train-clean-100", "dev-clean", "test-clean"), strict=True))
PUBLISHED = {"train": 28539, "dev": 2703, "test": 2620}

_OPENSLR = "https://www.openslr.org/resources/12"
ARCHIVES = (
    Archive(
        f"{_OPENSLR}/dev-clean.tar.gz",
        "sha256:76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
        337_926_286,
    ),
    Archive(
        f"{_OPENSLR}/test-clean.tar.gz",
        "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
        346_663_984,
    ),
    Archive(
        f"{_OPENSLR}/train-clean-100.tar.gz",
        "sha256:d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
        6_387_309_499,
    ),
)


def speech(root: Path, options: PrepareOptions) -> dict[Split, list[Clip]]:
    """Return the utterances of the three parts, ``<part>/<speaker>/<chapter>/*.flac``."""
    root = locate(root, FOLDERS["train"], "LibriSpeech")
    parts = {}
    for split, folder in FOLDERS.items():
        files = recordings_of(root / folder, options.report)
        parts[split] = read_clips(files, root, options.report, lambda path: path.parents[1].name)
        options.report.count(folder, len(parts[split]), PUBLISHED[split])
    return parts
