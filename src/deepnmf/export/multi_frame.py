"""The filter over several frames in a graph of one hop, every state an argument; the first axis is real, imaginary.

:mod:`deepnmf.networks.unfolded.multi_frame` and :mod:`deepnmf.dsp.past_frames` in torch for one channel and one frame.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from ..config import StftSpec
from ..dsp.past_frames import LEAST_POWER, turns
from ..networks.unfolded.multi_frame import (
    AROUND,
    LOG_SCALE,
    LOGIT_SCALE,
    MAGNITUDE_FLOOR,
    MASK_FLOOR,
    MASKS,
    NOTHING,
    MultiFrameFilter,
)
from .layers import constant, lstm_step


class FilterWeights:
    """The weights of a frame; the state is output and cell state of the LSTM in each bin."""

    def __init__(self, multi_frame: MultiFrameFilter, subbands: np.ndarray) -> None:
        self._filter, self._subbands = multi_frame, torch.from_numpy(subbands)
        self._dense = {name: constant(W) for name, W in multi_frame.arrays().items()}
        self.state_shape = (2, multi_frame.bins, multi_frame.cell.units)

    def __call__(
        self, m: Tensor, mask: Tensor, units: Tensor, advances: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a₀, …, a_K and the next state.

        Parameters
        ----------
        m, mask : Tensor
            Magnitudes at unit level and mask, ``(F, 1)``.
        units : Tensor
            Outputs of the sub-bands of the prior, ``(B, V)``.
        advances : Tensor
            Phase advances, ``(2, K, L)``.
        state : Tensor
            ``(2, L, U)``.

        Returns
        -------
        Tensor
            ``(2, 1 + K, L)``.
        Tensor
            ``(2, L, U)``.
        """
        parts = [
            LOG_SCALE * self._around((m[:, 0] + MAGNITUDE_FLOOR).log(), AROUND, NOTHING),
            LOGIT_SCALE * self._around(torch.logit(mask[:, 0], MASK_FLOOR), MASKS // 2, 0.0),
            self._linear("features", units)[self._subbands],
            advances.permute(2, 1, 0).flatten(1),  # real and imaginary part by turns
        ]
        state = lstm_step(self._filter.cell, torch.cat(parts, 1), state)
        weights = self._linear("output", state[0])  # (L, 2·(1 + K))
        return weights.unflatten(1, (-1, 2)).permute(2, 1, 0), state

    def _around(self, values: Tensor, around: int, beyond: float) -> Tensor:
        """Return the values ``(F,)`` of the bins around each, ``(L, 2·around + 1)``, and `beyond` for none."""
        read = np.arange(self._filter.bins)[:, None] + np.arange(2 * around + 1)
        return pad(values, (around, around), value=beyond)[torch.from_numpy(read)]

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, self._dense[f"filter.{name}"], self._dense[f"filter.{name}_bias"])


class Frames:
    """The present and the past frames of the L lowest bins, of which a transform of lower rate has L′.

    The state is the K frames before at unit level, the nearest first.
    """

    def __init__(self, multi_frame: MultiFrameFilter, model_spec: StftSpec, spec: StftSpec) -> None:
        self.state_shape = past_shape(multi_frame, spec)
        _, count, self.bins = self.state_shape
        factors = turns(spec, self.bins, count)[-2::-1]  # of the past, the nearest first
        self._turns = constant(np.stack([factors.real, factors.imag]))
        self._scale = model_spec.window / spec.window
        self._missing = multi_frame.bins - self.bins

    def present(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """Return the frame at unit level, ``(2, L′)``, of its spectrum ``(2, F)``."""
        return spectrum[:, : self.bins] * (self._scale / level)

    def turned(self, past: Tensor) -> Tensor:
        """Return the past frames ``(2, K, L′)`` with their phases advanced to the present."""
        return _product(self._turns, past)

    def advances(self, X: Tensor, P: Tensor) -> Tensor:
        """Return the phase advances ``(2, K, L)`` of a frame ``(2, L′)`` from turned ones ``(2, K, L′)``."""
        cross = torch.stack([X[0] * P[0] + X[1] * P[1], X[1] * P[0] - X[0] * P[1]])
        return pad(cross / (cross.square().sum(0).sqrt() + LEAST_POWER), (0, self._missing))

    def filtered(self, X: Tensor, P: Tensor, weights: Tensor, level: Tensor) -> Tensor:
        """Return the weighted sum of the frames at the level of the spectrum, ``(2, L′)``."""
        summed = _product(weights[:, :, : self.bins], torch.cat([X[:, None], P], 1)).sum(1)
        return summed * (level / self._scale)

    def following(self, X: Tensor, past: Tensor) -> Tensor:
        """Return the next state."""
        return torch.cat([X[:, None], past[:, :-1]], 1)


def past_shape(multi_frame: MultiFrameFilter, spec: StftSpec) -> tuple[int, int, int]:
    """Return the shape of the past frames in a transform, ``(2, K, L′)``."""
    return 2, multi_frame.past_frames, min(multi_frame.bins, spec.bins)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """Return the product of complex tensors."""
    return torch.stack([x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]])
