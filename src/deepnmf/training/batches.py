"""Training batches: magnitudes from stored features, or spectra mixed on the fly."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from ..data.dynamic_mixing import DynamicMixtures
from ..data.features import FeatureSet, Segment
from ..data.manifest import read_manifest
from ..networks.kinds import Config
from ..networks.settings import SEGMENT_FRAMES
from ..nmf.partition import Partition
from .processes import ALONE, Processes

CHUNK_FRAMES = 1000
"""Frames processed at once; bounds memory for any batch size."""


class Example(NamedTuple):
    """Magnitudes at unit level of S segments of N frames, of stored features."""

    mixture: np.ndarray
    """``(S, T·F, N)``, T frames stacked, the current one last."""
    speech: np.ndarray
    """``(S, F, N)``."""
    noise: np.ndarray
    """``(S, F, N)``."""


class MixedExample(NamedTuple):
    """Complex spectra at unit level of S segments of N frames, mixed on the fly; the noise is their difference."""

    mixture: np.ndarray
    """``(S, F, N)``."""
    speech: np.ndarray
    """``(S, F, N)``."""


Batch: TypeAlias = Iterable[Example] | Iterable[MixedExample]
"""The batch of one update, in pieces that fit into memory."""


class Batches(Protocol):
    """A source of batches."""

    epoch_frames: int
    """Approximate number of frames of an epoch."""
    batch_frames: int
    """Frames of a batch; 0 is full-batch training."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield this process's share of the batches of an epoch, which its number and the seed determine."""


class StoredBatches:
    """Batches of the segments of stored features, in random order."""

    SEGMENT_FRAMES = 100
    """Short, so that a batch holds many speakers and noises."""

    def __init__(
        self,
        features: Path,
        context: int,
        batch_frames: int,
        epoch_frames: int,
        seed: int,
        processes: Processes = ALONE,
        accumulate: int = 1,
    ) -> None:
        self._data = FeatureSet(features, "train", context, self.SEGMENT_FRAMES)
        self.epoch_frames = min(epoch_frames or self._data.frames, self._data.frames)
        self.batch_frames = batch_frames
        self._seed, self._processes, self._accumulate = seed, processes, accumulate

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield this process's share of the batches of an epoch."""
        rng = np.random.default_rng([self._seed, number])
        for segments in self._data.batches(self.batch_frames, self.epoch_frames, rng):
            yield self._pieces(self._processes.share(segments))

    def _pieces(self, segments: Sequence[Segment]) -> Iterator[Example]:
        count = max(1, min(CHUNK_FRAMES // self.SEGMENT_FRAMES, -(-len(segments) // self._accumulate)))
        for start in range(0, len(segments), count):
            parts = zip(*(self._data.example(segment) for segment in segments[start : start + count]), strict=True)
            yield Example(*(np.concatenate(part, axis=1)[None] for part in parts))  # frames side by side


class DynamicBatches:
    """Batches of segments mixed on the fly from the recordings of a manifest.

    Seed, epoch, batch and place in the batch determine a segment, whichever process mixes it: of those of torchrun, and
    of `workers` that mix ahead of the updates.
    """

    def __init__(
        self,
        manifest: Path,
        config: Config,
        segments: int,
        processes: Processes = ALONE,
        accumulate: int = 1,
        workers: int = 0,
    ) -> None:
        train: Any = config.train  # of a kind with dynamic mixing
        how = config.features, config.prepare, SEGMENT_FRAMES, int(train.cache_gb * 1e9)
        self._mixtures = DynamicMixtures(manifest, *how)
        stft, wanted = config.features.stft, config.train.epoch_frames
        seconds = sum(entry.seconds for entry in read_manifest(manifest, "train"))
        corpus = round(seconds * stft.rate_hz / stft.hop)
        self.epoch_frames = min(wanted or corpus, corpus) or wanted
        self.batch_frames = segments * SEGMENT_FRAMES
        own = processes.share(range(segments))
        self._parts = [part for i in range(accumulate) if (part := Partition(i, accumulate).share(own))]
        self._seed, self._workers = config.train.seed, workers
        self._pinned = processes.device.startswith("cuda")

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield this process's share of the batches of an epoch."""
        from .ahead import ahead  # needs torch; `pretrain` draws examples without it

        share = functools.partial(self._share, number)
        for batch in ahead(share, self.epoch_batches, self._workers, self._pinned):
            yield [MixedExample(*map(np.asarray, example)) for example in batch]

    def _share(self, epoch: int, batch: int) -> list[MixedExample]:
        return [self.example(epoch, batch, part) for part in self._parts]

    @property
    def epoch_batches(self) -> int:
        """Number of batches of an epoch."""
        return max(1, -(-self.epoch_frames // self.batch_frames))

    def example(self, epoch: int, batch: int, segments: Iterable[int]) -> MixedExample:
        """Return some segments of a batch, by their places in it."""
        first = (max(0, epoch - 1) * self.epoch_batches + batch) * self.batch_frames // SEGMENT_FRAMES
        drawn = [
            self._mixtures.draw(np.random.default_rng([self._seed, epoch, batch, segment]), first + segment)
            for segment in segments
        ]
        return MixedExample(*np.stack(drawn, axis=1))
