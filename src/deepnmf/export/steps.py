"""The mask of one frame in torch, every state an argument: the part of an exported graph between its transforms."""

from __future__ import annotations

import functools
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..dsp.arrays import softplus
from ..errors import DeepnmfError
from ..networks.base import FramewiseNetwork, Network
from ..networks.kinds import kind_of
from ..networks.layers import FEATURE_FLOOR
from ..networks.unfolded.deep_nmf import infer
from ..networks.unfolded.dr_nmf import DRNMF
from ..networks.unfolded.ista import update
from ..networks.unfolded.prior import bands_read
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.updates import wiener_mask
from .layers import constant, lstm_step
from .multi_frame import FilterWeights

Shapes = dict[str, tuple[int, ...]]


class MaskStep(Protocol):
    """A stateless mask estimator: states are arguments."""

    states: Shapes
    """Name and shape of the states passed on to the next frame; initially zero."""

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the mask ``(F, 1)`` of magnitudes ``(F, 1)`` at unit level, and the states after it."""


class FilterStep(MaskStep, Protocol):
    """The step of a network with a filter behind the mask."""

    def with_filter(self, m: Tensor, advances: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the mask, the weights of the filter ``(2, 1 + K, L)`` for advances ``(2, K, L)``, and the states."""


def mask_step(network: Network) -> MaskStep:
    """Return a network's step.

    Raises
    ------
    DeepnmfError
        If there is none for networks of this kind.
    """
    if (framewise := network.framewise()) is not None:
        return FramewiseStep(framewise)
    return _recurrent_step(network)


@functools.singledispatch
def _recurrent_step(network: Network) -> MaskStep:
    raise DeepnmfError(f"models of the kind {kind_of(network)} cannot be exported")


@_recurrent_step.register
def _(network: RecurrentDeepNMF) -> MaskStep:
    return RecurrentStep(network)


@_recurrent_step.register
def _(network: DRNMF) -> MaskStep:
    return DRNMFStep(network)


class FramewiseStep:
    """A network of independent frames; ``context`` holds the earlier frames, if any."""

    def __init__(self, network: FramewiseNetwork) -> None:
        self._network = network.with_arrays({name: constant(W) for name, W in network.arrays().items()})
        self._bins, stacked = network.shape
        earlier = stacked - self._bins
        self.states: Shapes = {"context": (earlier, 1)} if earlier else {}

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask and states (:class:`MaskStep`)."""
        stacked = torch.cat([*states, m])
        mask = cast("Tensor", self._network.mask(stacked))
        return (mask, stacked[self._bins :]) if states else (mask,)


class DRNMFStep:
    """DR-NMF; the state is the last frame's activations."""

    def __init__(self, network: DRNMF) -> None:
        self._weights = {name: constant(W) for name, W in network.arrays().items()}
        self._speech_atoms = network.speech_atoms
        self.states: Shapes = {"activations": (network.output.shape[1], 1)}

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask and states (:class:`MaskStep`)."""
        weights = self._weights
        h = weights["transition"] @ states[0]
        for W, step, threshold in zip(weights["atoms"], weights["steps"], weights["thresholds"], strict=True):
            h = cast("Tensor", update(h, m, W, step, threshold[:, None]))
        return wiener_mask(weights["output"], h, self._speech_atoms), h


class RecurrentStep:
    """Recurrent deep NMF; the states are outputs and cell states of full band, sub-bands, fusion and filter, if any."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        self._network, prior = network, network.prior
        self._weights = {name: constant(W) for name, W in network.arrays().items()}
        self._dictionaries = [constant(W) for W in network.dictionaries]
        self._read = torch.from_numpy(bands_read(len(prior.pooling)).T)
        full_band = {f"cell.{index}": (2, 1, cell.units) for index, cell in enumerate(prior.cells)}
        fusion = {f"fusion.{index}": (2, 1, cell.units) for index, cell in enumerate(prior.fusion)}
        self.states: Shapes = {**full_band, "subband": (2, prior.subbands, prior.subband[0].units), **fusion}
        self._filter: FilterWeights | None = None
        if (multi_frame := network.multi_frame) is not None:
            self._filter = FilterWeights(multi_frame, prior.subband_of_bins(multi_frame.bins))
            self.states["filter"] = self._filter.state_shape

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask and states (:class:`MaskStep`)."""
        network = self._network
        h, following = self._prior(m, states)
        h = infer(m, self._dictionaries, h, network.sparsity, network.beta)
        return (wiener_mask(self._weights["output"], h, network.speech_atoms), *following)

    def with_filter(self, m: Tensor, advances: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask, weights and states (:class:`FilterStep`)."""
        assert self._filter is not None
        *of_prior, state = states
        mask, *following = self(m, *of_prior)
        units = following[len(self._network.prior.cells)][0]  # outputs of the sub-bands
        weights, state = self._filter(m, mask, units, advances, state)
        return (mask, weights, *following, state)

    def _prior(self, m: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """Return h⁰ ``(R, 1)`` and the next states, as :mod:`deepnmf.networks.unfolded.prior_stream` does in NumPy."""
        prior, subbands = self._network.prior, self._network.prior.subbands
        bands = (self._weights["pooling"] @ m + FEATURE_FLOOR).log()
        z, following = bands.T, []
        layers = len(prior.cells)
        for cell, state in zip(prior.cells, states[:layers], strict=True):
            following.append(lstm_step(cell, z, state))
            z = following[-1][0]
        from_full_band = self._linear("message", z).tanh().reshape(subbands, -1)
        local = torch.cat([bands[:, 0], torch.zeros(1)])[self._read]
        following.append(lstm_step(prior.subband[0], torch.cat([local, from_full_band], 1), states[layers]))
        embedding = self._linear("summary", following[-1][0]).reshape(1, -1)
        known = torch.cat([z, embedding], 1)
        for cell, state in zip(prior.fusion, states[layers + 1 :], strict=True):
            following.append(lstm_step(cell, known, state))
            known = torch.cat([known, following[-1][0]], 1)
        return softplus(self._linear("prior", known)).T, following

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, self._weights[name], self._weights[f"{name}_bias"])
