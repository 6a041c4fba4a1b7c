"""Blocks of mixtures whose features are written independently, so that several processes can share the work."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import FeatureConfig
from . import shards
from .manifest import MixtureEntry

UNKNOWN_SECONDS = 10.0
"""Assumed length of a mixture whose manifest has none."""


@dataclass(frozen=True)
class Block:
    """Consecutive mixtures of a split, from entry `start` to `stop`; their features are one file, or a few."""

    split: str
    number: int
    start: int
    stop: int

    def path(self, folder: Path, part: int) -> Path:
        """Return the file of a part; sorted by name, files are in the order of the manifest."""
        return folder / f"{self.split}-{self.number:06d}-{part:04d}.safetensors"


def blocks_of(split: str, entries: Sequence[MixtureEntry], config: FeatureConfig) -> list[Block]:
    """Divide the mixtures of a split into blocks of about one file, by the lengths in the manifest.

    A block does not depend on how many processes there are, nor on which recordings are readable.
    """
    bounds = [0, *_bounds(entries, config), len(entries)]
    pairs = [pair for pair in itertools.pairwise(bounds) if pair[0] < pair[1]]
    return [Block(split, number, *pair) for number, pair in enumerate(pairs)]


def _bounds(entries: Sequence[MixtureEntry], config: FeatureConfig) -> Iterator[int]:
    held = 0.0
    for index, entry in enumerate(entries):
        frames = (entry.seconds or UNKNOWN_SECONDS) * 1000 / config.stft.hop_ms + 2  # those at its ends
        if held and held + frames > shards.SHARD_FRAMES:
            yield index
            held = 0.0
        held += frames
