"""Training batches of mixture, speech and noise, from stored features or mixed on the fly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from ..data.dynamic_mixing import DynamicMixtures
from ..data.features import FeatureSet, Segment
from ..data.manifest import read_manifest
from ..networks.kinds import Config

CHUNK_FRAMES = 1000
"""Frames processed at once; bounds memory for any batch size."""


class Example(NamedTuple):
    """Magnitudes at unit level of S segments of N frames."""

    mixture: np.ndarray
    """``(S, T·F, N)``, T frames stacked, the current one last."""
    speech: np.ndarray
    """``(S, F, N)``."""
    noise: np.ndarray
    """``(S, F, N)``."""

    @property
    def frames(self) -> int:
        """S·N."""
        return self.speech.shape[0] * self.speech.shape[2]


Batch: TypeAlias = Iterable[Example]
"""The batch of one update, in pieces that fit into memory."""


class Batches(Protocol):
    """A source of batches."""

    epoch_frames: int
    """Approximate number of frames of an epoch."""
    batch_frames: int
    """Frames of a batch; 0 is full-batch training."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, determined by its number and the seed."""


class StoredBatches:
    """Batches of the segments of stored features, in random order."""

    SEGMENT_FRAMES = 100
    """Short, so that a batch holds many speakers and noises."""

    def __init__(self, features: Path, context: int, batch_frames: int, epoch_frames: int, seed: int) -> None:
        self._data = FeatureSet(features, "train", context, self.SEGMENT_FRAMES)
        self.epoch_frames = min(epoch_frames or self._data.frames, self._data.frames)
        self.batch_frames = batch_frames
        self._seed = seed

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        rng = np.random.default_rng([self._seed, number])
        for segments in self._data.batches(self.batch_frames, self.epoch_frames, rng):
            yield self._pieces(segments)

    def _pieces(self, segments: list[Segment]) -> Iterator[Example]:
        count = max(1, CHUNK_FRAMES // self.SEGMENT_FRAMES)
        for start in range(0, len(segments), count):
            parts = zip(*(self._data.example(segment) for segment in segments[start : start + count]), strict=True)
            yield Example(*(np.concatenate(part, axis=1)[None] for part in parts))  # frames side by side


class DynamicBatches:
    """Batches of segments mixed on the fly from the recordings of a manifest."""

    SEGMENT_FRAMES = 300

    def __init__(self, manifest: Path, config: Config, segments: int) -> None:
        self._mixtures = DynamicMixtures(manifest, config.features, config.prepare, self.SEGMENT_FRAMES)
        stft, wanted = config.features.stft, config.train.epoch_frames
        seconds = sum(entry.seconds for entry in read_manifest(manifest, "train"))
        corpus = round(seconds * stft.rate_hz / stft.hop)
        self.epoch_frames = min(wanted or corpus, corpus) or wanted
        self.batch_frames = segments * self.SEGMENT_FRAMES
        self._segments, self._seed = segments, config.train.seed

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        for index in range(max(1, -(-self.epoch_frames // self.batch_frames))):
            yield [self._example(np.random.default_rng([self._seed, number, index]))]

    def _example(self, rng: np.random.Generator) -> Example:
        return Example(*np.stack([self._mixtures.draw(rng) for _ in range(self._segments)], axis=1))
