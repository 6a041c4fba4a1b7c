"""The recurrent prior at work: initial activations of a stream of frames, in blocks of any size."""

from __future__ import annotations

import numpy as np

from ...dsp.arrays import softplus
from ..layers import FEATURE_FLOOR
from ..recurrence import ONE, LSTMBank, LSTMRows
from .prior import MARGIN, SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior
from .prior_weights import StreamWeights

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
        self._frame = _Rows(weights, prior.subbands, 1)
        self._layers, self._fusion = (
            [LSTMRows(layer.weights, rows[0]) for layer, rows in zip(layers, parts, strict=True)]
            for layers, parts in ((weights.layers, self._frame.layers), (weights.fusion, self._frame.fusion))
        )
        self._bank = bank = LSTMBank(prior.subband[0], prior.subbands)
        self._bands, self._features = bank.inputs[:SUBBAND_WIDTH], bank.inputs[SUBBAND_WIDTH:]
        self._keeps_units, self.doubled_units = keeps_units, bank.doubled_outputs[None][:0]

    def push(self, m: np.ndarray) -> np.ndarray:
        """Return h⁰ ``(R, N)`` of the next magnitudes ``(F, N)`` at unit level, N ≥ 1."""
        weights, frames = self._weights, m.shape[1]
        rows = self._frame if frames == 1 else _Rows(weights, len(self._bands.T), frames)
        product = np.ndarray.dot if frames == 1 else np.matmul  # which does not copy slices of several rows
        bands = m.T.dot(weights.pooling)
        bands += FLOOR
        np.log(bands, rows.bands)
        for layer, part in zip(self._layers, rows.layers, strict=True):
            layer.push(part)
        features = product(rows.fullband, weights.fullband_to_subband.weights).reshape(frames, *self._features.shape)
        np.tanh(features, features)
        if frames == 1:
            self._embed(rows.near[0], features[0], rows.embeddings[0])
            self.doubled_units = self._bank.doubled_outputs[None]
        else:
            self._embed_each(rows, features)
        for layer, part in zip(self._fusion, rows.fusion, strict=True):
            layer.push(part)
        return softplus(product(rows.known, weights.output.weights)).T  # (R, N)

    def _embed_each(self, rows: _Rows, features: np.ndarray) -> None:
        kept = self._keeps_units
        self.doubled_units = np.empty((len(features) * kept, *self._bank.doubled_outputs.shape), np.float32)
        for number, frame in enumerate(zip(rows.near, features, rows.embeddings, strict=True)):
            self._embed(*frame)
            if kept:
                self.doubled_units[number] = self._bank.doubled_outputs

    def _embed(self, near: np.ndarray, features: np.ndarray, embedding: np.ndarray) -> None:
        """Advance the sub-bands by a frame: read ``(SUBBAND_WIDTH, B)`` and ``(C, B)``, and write ``(S, B)``."""
        self._bands[:], self._features[:] = near, features
        self._bank.step()
        self._weights.subband_embedding.dot(self._bank.doubled_outputs, embedding)


class _Rows:
    """Rows of what is known of some frames (:mod:`.prior_weights`): the parts that are written and read."""

    def __init__(self, weights: StreamWeights, subbands: int, frames: int) -> None:
        columns = weights.columns
        rows = np.empty((frames, columns.fusion.stop), np.float32)
        rows[:, : columns.one] = 0
        rows[:, columns.one] = ONE
        self.bands, self.near = rows[:, columns.bands], neighbourhoods(rows[:, : columns.one])
        self.embeddings = rows[:, columns.embedding].reshape(frames, -1, subbands)
        self.layers, self.fusion = ([rows[:, p.columns] for p in layers] for layers in (weights.layers, weights.fusion))
        self.fullband, self.known = rows[:, weights.fullband_to_subband.columns], rows[:, weights.output.columns]


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
