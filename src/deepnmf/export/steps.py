"""The mask of one frame in torch, every state an argument: the part of an exported graph between its transforms."""

from __future__ import annotations

import functools
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from ..dsp.arrays import softplus
from ..errors import DeepnmfError
from ..networks.base import FramewiseNetwork, Network
from ..networks.cells import LSTM
from ..networks.kinds import kind_of
from ..networks.layers import FEATURE_FLOOR
from ..networks.unfolded.deep_nmf import infer
from ..networks.unfolded.dr_nmf import DRNMF
from ..networks.unfolded.ista import update
from ..networks.unfolded.prior import bands_read
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.updates import wiener_mask

Shapes = dict[str, tuple[int, ...]]


class MaskStep(Protocol):
    """A stateless mask estimator: states are arguments."""

    states: Shapes
    """Name and shape of the states passed on to the next frame; initially zero."""

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the mask ``(F, 1)`` of magnitudes ``(F, 1)`` at unit level, and the states after it."""


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
        self._network = network.with_arrays({name: _tensor(W) for name, W in network.arrays().items()})
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
        self._weights = {name: _tensor(W) for name, W in network.arrays().items()}
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
    """Recurrent deep NMF; the states are hidden and cell states of the full band, each sub-band and the fusion."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        self._network, prior = network, network.prior
        self._weights = {name: _tensor(W) for name, W in network.arrays().items()}
        self._dictionaries = [_tensor(W) for W in network.dictionaries]
        self._read = torch.from_numpy(bands_read(len(prior.pooling)).T)
        full_band = {f"cell.{index}": (2, 1, cell.units) for index, cell in enumerate(prior.cells)}
        fusion = {f"fusion.{index}": (2, 1, cell.units) for index, cell in enumerate(prior.fusion)}
        self.states: Shapes = {**full_band, "subband": (2, prior.subbands, prior.subband[0].units), **fusion}

    def __call__(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return mask and states (:class:`MaskStep`)."""
        network = self._network
        h, following = self._prior(m, states)
        h = infer(m, self._dictionaries, h, network.sparsity, network.beta)
        return (wiener_mask(self._weights["output"], h, network.speech_atoms), *following)

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


def lstm_step(cell: LSTM, x: Tensor, state: Tensor) -> Tensor:
    """Return hidden and cell state ``(2, B, U)`` after one frame ``(B, I)``: :class:`deepnmf.networks.cells.LSTM`."""
    output, cell_state = state
    joint = torch.cat([x, output], 1)
    weights = np.concatenate([cell.input_weights, cell.state_weights], axis=1)
    gates = linear(joint, _tensor(weights), _tensor(cell.input_bias + cell.state_bias))
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
    cell_state = forget_gate.sigmoid() * cell_state + input_gate.sigmoid() * candidate.tanh()
    return torch.stack([output_gate.sigmoid() * cell_state.tanh(), cell_state])


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
