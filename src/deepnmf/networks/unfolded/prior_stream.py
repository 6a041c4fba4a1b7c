"""The recurrent prior at work: initial activations of a stream of frames, in blocks of any size."""

from __future__ import annotations

import numpy as np

from ...dsp.arrays import softplus
from ..layers import FEATURE_FLOOR
from ..recurrence import ONE, LSTMBank, LSTMRows, in_blocks, products
from .prior import MARGIN, SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior
from .prior_weights import StreamWeights

FLOOR = np.array(FEATURE_FLOOR, np.float32)


class PriorStream:
    """Initial activations of a stream of frames; the states start at zero.

    Parameters
    ----------
    prior : RecurrentPrior
        The weights.
    features : ndarray, optional
        Weights ``(E, V)`` from twice the outputs of the sub-bands to features for a filter; none by default.

    Attributes
    ----------
    features : ndarray
        Those of the frames of the last block, ``(N, E, B)``.
    """

    def __init__(self, prior: RecurrentPrior, features: np.ndarray | None = None) -> None:
        weights = self._weights = prior.stream_weights
        self._row = _Rows(weights, prior.subbands, 1)
        self._layers, self._fusion = (
            [LSTMRows(layer.weights, rows[0]) for layer, rows in zip(layers, parts, strict=True)]
            for layers, parts in ((weights.layers, self._row.layers), (weights.fusion, self._row.fusion))
        )
        self._bank, self._subbands = LSTMBank(prior.subband[0], prior.subbands), prior.subbands
        self._to_features = np.zeros((0, prior.subband[0].units), np.float32) if features is None else features
        self.features = self._features_of_one = self._empty_features(1)

    def push(self, m: np.ndarray) -> np.ndarray:
        """Return h⁰ ``(R, N)`` of the next magnitudes ``(F, N)`` at unit level, N ≥ 1."""
        weights, frames = self._weights, m.shape[1]
        rows = self._row if frames == 1 else _Rows(weights, self._subbands, frames)
        product = np.ndarray.dot if frames == 1 else np.matmul  # which does not copy slices of several rows
        bands = m.T.dot(weights.pooling)
        bands += FLOOR
        np.log(bands, rows.bands)
        for layer, part in zip(self._layers, rows.layers, strict=True):
            layer.push(part)
        of_fullband = product(rows.fullband, weights.fullband_to_subband.weights).reshape(frames, -1, self._subbands)
        self.features = self._features_of_one if frames == 1 else self._empty_features(frames)
        for block in in_blocks(rows.near, of_fullband, rows.embeddings, self.features):
            self._embed(*block)
        for layer, part in zip(self._fusion, rows.fusion, strict=True):
            layer.push(part)
        return softplus(product(rows.known, weights.output.weights)).T  # (R, N)

    def _embed(self, near: np.ndarray, of_fullband: np.ndarray, embeddings: np.ndarray, features: np.ndarray) -> None:
        """Run the sub-bands on the bands and what the full-band layers give some frames; write the last two."""
        inputs = self._bank.inputs(len(near))
        inputs[:, :SUBBAND_WIDTH] = near
        np.tanh(of_fullband, inputs[:, SUBBAND_WIDTH:])
        outputs = self._bank.advance(len(near))[:, 1:]
        products(self._weights.subband_embedding, outputs, embeddings)
        if len(self._to_features):
            products(self._to_features, outputs, features)

    def _empty_features(self, frames: int) -> np.ndarray:
        return np.empty((frames, len(self._to_features), self._subbands), np.float32)


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
