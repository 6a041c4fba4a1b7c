"""MUSAN (Snyder et al. 2015): its noise part, 16 kHz; music and speech are left alone."""

from __future__ import annotations

from pathlib import Path

from ..folders import split_by_group
from ..manifest import Split
from ..scan import Clip, find_recordings, read_clips
from .download import Archive
from .layout import PrepareOptions, locate

LICENCE = "noise: CC-BY and public domain, per file"
SPLITTING = "noise: a tenth of the files to dev and to test, by seed"
PUBLISHED = 930
ARCHIVES = (
    Archive(
        "https://www.openslr.org/resources/17/musan.tar.gz",
        "md5:0c472d4fc0c5141eca47ad1ffeb2a7df",
        11_086_114_085,
        only="musan/noise/",
    ),
)


def noise(root: Path, options: PrepareOptions) -> dict[Split, list[Clip]]:
    """Return the noises of ``noise/{free-sound,sound-bible}``; the corpus has no other labels of their type."""
    root = locate(root, "noise", "musan")
    clips = read_clips(
        find_recordings(root / "noise", options.report), root, options.report, lambda path: path.parent.name
    )
    options.report.count("musan/noise", len(clips), PUBLISHED)
    return split_by_group(clips, options.seed)
