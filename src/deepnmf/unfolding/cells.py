"""Recurrent layers in NumPy, for streams: gated recurrent units and long short-term memory, with torch's gates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from ..numerics import sigmoid


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
    """Vectors ``(U,)`` that the layer remembers; the first is its output."""

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

    def run(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outputs ``(N, …, U)`` that inputs ``(N, …, I)`` lead to from `state`, and the state after them.

        The axes between are streams of their own that share the weights; states have the shape ``(STATES, …, U)``.
        """
        inputs = x @ self.input_weights.T + self.input_bias
        outputs = np.empty((*x.shape[:-1], self.units), np.float32)
        for t, from_input in enumerate(inputs):
            state = self.step(from_input, state[0] @ self.state_weights.T + self.state_bias, state)
            outputs[t] = state[0]
        return outputs, state

    def step(self, from_input: np.ndarray, from_state: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Return the next state, given what input and output of the frame before add to the gates ``(…, G·U)``."""
        raise NotImplementedError


class GRU(Cell):
    """Gated recurrent units, with the gates of ``torch.nn.GRU``: reset, update, new."""

    STATES: ClassVar[int] = 1

    def step(self, from_input: np.ndarray, from_state: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Return the next state ``(1, …, U)``."""
        U = self.units
        gates = sigmoid(from_input[..., : 2 * U] + from_state[..., : 2 * U])
        new = np.tanh(from_input[..., 2 * U :] + gates[..., :U] * from_state[..., 2 * U :])
        return new + gates[..., U:] * (state - new)


class LSTM(Cell):
    """Long short-term memory, with the gates of ``torch.nn.LSTM``: input, forget, cell, output."""

    STATES: ClassVar[int] = 2

    def step(self, from_input: np.ndarray, from_state: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Return the next output and memory ``(2, …, U)``."""
        write, forget, new, read = np.split(from_input + from_state, 4, axis=-1)
        memory = sigmoid(forget) * state[1] + sigmoid(write) * np.tanh(new)
        return np.stack([sigmoid(read) * np.tanh(memory), memory])


class CellStack:
    """Layers on top of each other, from silence on; `streams` of them side by side, with the same weights."""

    def __init__(self, cells: tuple[Cell, ...], *streams: int) -> None:
        self._cells = cells
        self._states = [np.zeros((cell.STATES, *streams, cell.units), np.float32) for cell in cells]

    def push(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs ``(N, …, U)`` of the last layer for the next inputs ``(N, …, I)``."""
        for index, cell in enumerate(self._cells):
            x, self._states[index] = cell.run(x, self._states[index])
        return x


def cell_tensors(cells: tuple[Cell, ...], prefix: str = "cell") -> dict[str, np.ndarray]:
    """Return all arrays of the layers by name."""
    return {f"{prefix}.{index}.{name}": value for index, cell in enumerate(cells) for name, value in vars(cell).items()}


CellT = TypeVar("CellT", bound=Cell)


def cells_from_file(
    kind: type[CellT], tensors: dict[str, np.ndarray], layers: int, prefix: str = "cell"
) -> tuple[CellT, ...]:
    """Put together what :func:`cell_tensors` returned."""
    names = [field.name for field in dataclasses.fields(Cell)]
    return tuple(kind(*(tensors[f"{prefix}.{index}.{name}"] for name in names)) for index in range(layers))
