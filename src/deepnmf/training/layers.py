"""Layers of torch from the weights of NumPy's networks, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..networks.cells import ARRAYS, GRU, LSTM, Cell, CellT

LSTMState = tuple[Tensor, Tensor]
"""Outputs and cell states of the layers of `torch.nn.LSTM`, each ``(layers, S, U)``."""


def to_numpy(weight: Tensor) -> np.ndarray:
    """Return a copy of a weight in NumPy."""
    return weight.detach().cpu().numpy().copy()


def layers_in(precision: torch.dtype, m: Tensor) -> torch.autocast:
    """Return the context in which layers that work on `m` compute at this precision; their weights stay as they are."""
    return torch.autocast(m.device.type, precision, enabled=precision != torch.float32)


def linear(weight: np.ndarray, bias: np.ndarray) -> torch.nn.Linear:
    """Return a dense layer, in torch."""
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return layer


TORCH_NAMES = ("weight_ih_l{}", "bias_ih_l{}", "weight_hh_l{}", "bias_hh_l{}")
"""Torch's names of the arrays of :class:`deepnmf.networks.cells.Cell`, in their order."""
TORCH_LAYERS: dict[type[Cell], type[torch.nn.LSTM | torch.nn.GRU]] = {LSTM: torch.nn.LSTM, GRU: torch.nn.GRU}


def cells_to_torch(cells: tuple[Cell, ...]) -> torch.nn.LSTM | torch.nn.GRU:
    """Return recurrent layers, in torch."""
    first = cells[0]
    layers = TORCH_LAYERS[type(first)](first.input_weights.shape[1], first.units, len(cells))
    named = {
        name.format(i): torch.tensor(getattr(cell, array))
        for i, cell in enumerate(cells)
        for name, array in zip(TORCH_NAMES, ARRAYS, strict=True)
    }
    layers.load_state_dict(named)
    return layers


def cells_to_numpy(layers: torch.nn.RNNBase, kind: type[CellT]) -> tuple[CellT, ...]:
    """Return recurrent layers, in NumPy."""
    weights = {name: to_numpy(value) for name, value in layers.named_parameters()}
    return tuple(kind(*(weights[name.format(i)] for name in TORCH_NAMES)) for i in range(layers.num_layers))
