"""The mask of one frame in torch, every state an argument: the part of an exported graph between its transforms."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..dsp.arrays import epsilon, softplus
from ..errors import DeepnmfError
from ..networks.base import FramewiseNetwork, Network
from ..networks.kinds import kind_of
from ..networks.layers import FEATURE_FLOOR
from ..networks.unfolded.dr_nmf import DRNMF
from ..networks.unfolded.ista import update
from ..networks.unfolded.prior import bands_read
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.updates import update_activations, wiener_mask
from .layers import constant, lstm_step
from .multi_frame import FilterWeights

Shapes = dict[str, tuple[int, ...]]


class MaskStep(Protocol):
    """A stateless mask estimator: states are arguments."""

    states: Shapes
    """Name and shape of the states passed on to the next frame; initially zero."""

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the mask ``(F,)`` of magnitudes ``(F,)`` at unit level, and the states after it."""


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
        stacked = torch.cat([*states, m[:, None]])
        mask = cast("Tensor", self._network.mask(stacked))[:, 0]
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
            h = cast("Tensor", update(h, m[:, None], W, step, threshold[:, None]))
        return wiener_mask(weights["output"], h, self._speech_atoms)[:, 0], h


class RecurrentStep:
    """Recurrent deep NMF; the states are outputs and cell states of full band, sub-bands, fusion and filter, if any.

    Frames are rows, so that products read constant matrices from the right: the runtime arranges those once.
    """

    def __init__(self, network: RecurrentDeepNMF) -> None:
        self._network, prior = network, network.prior
        self._weights = {name: constant(W) for name, W in network.arrays().items()}
        self._updates = [(constant(W), constant(W.T), constant(rates)) for W, rates in network.updates]
        self._output = [constant(W) for W in network.output_by_source]
        self._read = torch.from_numpy(bands_read(len(prior.pooling)).T)
        full_band = {f"cell.{index}": (2, 1, cell.units) for index, cell in enumerate(prior.cells)}
        fusion = {f"fusion.{index}": (2, 1, cell.units) for index, cell in enumerate(prior.fusion)}
        self.states: Shapes = {**full_band, "subband": (2, prior.subbands, prior.subband[0].units), **fusion}
        self._filter: FilterWeights | None = None
        if (multi_frame := network.multi_frame) is not None:
            bins = prior.pooling.shape[1]
            self._filter = FilterWeights(multi_frame, bins, prior.subband_of_bins(multi_frame.bins))
            self.states["filter"] = self._filter.state_shape

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask and states (:class:`MaskStep`)."""
        mask, _, *following = self._masked(m, states)
        return (mask, *following)

    def with_filter(self, m: Tensor, advances: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask, weights and states (:class:`FilterStep`)."""
        assert self._filter is not None
        *of_prior, state = states
        mask, units, *following = self._masked(m, of_prior)
        weights, state = self._filter(m, mask, units, advances, state)
        return (mask, weights, *following, state)

    def _masked(self, m: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the mask ``(F,)``, the outputs of the sub-bands ``(B, V)``, and the states after it."""
        row = m[None]
        h, units, following = self._prior(row, states)
        for matrices in self._updates:
            h = self._updated(row, h, *matrices)
        by_source = h.split([len(W) for W in self._output], 1)
        speech, noise = (part @ W for part, W in zip(by_source, self._output, strict=True))
        return (speech / (speech + noise + epsilon(speech)))[0], units, *following

    def _updated(self, m: Tensor, h: Tensor, W: Tensor, transposed: Tensor, rates: Tensor) -> Tensor:
        """Return the activations ``(1, R)`` after one layer, :func:`update_activations`."""
        network = self._network
        if network.beta != 1:
            return update_activations(m.T, W, h.T, network.sparsity, network.beta).T
        return h * rates * ((m / (h @ transposed + epsilon(W))) @ W)

    def _prior(self, m: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return h⁰ ``(1, R)``, the outputs of the sub-bands and the next states, as ``PriorStream`` in NumPy."""
        prior, subbands = self._network.prior, self._network.prior.subbands
        bands = (linear(m, self._weights["pooling"]) + FEATURE_FLOOR).log()
        z, following = bands, []
        layers = len(prior.cells)
        for cell, state in zip(prior.cells, states[:layers], strict=True):
            z, state = lstm_step(cell, z, state)
            following.append(state)
        from_full_band = self._linear("message", z).tanh().reshape(subbands, -1)
        local = torch.cat([bands[0], torch.zeros(1)])[self._read]
        units, state = lstm_step(prior.subband[0], torch.cat([local, from_full_band], 1), states[layers])
        following.append(state)
        known = torch.cat([z, self._linear("summary", units).reshape(1, -1)], 1)
        for cell, state in zip(prior.fusion, states[layers + 1 :], strict=True):
            output, state = lstm_step(cell, known, state)
            following.append(state)
            known = torch.cat([known, output], 1)
        return softplus(self._linear("prior", known)), units, following

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, self._weights[name], self._weights[f"{name}_bias"])
