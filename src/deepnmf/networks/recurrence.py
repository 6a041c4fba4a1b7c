"""Recurrent layers in NumPy at work: states, buffers, and weights in the order and scale that a step reads them.

A stream takes frames in blocks of any size. The products with the inputs are one product for a block; a frame then
costs one product with its state and a few passes over buffers that are allocated once. As σ(x) = ½ (1 + tanh(x/2)),
one tanh gives all gates of LSTM, and its streams keep twice the output: the weights hold the halves.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..dsp.arrays import sigmoid
from .cells import GRU, LSTM, Cell

ONE, HALF = np.float32(1), np.float32(0.5)


class CellStream(Protocol):
    """A layer that processes one stream."""

    def push(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the outputs for the next inputs ``(N, I)`` to `out`, ``(N, U)``."""


class CellStack:
    """Stacked layers of one stream, from zero states."""

    def __init__(self, cells: tuple[Cell, ...]) -> None:
        self._layers = [(cell.units, open_stream(cell)) for cell in cells]

    def push(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the last layer's outputs ``(N, U)`` for the next inputs ``(N, I)``, written to `out` if given."""
        last = len(self._layers) - 1
        for index, (units, layer) in enumerate(self._layers):
            outputs = out if index == last and out is not None else np.empty((len(x), units), np.float32)
            layer.push(x, outputs)
            x = outputs
        return x


def open_stream(cell: Cell) -> CellStream:
    """Return a stream of a layer, from a zero state."""
    return LSTMStream(cell) if isinstance(cell, LSTM) else GRUStream(cell)


class GRUStream:
    """One stream through gated recurrent units."""

    def __init__(self, cell: Cell) -> None:
        assert isinstance(cell, GRU)
        self._cell = cell
        self._input, self._state = (np.ascontiguousarray(W.T) for W in (cell.input_weights, cell.state_weights))
        self._output = np.zeros(cell.units, np.float32)

    def push(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the outputs for the next inputs ``(N, I)`` to `out`, ``(N, U)``."""
        U, cell, output = self._cell.units, self._cell, self._output
        for row, from_input in zip(out, x @ self._input + cell.input_bias, strict=True):
            from_state = output @ self._state + cell.state_bias
            gates = sigmoid(from_input[: 2 * U] + from_state[: 2 * U])
            candidate = np.tanh(from_input[2 * U :] + gates[:U] * from_state[2 * U :])
            output = candidate + gates[U:] * (output - candidate)
            row[:] = output
        self._output = output


class LSTMStream:
    """One stream through long short-term memory."""

    def __init__(self, cell: LSTM) -> None:
        self._bias, self._input, self._state = cell.step_weights
        self._gates = _Gates((cell.units,))
        self._output = np.zeros(cell.units, np.float32)

    def push(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the outputs for the next inputs ``(N, I)`` to `out`, ``(N, U)``."""
        from_input = x @ self._input  # np.dot would copy a slice of wider rows
        from_input += self._bias
        output, gates = self._output, self._gates
        for row, arguments in zip(out, from_input, strict=True):
            np.dot(output, self._state, out=gates.arguments)
            gates.arguments += arguments
            gates.advance(row)
            output = row
        self._output = output.copy()
        out *= HALF


class LSTMBank:
    """B streams that share the weights of one layer of long short-term memory: a step is one matrix product.

    Attributes
    ----------
    inputs : ndarray
        ``(I, B)``: write the inputs of a frame here before :meth:`step`.
    doubled_outputs : ndarray
        ``(U, B)``: twice the outputs of the last step.
    """

    def __init__(self, cell: LSTM, streams: int) -> None:
        self._weights = cell.joint_weights
        self._joint = np.zeros((1 + cell.inputs + cell.units, streams), np.float32)
        self._joint[0] = ONE
        self.inputs, self.doubled_outputs = self._joint[1 : 1 + cell.inputs], self._joint[1 + cell.inputs :]
        self._gates = _Gates((cell.units, streams))

    def step(self) -> None:
        """Advance by one frame."""
        np.dot(self._weights, self._joint, out=self._gates.arguments)
        self._gates.advance(self.doubled_outputs)


class _Gates:
    """Cell state of LSTM, and a buffer for its gates, ``(4U, …)`` in the order of :attr:`LSTM.step_weights`."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        gates = np.empty((4, *shape), np.float32)
        self.arguments = gates.reshape(4 * shape[0], *shape[1:])
        self._sigmoids = gates[:3]
        self._input, self._forget, self._output, self._candidate = gates
        self._cell = np.zeros(shape, np.float32)

    def advance(self, doubled_output: np.ndarray) -> None:
        """Turn the arguments of the gates into the next cell state, and write twice the output."""
        np.tanh(self.arguments, out=self.arguments)
        self._sigmoids += ONE  # twice the sigmoids
        cell, candidate = self._cell, self._candidate
        cell *= self._forget
        candidate *= self._input
        cell += candidate
        cell *= HALF
        np.tanh(cell, out=doubled_output)
        doubled_output *= self._output
