"""Training of recurrent deep NMF: Adam on the prior's weights and on log W of the dictionaries, jointly.

Multiplicative backpropagation needs non-negative weights; the recurrent prior has none, so all is trained additively.
Steps in log W keep the dictionaries positive with no projection.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .bands import band_pooling
from .config import Config, RecurrentConfig
from .errors import DeepnmfError
from .features import FeatureSet, Segment
from .network import Network
from .numerics import guard
from .optimisers import cosine, moments, restore_moments
from .pretraining import Dictionary
from .remixing import remixed
from .targets import compressed, phase_sensitive
from .unfolding.cells import GRU, CellT
from .unfolding.nmf import infer, wiener_mask
from .unfolding.recurrent import FEATURE_FLOOR, RecurrentDeepNMF

WARM_UP_UPDATES = 100
LARGEST_GRADIENT = 10.0
"""Norm that the gradient of the mean error of a frame is clipped to; about the usual one."""
STARTING_BIAS = -2.0
"""c at the start: activations of 0.13, at which the unit-norm atoms of the dictionaries about give unit level."""
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
    """The torch twin of :class:`deepnmf.unfolding.recurrent.RecurrentDeepNMF`."""

    def __init__(self, settings: Config, source: Dictionary) -> None:
        super().__init__(settings, source)
        config, stft = settings.recurrent, settings.features.stft
        start = torch.from_numpy(np.concatenate([source.speech, source.noise], axis=1))
        self.speech_atoms = source.speech.shape[1]
        self.sparsity, self.beta = settings.snmf.sparsity, settings.snmf.beta
        self.pooling = torch.from_numpy(band_pooling(stft.bins, config.bands, stft.rate_hz))
        self.gru = torch.nn.GRU(config.bands, config.units, config.recurrent_layers, batch_first=True)
        self.prior = torch.nn.Linear(config.units, start.shape[1])
        torch.nn.init.constant_(self.prior.bias, STARTING_BIAS)
        log = (start + guard(start)).log()
        self.logs = torch.nn.ParameterList([log.clone() for _ in range(config.layers + 1)])

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(segments, F, N)`` of magnitudes of that shape, each from silence on."""
        segments, bins, frames = m.shape
        columns = m.transpose(0, 1).reshape(bins, -1)
        z, _ = self.gru(log_bands(m, self.pooling))
        h = functional.softplus(self.prior(z.reshape(segments * frames, -1))).T
        *dictionaries, output = (log.exp() for log in self.logs)
        h = infer(columns, dictionaries, h, self.sparsity, self.beta)
        return wiener_mask(output, h, self.speech_atoms).reshape(bins, segments, frames).transpose(0, 1)

    def exported(self) -> RecurrentDeepNMF:
        """Return the network with NumPy weights."""
        *dictionaries, output = (log.detach().exp().cpu().numpy() for log in self.logs)
        return RecurrentDeepNMF(
            pooling=self.pooling.numpy(),
            cells=exported_cells(self.gru, GRU),
            prior=exported_array(self.prior.weight),
            prior_bias=exported_array(self.prior.bias),
            dictionaries=tuple(dictionaries),
            output=output,
            speech_atoms=self.speech_atoms,
            sparsity=self.sparsity,
            beta=self.beta,
        )


def log_bands(m: Tensor, pooling: Tensor) -> Tensor:
    """Return what the recurrent layers read, ``(segments, frames, bands)``, of magnitudes ``(segments, F, frames)``."""
    return (pooling.to(m.device) @ m + FEATURE_FLOOR).log().transpose(1, 2)


def exported_array(weight: Tensor) -> np.ndarray:
    """Return a copy of a weight in NumPy."""
    return weight.detach().cpu().numpy().copy()


def exported_cells(layers: torch.nn.RNNBase, kind: type[CellT]) -> tuple[CellT, ...]:
    """Return recurrent layers in NumPy."""
    names = ("weight_ih_l{}", "bias_ih_l{}", "weight_hh_l{}", "bias_hh_l{}")
    weights = {name: exported_array(value) for name, value in layers.named_parameters()}
    return tuple(kind(*(weights[name.format(i)] for name in names)) for i in range(layers.num_layers))


class RecurrentLearner:
    """Recurrent deep NMF in training; see :class:`deepnmf.learners.Learner`."""

    MODULE: ClassVar[type[SequenceModule]] = RecurrentModule
    SEGMENT_FRAMES: ClassVar[int] = 300

    def __init__(self, settings: Config, source: Dictionary, updates: int, device: str) -> None:
        if settings.snmf.context != 1:
            raise DeepnmfError("recurrent networks know the past by themselves, so snmf.context must be 1")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.train.seed)
            self._module = self.MODULE(settings, source).to(device)
        self._config = settings.recurrent
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
        """Make one update from the segments of a batch; return the error summed over frames, and the frames."""
        m, goal, plain = (torch.from_numpy(x).to(self._device) for x in sequences(data, batch, self._config, rng))
        frames = sum(segment.stop - segment.start for segment in batch)
        estimate = self._module(m) * m
        error = ((estimate + LOSS_FLOOR) ** self._config.loss_power - goal).square().sum()
        error = (error + self._config.loss_plain * (estimate - plain).square().sum()) / frames
        torch.autograd.backward(error)
        torch.nn.utils.clip_grad_norm_(self._module.parameters(), LARGEST_GRADIENT)
        warm = min(1.0, (self._done + 1) / WARM_UP_UPDATES)
        rates = self._config.learning_rate, self._config.dictionary_rate
        for group, rate in zip(self._adam.param_groups, rates, strict=True):
            group["lr"] = warm * cosine(rate, self._done, self._updates)
        self._adam.step()
        self._adam.zero_grad()
        self._done += 1
        return float(error.detach()) * frames, frames

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


def sequences(
    data: FeatureSet, batch: list[Segment], config: RecurrentConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mixtures, compressed targets and plain targets, each ``(segments, F, N)``.

    Shorter segments end in silence, of which every estimate is silence, so that no error comes from there.
    """
    longest = max(segment.stop - segment.start for segment in batch)
    padded = np.zeros((len(batch), 3, data.config.stft.bins, longest), np.float32)
    for index, segment in enumerate(batch):
        magnitudes, _ = data.load(segment)
        padded[index, :, :, : magnitudes.shape[2]] = remixed(magnitudes, rng) if config.remix else magnitudes
    m, speech, noise = (np.ascontiguousarray(padded[:, signal]) for signal in range(3))
    floor = np.float32(LOSS_FLOOR)
    goal = compressed(m, speech + floor, noise, config.loss_power, config.loss_phase)
    return m, np.asarray(goal, np.float32), phase_sensitive(m, speech, noise)
