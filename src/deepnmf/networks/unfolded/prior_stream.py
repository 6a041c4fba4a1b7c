"""The recurrent prior at work: initial activations of a stream of frames, in blocks of any size."""

from __future__ import annotations

import numpy as np

from ...dsp.arrays import softplus
from ..layers import FEATURE_FLOOR
from ..recurrence import CellStack, LSTMBank
from .prior import SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior

FLOOR = np.float32(FEATURE_FLOOR)


class PriorStream:
    """Initial activations of a stream of frames; the states start at zero."""

    def __init__(self, prior: RecurrentPrior) -> None:
        weights = prior.stream_weights
        self._weights = weights
        self._cells, self._fusion = CellStack(prior.cells), CellStack(weights.fusion)
        self._subbands = LSTMBank(prior.subband[0], prior.subbands)
        self._bands, self._near = neighbourhood_views(len(prior.pooling))
        self._fullband_units = prior.cells[-1].units
        self._unfused = self._fullband_units + prior.subbands * len(weights.subband_embedding)

    def push(self, m: np.ndarray) -> np.ndarray:
        """Return h⁰ ``(R, N)`` of the next magnitudes ``(F, N)`` at unit level, N ≥ 1."""
        weights, units, unfused = self._weights, self._fullband_units, self._unfused
        known = np.empty((m.shape[1], len(weights.output)), np.float32)  # (N, U + S·B + D)
        z = known[:, :units]
        bands = np.dot(m.T, weights.pooling)
        bands += FLOOR
        np.log(bands, out=bands)  # (N, bands)
        self._cells.push(bands, z)  # (N, U)
        from_full_band = z @ weights.fullband_to_subband
        from_full_band += weights.fullband_to_subband_bias
        np.tanh(from_full_band, out=from_full_band)  # (N, C·B)
        self._embed(bands, from_full_band, known[:, units:unfused])
        if weights.fusion:
            self._fusion.push(known[:, :unfused], known[:, unfused:])  # (N, D)
        h = np.dot(known, weights.output)
        h += weights.output_bias
        return softplus(h).T  # (R, N)

    def _embed(self, bands: np.ndarray, from_full_band: np.ndarray, out: np.ndarray) -> None:
        """Run the sub-bands on ``(N, bands)`` and ``(N, C·B)``; write their embeddings ``(N, S·B)``."""
        bank, weights, near = self._subbands, self._weights.subband_embedding, self._near
        width, subbands = near.shape
        from_full_band = from_full_band.reshape(len(bands), -1, subbands)
        out = out.reshape(len(bands), -1, subbands)
        of_bands, of_full_band = bank.inputs[:width], bank.inputs[width:]
        for frame, message, embedding in zip(bands, from_full_band, out, strict=True):
            self._bands[:] = frame
            of_bands[:] = near
            of_full_band[:] = message
            bank.step()
            np.dot(weights, bank.doubled_outputs, out=embedding)


def neighbourhood_views(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame of `count` bands to write to, and the input bands of each sub-band, ``(SUBBAND_WIDTH, B)``.

    Both are views of one buffer: what is written to one is read from the other.

    Examples
    --------
    >>> bands, near = neighbourhood_views(6)
    >>> bands[:] = np.arange(1, 7)
    >>> near.T.astype(int).tolist()
    [[0, 0, 0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 0], [2, 3, 4, 5, 6, 0, 0, 0]]
    """
    margin = (SUBBAND_WIDTH - SUBBAND_STRIDE) // 2
    padded = np.zeros(count + 2 * margin, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, SUBBAND_WIDTH)[::SUBBAND_STRIDE]
    return padded[margin : margin + count], windows[: count // SUBBAND_STRIDE].T
