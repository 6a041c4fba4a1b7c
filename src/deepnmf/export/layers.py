"""Layers of one frame in torch, for graphs whose states are arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from ..networks.cells import LSTM


def constant(array: Any) -> Tensor:
    """Return an array as a tensor, which becomes a constant of the graph."""
    return torch.from_numpy(np.ascontiguousarray(array))


def lstm_step(cell: LSTM, x: Tensor, state: Tensor) -> Tensor:
    """Return hidden and cell state ``(2, B, U)`` after one frame ``(B, I)``: :class:`deepnmf.networks.cells.LSTM`."""
    output, cell_state = state
    joint = torch.cat([x, output], 1)
    weights = np.concatenate([cell.input_weights, cell.state_weights], axis=1)
    gates = linear(joint, constant(weights), constant(cell.input_bias + cell.state_bias))
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
    cell_state = forget_gate.sigmoid() * cell_state + input_gate.sigmoid() * candidate.tanh()
    return torch.stack([output_gate.sigmoid() * cell_state.tanh(), cell_state])
