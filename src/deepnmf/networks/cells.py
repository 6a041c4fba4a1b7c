"""Weights of recurrent layers, gated recurrent units and long short-term memory, with torch's gates and order.

:mod:`deepnmf.networks.recurrence` runs them.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from ..artifacts.schema import ArraySpec


@dataclass(frozen=True, eq=False)
class Cell:
    """A recurrent layer of U units with G gates.

    Attributes
    ----------
    input_weights : ndarray
        ``(G·U, I)``.
    input_bias : ndarray
        ``(G·U,)``.
    state_weights : ndarray
        ``(G·U, U)``.
    state_bias : ndarray
        ``(G·U,)``.
    """

    GATES: ClassVar[int]
    """G."""

    input_weights: np.ndarray
    input_bias: np.ndarray
    state_weights: np.ndarray
    state_bias: np.ndarray

    @property
    def inputs(self) -> int:
        """I."""
        return self.input_weights.shape[1]

    @property
    def units(self) -> int:
        """U."""
        return self.state_weights.shape[1]

    @property
    def multiplications(self) -> int:
        """Multiply–accumulate operations of a frame."""
        return self.input_weights.size + self.state_weights.size


class GRU(Cell):
    """Gated recurrent units, with the gates of ``torch.nn.GRU``: reset, update, candidate."""

    GATES: ClassVar[int] = 3


class LSTM(Cell):
    """Long short-term memory, with the gates of ``torch.nn.LSTM``: input, forget, cell, output."""

    GATES: ClassVar[int] = 4

    @functools.cached_property
    def joint_weights(self) -> np.ndarray:
        """Weights ``(4U, 1 + I + U)`` of bias, inputs and state: of the arguments of a tanh for each gate.

        As σ(x) = ½ + ½ tanh(x/2), arguments of sigmoids are halved; the weights of the state are for twice the output.
        The gates are in the order output, input, forget, candidate.
        """
        bias = (self.input_bias + self.state_bias)[:, None]
        weights = np.concatenate([bias, self.input_weights, self.state_weights / 2], axis=1)
        gates = weights.reshape(4, self.units, -1)[GATES_AT_WORK]
        gates[:3] /= 2
        return gates.reshape(weights.shape)


GATES_AT_WORK = [3, 0, 1, 2]
"""Positions of the gates of LSTM in torch's order: the sigmoids first, the factors of candidate and cell adjacent."""

ARRAYS = tuple(field.name for field in dataclasses.fields(Cell))
"""Attributes of a cell."""


def cell_arrays(cells: tuple[Cell, ...], prefix: str = "cell") -> dict[str, np.ndarray]:
    """Return all arrays of the layers by name."""
    return {f"{prefix}.{index}.{name}": getattr(cell, name) for index, cell in enumerate(cells) for name in ARRAYS}


def cell_specs(kind: type[Cell], layers: int, inputs: int, units: int, prefix: str = "cell") -> dict[str, ArraySpec]:
    """Return the arrays of :func:`cell_arrays` for stacked layers of `units`."""
    gates = kind.GATES * units
    specs = {}
    for index in range(layers):
        shapes = (gates, units if index else inputs), (gates,), (gates, units), (gates,)
        specs.update({f"{prefix}.{index}.{n}": ArraySpec(shape) for n, shape in zip(ARRAYS, shapes, strict=True)})
    return specs


CellT = TypeVar("CellT", bound=Cell)


def cells_from_arrays(
    kind: type[CellT], tensors: dict[str, np.ndarray], layers: int, prefix: str = "cell"
) -> tuple[CellT, ...]:
    """Restore cells from the arrays of :func:`cell_arrays`."""
    return tuple(kind(*(tensors[f"{prefix}.{index}.{name}"] for name in ARRAYS)) for index in range(layers))


def random_cells(
    kind: type[CellT], layers: int, inputs: int, units: int, rng: np.random.Generator
) -> tuple[CellT, ...]:
    """Return layers with weights uniform within ``±1 / √units``, the initialisation of torch's recurrent layers."""
    limit = 1 / np.sqrt(units)
    specs = cell_specs(kind, layers, inputs, units)
    arrays = {name: rng.uniform(-limit, limit, spec.shape).astype(np.float32) for name, spec in specs.items()}
    return cells_from_arrays(kind, arrays, layers)
