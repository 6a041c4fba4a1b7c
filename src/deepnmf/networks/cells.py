"""Recurrent layers in NumPy, for streams: gated recurrent units and long short-term memory, with torch's gates."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, TypeVar

import numpy as np

from ..artifacts.schema import ArraySpec
from ..dsp.arrays import sigmoid

State: TypeAlias = tuple[np.ndarray, ...]
"""State of a layer: vectors of its units for each of B streams, ``(U, B)``; the first is its output."""


@dataclass(frozen=True)
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

    STATES: ClassVar[int]
    """Number of state vectors of the layer."""
    GATES: ClassVar[int]
    """G."""

    input_weights: np.ndarray
    input_bias: np.ndarray
    state_weights: np.ndarray
    state_bias: np.ndarray

    @property
    def units(self) -> int:
        """U."""
        return self.state_weights.shape[1]

    @property
    def multiplications(self) -> int:
        """Multiply–accumulate operations of a frame."""
        return self.input_weights.size + self.state_weights.size

    def run(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the outputs ``(N, U, B)`` for inputs ``(N, I, B)`` from `state`, and the final state."""
        outputs = np.empty((len(x), self.units, x.shape[2]), np.float32)
        for t, frame in enumerate(x):
            state = self._step(frame, state)
            outputs[t] = state[0]
        return outputs, state

    def _step(self, x: np.ndarray, state: State) -> State:
        """Return the state after one frame ``(I, B)``."""
        raise NotImplementedError


class GRU(Cell):
    """Gated recurrent units, with the gates of ``torch.nn.GRU``: reset, update, candidate."""

    STATES: ClassVar[int] = 1
    GATES: ClassVar[int] = 3

    def _step(self, x: np.ndarray, state: State) -> State:
        U, (output,) = self.units, state
        from_input = self.input_weights @ x + self.input_bias[:, None]
        from_state = self.state_weights @ output + self.state_bias[:, None]
        gates = sigmoid(from_input[: 2 * U] + from_state[: 2 * U])
        candidate = np.tanh(from_input[2 * U :] + gates[:U] * from_state[2 * U :])
        return (candidate + gates[U:] * (output - candidate),)


class LSTM(Cell):
    """Long short-term memory, with the gates of ``torch.nn.LSTM``: input, forget, cell, output."""

    STATES: ClassVar[int] = 2
    GATES: ClassVar[int] = 4

    @functools.cached_property
    def _joint(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights ``(4U, I + U)`` and bias ``(4U, 1)`` of a tanh for each gate, as σ(x) = ½ + ½ tanh(x/2)."""
        weights = np.concatenate([self.input_weights, self.state_weights], axis=1)
        slopes = np.repeat(SLOPES.ravel(), self.units)[:, None]
        return slopes * weights, slopes * (self.input_bias + self.state_bias)[:, None]

    def _step(self, x: np.ndarray, state: State) -> State:
        output, cell = state
        weights, bias = self._joint
        gates = weights @ np.concatenate([x, output])
        gates += bias
        np.tanh(gates, out=gates)
        gates = gates.reshape(4, *output.shape)
        gates *= SLOPES
        gates += OFFSETS
        input_gate, forget_gate, candidate, output_gate = gates
        cell = forget_gate * cell + input_gate * candidate
        return output_gate * np.tanh(cell), cell


SLOPES = np.array([0.5, 0.5, 1, 0.5], np.float32)[:, None, None]
OFFSETS = 1 - SLOPES
"""Of the gates of LSTM, as a tanh: one call then computes all gates."""


class CellStack:
    """Stacked layers, from zero states; with `streams`, that many streams share the weights."""

    def __init__(self, cells: tuple[Cell, ...], streams: int | None = None) -> None:
        self._cells = cells
        self._single = streams is None
        self._states: list[State] = [
            (np.zeros((cell.units, streams or 1), np.float32),) * cell.STATES for cell in cells
        ]

    def push(self, x: np.ndarray) -> np.ndarray:
        """Return the last layer's outputs for the next inputs: ``(N, U)`` for ``(N, I)``, or with B streams last."""
        if self._single:
            x = x[:, :, None]
        for index, cell in enumerate(self._cells):
            x, self._states[index] = cell.run(x, self._states[index])
        return x[:, :, 0] if self._single else x


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
    """Put together what :func:`cell_arrays` returned."""
    return tuple(kind(*(tensors[f"{prefix}.{index}.{name}"] for name in ARRAYS)) for index in range(layers))


def random_cells(
    kind: type[CellT], layers: int, inputs: int, units: int, rng: np.random.Generator
) -> tuple[CellT, ...]:
    """Return layers with weights uniform within ``±1 / √units``, the initialisation of torch's recurrent layers."""
    limit = 1 / np.sqrt(units)
    specs = cell_specs(kind, layers, inputs, units)
    arrays = {name: rng.uniform(-limit, limit, spec.shape).astype(np.float32) for name, spec in specs.items()}
    return cells_from_arrays(kind, arrays, layers)
