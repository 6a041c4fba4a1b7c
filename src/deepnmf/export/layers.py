"""Layers of one frame in torch, for graphs whose states are arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from ..networks.cells import GATES_AT_WORK, LSTM


def constant(array: Any) -> Tensor:
    """Return an array as a tensor, which becomes a constant of the graph."""
    return torch.from_numpy(np.ascontiguousarray(array))


def lstm_step(cell: LSTM, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs ``(B, U)`` and the next state after one frame ``(B, I)``: :class:`deepnmf.networks.cells.LSTM`.

    The state, ``(2, B, U)``, is outputs and cell states. Nodes are what takes time, so gates that are sigmoids are one.
    """
    output, cell_state = state.split(1)
    joint = torch.cat([x, output.squeeze(0)], 1)
    sizes = 3 * cell.units, cell.units
    sigmoids, candidate = linear(joint, *_gates(cell)).split(sizes, 1)
    output_gate, input_gate, forget_gate = sigmoids.sigmoid().split(cell.units, 1)
    cell_state = forget_gate * cell_state + input_gate * candidate.tanh()
    output = output_gate * cell_state.tanh()
    return output.squeeze(0), torch.cat([output, cell_state])


def _gates(cell: LSTM) -> tuple[Tensor, Tensor]:
    """Return weights and bias of the gates of inputs and outputs, the sigmoids first."""
    weights = np.concatenate([cell.input_weights, cell.state_weights], axis=1)
    order = np.arange(len(weights)).reshape(4, -1)[GATES_AT_WORK].ravel()
    return constant(weights[order]), constant((cell.input_bias + cell.state_bias)[order])
