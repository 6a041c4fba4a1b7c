"""Recurrent layers in NumPy at work: states, buffers, and weights in the order and scale that a step reads them.

A stream takes frames in blocks of any size. The products with the inputs are one product for a block; a frame then
costs one product with its state and a few passes over buffers that are allocated once. As σ(x) = ½ (1 + tanh(x/2)),
one tanh gives all gates of LSTM, and its streams keep twice the output: the weights hold the halves.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from ..dsp.arrays import sigmoid
from . import aligned
from .cells import GRU, LSTM, Cell

ONE, HALF = np.array(1, np.float32), np.array(0.5, np.float32)  # twice as fast as scalars, which are converted
SMALL_PRODUCT = 1_000_000
"""With AVX-512, OpenBLAS does not pack matrices whose product takes no more multiplications: 1.2 times as fast."""


class CellStream(Protocol):
    """A layer that processes one stream."""

    def push(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the outputs for the next inputs ``(N, I)`` to `out`, ``(N, U)``."""


class CellStack:
    """Stacked layers of one stream, from zero states."""

    def __init__(self, cells: tuple[Cell, ...]) -> None:
        self._layers = [(cell.units, open_stream(cell)) for cell in cells]

    def push(self, x: np.ndarray) -> np.ndarray:
        """Return the last layer's outputs ``(N, U)`` for the next inputs ``(N, I)``."""
        for units, layer in self._layers:
            outputs = np.empty((len(x), units), np.float32)
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
        weights = aligned.copy(cell.joint_weights.T)
        self._row = np.ones(len(weights), np.float32)
        self._rows = LSTMRows(weights, self._row)
        self._inputs = 1 + cell.inputs

    def push(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the outputs for the next inputs ``(N, I)`` to `out`, ``(N, U)``."""
        if len(x) == 1:
            self._row[1 : self._inputs] = x[0]
            self._rows.step()
            np.multiply(self._row[self._inputs :], HALF, out=out[0])
            return
        rows = np.empty((len(x), len(self._row)), np.float32)
        rows[:, 0] = ONE
        rows[:, 1 : self._inputs] = x
        self._rows.push(rows)
        np.multiply(rows[:, self._inputs :], HALF, out=out)


class LSTMRows:
    """One stream through a layer of long short-term memory, whose inputs and outputs are columns of the same rows.

    Parameters
    ----------
    weights : ndarray
        ``(J, 4U)``: of the columns of a row, of which the last U are twice the outputs and the others the inputs, one
        of them a constant for the bias; gates as those of :attr:`LSTM.joint_weights`.
    row : ndarray
        ``(J,)``: the row of single frames. Its last U columns are the state, which starts at zero.
    """

    def __init__(self, weights: np.ndarray, row: np.ndarray) -> None:
        units = weights.shape[1] // 4
        self._inputs = len(weights) - units
        self._weights, self._of_inputs, self._of_state = weights, weights[: self._inputs], weights[self._inputs :]
        self._gates = _Gates((units,))
        self._row, self._output = row, row[self._inputs :]
        self._output[:] = 0

    def step(self) -> None:
        """Write twice the outputs for the row of single frames into its last U columns."""
        self._row.dot(self._weights, self._gates.arguments)
        self._gates.advance(self._output)

    def push(self, rows: np.ndarray) -> None:
        """Write twice the outputs for the next rows ``(N, J)`` into their last U columns."""
        gates, output = self._gates, self._output
        inputs, of_state, arguments = self._inputs, self._of_state, gates.arguments
        for row, from_inputs in zip(rows[:, inputs:], rows[:, :inputs] @ self._of_inputs, strict=True):
            output.dot(of_state, arguments)  # methods and places are faster than functions and names
            arguments += from_inputs
            gates.advance(row)
            output = row
        self._output[:] = output


class LSTMBank:
    """B streams that share the weights of one layer of long short-term memory: a frame is one matrix product.

    What a frame reads lies in one matrix: its inputs, a row of ones, and twice the outputs of the frame before.

    Parameters
    ----------
    cell : LSTM
        The layer.
    streams : int
        B.
    ends : sequence of int
        Where parts of the inputs end that are written apart.

    Attributes
    ----------
    BLOCK_FRAMES : int
        Frames that are taken at once, at most: their matrices stay in the cache.
    inputs : list of ndarray
        Where the parts of the inputs of a single frame are written, ``(inputs, B)`` each.
    outputs, known : ndarray
        Twice the outputs of the last single frame, ``(U, B)``; the same behind a one, ``(1 + U, B)``.
    """

    BLOCK_FRAMES: ClassVar[int] = 16

    def __init__(self, cell: LSTM, streams: int, ends: Sequence[int] = ()) -> None:
        inputs = cell.inputs
        read = self._read = aligned.zeros(self.BLOCK_FRAMES + 1, inputs + 1 + cell.units, streams)
        read[:, inputs] = ONE
        self._state, self._known = read[:, inputs + 1 :], read[:, inputs:]
        self._inputs = [np.split(read[:frames, :inputs], ends, axis=1) for frames in range(len(read))]
        self._frames = list(zip(read[:-1], self._state[1:], strict=True))
        self._one = read[0], self._state[0]
        self._gates = _Gates((cell.units, streams))
        weights, arguments = _inputs_first(cell), self._gates.arguments
        parts = -(-weights.size * streams // SMALL_PRODUCT) if has_small_products() else 1
        self._parts = list(zip(np.array_split(weights, parts), np.array_split(arguments, parts), strict=True))
        self.inputs, self.outputs, self.known = [part[0] for part in self._inputs[1]], self._state[0], self._known[0]

    def step(self) -> None:
        """Take the frame whose inputs are in place."""
        read, output = self._one  # it reads the output of the frame before where that was written
        for weights, arguments in self._parts:
            weights.dot(read, arguments)
        self._gates.advance(output)

    def inputs_of(self, frames: int) -> list[np.ndarray]:
        """Return where the parts of the inputs of the next frames are written, ``(frames, inputs, B)`` each."""
        return self._inputs[frames]

    def push(self, frames: int) -> np.ndarray:
        """Take the frames whose inputs are in place; return a one and twice their outputs, ``(frames, 1 + U, B)``."""
        parts, advance = self._parts, self._gates.advance
        for read, output in self._frames[:frames]:
            for weights, arguments in parts:
                weights.dot(read, arguments)
            advance(output)
        self._state[0] = self._state[frames]
        return self._known[1 : frames + 1]


def in_blocks(*of_frames: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield parts of arrays ``(N, …)`` of as many frames as :class:`LSTMBank` takes at once."""
    step = LSTMBank.BLOCK_FRAMES
    for start in range(0, len(of_frames[0]), step):
        yield [each[start : start + step] for each in of_frames]


def _inputs_first(cell: LSTM) -> np.ndarray:
    """Return the joint weights ``(4U, I + 1 + U)`` with those of the inputs before the bias."""
    bias, inputs, state = np.split(cell.joint_weights, [1, 1 + cell.inputs], axis=1)
    return aligned.copy(np.concatenate([inputs, bias, state], axis=1))


@functools.cache
def has_small_products() -> bool:
    """Whether the processor is one on which OpenBLAS distinguishes small products: it has AVX-512."""
    try:
        about: Any = np.show_config(mode="dicts")
    except TypeError:  # NumPy 1.24 prints it only
        return False
    found = about.get("SIMD Extensions", {}).get("found", [])
    return any(name.startswith(("AVX512", "X86_V4")) for name in found)


class _Gates:
    """Cell state of LSTM, and a buffer for its gates, ``(4U, …)`` in the order of :attr:`LSTM.joint_weights`."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rows = aligned.zeros(5, *shape)  # output, input and forget gate, candidate, cell state
        self.arguments = rows[:4].reshape(4 * shape[0], *shape[1:])
        self._sigmoids, self._factors, self._summands = rows[:3], rows[1:3], rows[3:]
        self._output, self._candidate, self._cell = rows[0], rows[3], rows[4]

    def advance(self, doubled_output: np.ndarray) -> None:
        """Turn the arguments of the gates into the next cell state, and write twice the output."""
        np.tanh(self.arguments, self.arguments)
        self._sigmoids += ONE  # twice the sigmoids
        self._summands *= self._factors
        cell = self._cell
        cell += self._candidate
        cell *= HALF
        np.tanh(cell, doubled_output)
        doubled_output *= self._output
