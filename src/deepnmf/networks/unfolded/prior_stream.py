"""The recurrent prior at work: initial activations of a stream of frames, in blocks of any size."""

from __future__ import annotations

import numpy as np

from ...dsp.arrays import softplus
from ..layers import FEATURE_FLOOR
from ..recurrence import CellStack, LSTMBank
from .prior import RecurrentPrior, neighbourhoods

FLOOR = np.float32(FEATURE_FLOOR)


class PriorStream:
    """Initial activations of a stream of frames; the states start at zero."""

    def __init__(self, prior: RecurrentPrior) -> None:
        weights = prior.stream_weights
        self._weights = weights
        self._cells, self._fusion = CellStack(prior.cells), CellStack(weights.fusion)
        self._subbands = LSTMBank(prior.subband[0], prior.subbands)
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
        self._embed(neighbourhoods(bands), from_full_band, known[:, units:unfused])
        if weights.fusion:
            self._fusion.push(known[:, :unfused], known[:, unfused:])  # (N, D)
        h = np.dot(known, weights.output)
        h += weights.output_bias
        return softplus(h).T  # (R, N)

    def _embed(self, bands: np.ndarray, from_full_band: np.ndarray, out: np.ndarray) -> None:
        """Run the sub-bands on ``(N, SUBBAND_WIDTH, B)`` and ``(N, C·B)``; write their embeddings ``(N, S·B)``."""
        bank, weights = self._subbands, self._weights.subband_embedding
        frames, width, subbands = bands.shape
        from_full_band = from_full_band.reshape(frames, -1, subbands)
        out = out.reshape(frames, -1, subbands)
        for near, message, embedding in zip(bands, from_full_band, out, strict=True):
            bank.inputs[:width] = near
            bank.inputs[width:] = message
            bank.step()
            np.dot(weights, bank.doubled_outputs, out=embedding)
