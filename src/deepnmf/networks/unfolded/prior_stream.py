"""The recurrent prior at work: initial activations of a stream of frames, in blocks of any size."""

from __future__ import annotations

import numpy as np

from ...dsp.arrays import softplus
from ..layers import FEATURE_FLOOR
from ..recurrence import ONE, LSTMBank, LSTMRows
from .prior import MARGIN, SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior
from .prior_weights import Product

FLOOR = np.array(FEATURE_FLOOR, np.float32)


class PriorStream:
    """Initial activations of a stream of frames; the states start at zero.

    Parameters
    ----------
    prior : RecurrentPrior
        The weights.
    keeps_units : bool
        Whether the outputs of the sub-bands are kept, for a filter that reads them.

    Attributes
    ----------
    doubled_units : ndarray
        Twice the outputs of the sub-bands in the frames of the last block, ``(N, V, B)``; ``(0, V, B)`` if not kept.
    """

    def __init__(self, prior: RecurrentPrior, keeps_units: bool = False) -> None:
        weights = self._weights = prior.stream_weights
        self._layers = [(layer.columns, LSTMRows(layer.weights)) for layer in weights.layers]
        self._fusion = [(layer.columns, LSTMRows(layer.weights)) for layer in weights.fusion]
        self._subbands = LSTMBank(prior.subband[0], prior.subbands)
        self._keeps_units, self.doubled_units = keeps_units, np.empty((0, *self._subbands.doubled_outputs.shape))
        self._row = self._rows(1)
        self._near_row = neighbourhoods(self._row[:, : weights.columns.one])

    def push(self, m: np.ndarray) -> np.ndarray:
        """Return h⁰ ``(R, N)`` of the next magnitudes ``(F, N)`` at unit level, N ≥ 1."""
        weights, frames = self._weights, m.shape[1]
        rows = self._row if frames == 1 else self._rows(frames)
        bands = m.T.dot(weights.pooling)
        bands += FLOOR
        np.log(bands, out=rows[:, weights.columns.bands])
        for columns, layer in self._layers:
            layer.push(rows[:, columns])
        self._embed(rows)
        for columns, layer in self._fusion:
            layer.push(rows[:, columns])
        return softplus(_product(rows, weights.output)).T  # (R, N)

    def _rows(self, frames: int) -> np.ndarray:
        columns = self._weights.columns
        rows = np.empty((frames, columns.fusion.stop), np.float32)
        rows[:, : columns.one] = 0
        rows[:, columns.one] = ONE
        return rows

    def _embed(self, rows: np.ndarray) -> None:
        """Run the sub-bands on rows that the full-band layers have filled; write their embeddings there."""
        bank, weights = self._subbands, self._weights
        inputs = self._subband_inputs(rows)
        embeddings = rows[:, weights.columns.embedding].reshape(len(rows), -1, inputs.shape[2])
        if self._keeps_units:
            self.doubled_units = np.empty((len(rows), *bank.doubled_outputs.shape), np.float32)
        for number, (frame, embedding) in enumerate(zip(inputs, embeddings, strict=True)):
            bank.step(frame)
            weights.subband_embedding.dot(bank.doubled_outputs, embedding)
            if self._keeps_units:
                self.doubled_units[number] = bank.doubled_outputs

    def _subband_inputs(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs of the sub-bands, ``(N, SUBBAND_WIDTH + C, B)``."""
        product, one = self._weights.fullband_to_subband, self._weights.columns.one
        near = self._near_row if rows is self._row else neighbourhoods(rows[:, :one])
        features = _product(rows, product).reshape(len(rows), -1, near.shape[2])
        inputs = np.empty((len(rows), SUBBAND_WIDTH + features.shape[1], near.shape[2]), np.float32)
        inputs[:, :SUBBAND_WIDTH] = near
        np.tanh(features, out=inputs[:, SUBBAND_WIDTH:])
        return inputs


def _product(rows: np.ndarray, product: Product) -> np.ndarray:
    read = rows[:, product.columns]
    return read.dot(product.weights) if len(rows) == 1 else read @ product.weights  # dot would copy the slice


def neighbourhoods(bands: np.ndarray) -> np.ndarray:
    """Return the input bands of each sub-band, ``(N, SUBBAND_WIDTH, B)``, as a view.

    Parameters
    ----------
    bands : ndarray
        ``(N, MARGIN + bands + MARGIN)``, with zeros in the margins.

    Examples
    --------
    >>> bands = np.array([[0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0]])
    >>> neighbourhoods(bands)[0].T.tolist()
    [[0, 0, 0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 0], [2, 3, 4, 5, 6, 0, 0, 0]]
    """
    along, across = bands.strides
    shape = len(bands), SUBBAND_WIDTH, (bands.shape[1] - 2 * MARGIN) // SUBBAND_STRIDE
    return np.lib.stride_tricks.as_strided(bands, shape, (along, across, SUBBAND_STRIDE * across), writeable=False)
