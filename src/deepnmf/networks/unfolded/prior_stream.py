"""The recurrent prior at work: initial activations of a stream of frames, in blocks of any size."""

from __future__ import annotations

import numpy as np

from ...dsp.arrays import ZERO, softplus
from .. import aligned
from ..layers import FEATURE_FLOOR
from ..recurrence import ONE, LSTMBank, LSTMRows, in_blocks
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
        self._near, self._bank = self._row.near[0], LSTMBank(prior.subband[0], prior.subbands, [SUBBAND_WIDTH])
        embedding = weights.subband_embedding
        self._of_subbands = embedding if features is None else aligned.copy(np.concatenate([embedding, features]))
        outputs = self._outputs = aligned.zeros(len(self._of_subbands), prior.subbands)
        self._embedding, self._features = np.split(outputs[None], [len(embedding)], axis=1)
        self.features = self._features

    def push(self, m: np.ndarray) -> np.ndarray:
        """Return h⁰ ``(R, N)`` of the next magnitudes ``(F, N)`` at unit level, N ≥ 1."""
        bands = m.T.dot(self._weights.pooling)
        bands += FLOOR
        if len(bands) == 1:  # one call, which is slower for many frames
            return np.logaddexp(self._step(bands), ZERO).T
        return softplus(self._run(bands)).T

    def _step(self, bands: np.ndarray) -> np.ndarray:
        """Return h⁰ before its softplus, ``(1, R)``, for the bands of a frame ``(1, bands)`` above a floor."""
        weights, row, bank = self._weights, self._row, self._bank
        np.log(bands, row.bands)
        for layer in self._layers:
            layer.step()
        near, features = bank.inputs
        near[:] = self._near
        of_fullband = row.fullband.dot(weights.fullband_to_subband.weights)
        np.tanh(of_fullband.reshape(features.shape), features)
        bank.step()
        self._of_subbands.dot(bank.outputs, self._outputs)
        row.embeddings[:], self.features = self._embedding, self._features
        for layer in self._fusion:
            layer.step()
        return row.known.dot(weights.output.weights)

    def _run(self, bands: np.ndarray) -> np.ndarray:
        """Return what :meth:`_step` does for frames ``(N, bands)``."""
        weights, shape = self._weights, self._outputs.shape
        rows, outputs = _Rows(weights, shape[1], len(bands)), np.empty((len(bands), *shape), np.float32)
        np.log(bands, rows.bands)
        for layer, part in zip(self._layers, rows.layers, strict=True):
            layer.push(part)
        of_fullband = np.matmul(rows.fullband, weights.fullband_to_subband.weights)  # copies no slices, as dot does
        of_fullband = of_fullband.reshape(len(bands), -1, shape[1])
        for near, given, out in in_blocks(rows.near, of_fullband, outputs):
            inputs = self._bank.inputs_of(len(out))
            inputs[0][:] = near
            np.tanh(given, inputs[1])
            np.matmul(self._of_subbands, self._bank.push(len(out))[:, 1:], out)
        rows.embeddings[:], self.features = np.split(outputs, [self._embedding.shape[1]], axis=1)
        for layer, part in zip(self._fusion, rows.fusion, strict=True):
            layer.push(part)
        return np.matmul(rows.known, weights.output.weights)


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
