"""What the training loop needs of each kind of network, and the kinds whose frames are independent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..data.features import FeatureSet, Segment
from ..model import FRAMEWISE
from ..networks.base import FramewiseNetwork, FramewiseT, Network, with_arrays
from ..nmf.dictionary import Dictionary
from .optimisers import make_optimiser
from .targets import phase_sensitive

CHUNK_FRAMES = 1000
"""Frames that are worked on at once; bounds memory whatever the batch."""


class Learner(Protocol):
    """A network in training: made of the settings, the pretrained dictionary, the number of updates and a device."""

    SEGMENT_FRAMES: ClassVar[int]
    """Frames of the pieces that utterances are cut into."""

    @staticmethod
    def batch_frames(settings: Config) -> int:
        """Return the frames of a mini-batch; 0 takes the whole epoch as one batch."""

    @staticmethod
    def trains(settings: Config) -> bool:
        """Return whether there is anything to train."""

    def __init__(self, settings: Config, source: Dictionary, updates: int, device: str) -> None: ...

    def learn(self, data: FeatureSet, batch: list[Segment], rng: np.random.Generator) -> tuple[float, int]:
        """Make one update from the segments of a batch; return the error summed over frames, and the frames."""

    def mask(self, m: Tensor) -> Tensor:
        """Return the mask ``(F, N)`` of the stacked magnitudes ``(T·F, N)`` of a recording, by the present weights."""

    def network(self) -> Network:
        """Return the present network with NumPy weights."""

    def state(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, the trained weights included."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state` returned."""


class FramewiseLearner:
    """A network whose frames are independent, by one of the two optimisers of :mod:`deepnmf.training.optimisers`."""

    SEGMENT_FRAMES: ClassVar[int] = 100  # short, so that a batch holds many speakers and noises

    def __init__(self, settings: Config, source: Dictionary, updates: int, device: str) -> None:
        config = settings.network
        start = FRAMEWISE[config.kind].start(settings, source, np.random.default_rng(settings.train.seed))
        self._optimiser = make_optimiser(on_device(start, device), config.trained_layers, settings.train, updates)
        self._target = settings.train.target
        self._device = device
        self.state, self.restore = self._optimiser.state, self._optimiser.restore

    @staticmethod
    def batch_frames(settings: Config) -> int:
        """Return the frames of a mini-batch; 0 takes the whole epoch as one batch."""
        return settings.train.batch_frames

    @staticmethod
    def trains(settings: Config) -> bool:
        """Return whether any layer is trained."""
        return settings.network.trained_layers > 0

    def learn(self, data: FeatureSet, batch: list[Segment], _: np.random.Generator) -> tuple[float, int]:
        """Make one update from the segments of a batch; return the error summed over frames, and the frames."""
        error, frames = 0.0, 0
        for chunk in _chunks(batch):
            m, target = (torch.from_numpy(x).to(self._device) for x in examples(data, chunk, self._target))
            error += self._optimiser.accumulate(m, target)
            frames += m.shape[1]
        self._optimiser.update()
        return error, frames

    def mask(self, m: Tensor) -> Tensor:
        """Return the mask ``(F, N)`` of stacked magnitudes ``(T·F, N)``."""
        return self._optimiser.network.mask(m)

    def network(self) -> FramewiseNetwork:
        """Return the present network with NumPy weights."""
        return off_device(self._optimiser.network)


def _chunks(segments: list[Segment]) -> Iterator[list[Segment]]:
    per_chunk = CHUNK_FRAMES // FramewiseLearner.SEGMENT_FRAMES
    for start in range(0, len(segments), per_chunk):
        yield segments[start : start + per_chunk]


def examples(data: FeatureSet, segments: list[Segment], target: str) -> tuple[np.ndarray, np.ndarray]:
    """Return stacked mixtures ``(T·F, N)`` and targets ``(F, N)`` of several segments side by side."""
    stacked, targets = [], []
    for segment in segments:
        m, speech, noise = data.example(segment)
        stacked.append(m)
        targets.append(speech if target == "magnitude" else phase_sensitive(m[-len(speech) :], speech, noise))
    return np.concatenate(stacked, axis=1), np.concatenate(targets, axis=1)


def on_device(network: FramewiseT, device: str) -> FramewiseT:
    """Return a NumPy network as a torch network on `device`."""
    return with_arrays(network, {name: torch.tensor(W, device=device) for name, W in network.arrays().items()})


def off_device(network: FramewiseT) -> FramewiseT:
    """Return a torch network as a NumPy network."""
    return with_arrays(network, {name: W.cpu().numpy() for name, W in network.arrays().items()})
