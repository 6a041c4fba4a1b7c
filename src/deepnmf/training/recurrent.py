"""Training of recurrent networks, on mixtures made anew for every batch.

All is trained by Adam: the recurrent prior has weights of either sign, which rules out multiplicative backpropagation.
Dictionaries are trained as their logarithm, which keeps them positive with no projection.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..data.dynamic_mixing import FreshMixtures
from ..data.features import FeatureSet, Segment
from ..dsp.arrays import epsilon
from ..errors import DeepnmfError
from ..networks.base import Network
from ..networks.unfolded.deep_nmf import infer
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.dictionary import Dictionary
from ..nmf.updates import wiener_mask
from .losses import unintelligibility
from .optimisers import cosine, moments, restore_moments
from .prior import PriorModule
from .targets import compressed, phase_sensitive

WARM_UP_UPDATES = 100
LARGEST_GRADIENT = 10.0
"""Norm that the gradient of the mean error of a frame is clipped to; about the usual one."""
LOSS_FLOOR = 1e-2
"""Added to unit-level magnitudes before they are compressed, for the slope at zero is infinite: 40 dB down."""


class SequenceModule(torch.nn.Module):
    """A network for whole segments in batches: ``forward`` gives masks ``(segments, F, N)`` of such magnitudes."""

    logs: torch.nn.ParameterList
    """The weights that are trained as their logarithm."""

    def __init__(self, settings: Config, source: Dictionary) -> None:  # noqa: ARG002
        super().__init__()

    def exported(self) -> Network:
        """Return the network with NumPy weights."""
        raise NotImplementedError


class RecurrentModule(SequenceModule):
    """The torch twin of :class:`deepnmf.networks.unfolded.recurrent_nmf.RecurrentDeepNMF`."""

    def __init__(self, settings: Config, source: Dictionary) -> None:
        super().__init__(settings, source)
        start = torch.from_numpy(np.concatenate([source.speech, source.noise], axis=1))
        self.speech_atoms = source.speech.shape[1]
        self.sparsity, self.beta = settings.snmf.sparsity, settings.snmf.beta
        self.prior = PriorModule(settings.recurrent, settings.features.stft, start.shape[1])
        log = (start + epsilon(start)).log()
        self.logs = torch.nn.ParameterList([log.clone() for _ in range(settings.recurrent.layers + 1)])

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(segments, F, N)`` of magnitudes of that shape, each from silence on."""
        segments, bins, frames = m.shape
        columns = m.permute(1, 2, 0).reshape(bins, -1)
        h = self.prior(m).reshape(frames * segments, -1).T
        *dictionaries, output = (log.exp() for log in self.logs)
        h = infer(columns, dictionaries, h, self.sparsity, self.beta)
        return wiener_mask(output, h, self.speech_atoms).reshape(bins, frames, segments).permute(2, 0, 1)

    def exported(self) -> RecurrentDeepNMF:
        """Return the network with NumPy weights."""
        *dictionaries, output = (log.detach().exp().cpu().numpy() for log in self.logs)
        return RecurrentDeepNMF(
            prior=self.prior.exported(),
            dictionaries=tuple(dictionaries),
            output=output,
            speech_atoms=self.speech_atoms,
            sparsity=self.sparsity,
            beta=self.beta,
        )


class RecurrentLearner:
    """A recurrent network in training; see :class:`deepnmf.training.step.Learner`."""

    MODULE: ClassVar[type[SequenceModule]] = RecurrentModule
    SEGMENT_FRAMES: ClassVar[int] = 300

    def __init__(self, settings: Config, source: Dictionary, updates: int, device: str) -> None:
        if settings.snmf.context != 1:
            raise DeepnmfError("recurrent networks know the past by themselves, so snmf.context must be 1")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.train.seed)
            self._module = self.MODULE(settings, source).to(device)
        self._config, self._stft, self._prepare = settings.recurrent, settings.features.stft, settings.prepare
        self._mixtures: FreshMixtures | None = None
        self._updates = updates
        self._device = device
        self._done = 0
        logs = list(self._module.logs)
        others = [value for name, value in self._module.named_parameters() if not name.startswith("logs.")]
        self._adam = torch.optim.Adam([{"params": others}, {"params": logs}])

    @staticmethod
    def batch_frames(settings: Config) -> int:
        """Return the frames of a mini-batch."""
        return settings.recurrent.batch_segments * RecurrentLearner.SEGMENT_FRAMES

    @staticmethod
    def trains(_: Config) -> bool:
        """Return that there is something to train."""
        return True

    def learn(self, data: FeatureSet, batch: list[Segment], rng: np.random.Generator) -> tuple[float, int]:
        """Make one update from as many fresh segments as there are in the batch; return their error and frames."""
        if self._mixtures is None:
            self._mixtures = FreshMixtures(data.recordings, data.config, self._prepare, self.SEGMENT_FRAMES)
        m, speech, noise = np.stack([self._mixtures.draw(rng) for _ in batch], axis=1)
        error = self._error(m, speech, noise)
        torch.autograd.backward(error)
        torch.nn.utils.clip_grad_norm_(self._module.parameters(), LARGEST_GRADIENT)
        warm = min(1.0, (self._done + 1) / WARM_UP_UPDATES)
        rates = self._config.learning_rate, self._config.dictionary_rate
        for group, rate in zip(self._adam.param_groups, rates, strict=True):
            group["lr"] = warm * cosine(rate, self._done, self._updates)
        self._adam.step()
        self._adam.zero_grad()
        self._done += 1
        frames = len(batch) * self.SEGMENT_FRAMES
        return float(error.detach()) * frames, frames

    def _error(self, m: np.ndarray, speech: np.ndarray, noise: np.ndarray) -> Tensor:
        """Return the error of the estimate from magnitudes ``(segments, F, N)``, about that of a mean frame."""
        config, frames = self._config, m.shape[0] * m.shape[2]
        goal = compressed(m, speech + np.float32(LOSS_FLOOR), noise, config.loss_power, config.loss_phase)
        mixture, target, plain, clean = map(self._tensor, (m, goal, phase_sensitive(m, speech, noise), speech))
        estimate = self._module(mixture) * mixture
        error = ((estimate + LOSS_FLOOR) ** config.loss_power - target).square().sum()
        error = error + config.loss_plain * (estimate - plain).square().sum()
        return error / frames + config.loss_intelligibility * unintelligibility(estimate, clean, self._stft)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self._device)

    def mask(self, m: Tensor) -> Tensor:
        """Return the mask ``(F, N)`` of the magnitudes ``(F, N)`` of a recording."""
        return self._module(m[None])[0]

    def network(self) -> Network:
        """Return the present network with NumPy weights."""
        return self._module.exported()

    def state(self) -> dict[str, Tensor]:
        """Return the weights, Adam's moments and the number of updates."""
        tensors = {f"weight.{name}": value.detach() for name, value in self._module.named_parameters()}
        return tensors | moments(self._adam) | {"done": torch.tensor(self._done)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state` returned."""
        self._done = int(state["done"])
        for name, value in self._module.named_parameters():
            value.data.copy_(state[f"weight.{name}"])
        if self._done:
            restore_moments(self._adam, state)
