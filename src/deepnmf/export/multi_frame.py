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
    MAGNITUDE_FLOOR,
    MASK_FLOOR,
    MASKS,
    MultiFrameFilter,
    layer_at_work,
)
from .layers import constant, lstm_step


class FilterWeights:
    """The weights of a frame; the state is output and cell state of the LSTM in each bin."""

    def __init__(self, multi_frame: MultiFrameFilter, bins: int, subbands: np.ndarray) -> None:
        self._bins, self._subbands = multi_frame.bins, torch.from_numpy(subbands)
        self._cell, self._features = layer_at_work(multi_frame, oldest_first=False), constant(multi_frame.features.T)
        of_parts = np.arange(len(multi_frame.output)).reshape(-1, 2).T.ravel()  # all real, then all imaginary
        self._output = constant(multi_frame.output[of_parts]), constant(multi_frame.output_bias[of_parts])
        self._around = _Around(multi_frame.bins, bins)
        self.state_shape = (2, multi_frame.bins, multi_frame.cell.units)

    def __call__(
        self, m: Tensor, mask: Tensor, units: Tensor, advances: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a₀, …, a_K and the next state.

        Parameters
        ----------
        m, mask : Tensor
            Magnitudes at unit level and mask, ``(F,)``.
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
        features = (units @ self._features)[self._subbands]
        inputs = torch.cat([self._around(m, mask), features, advances.flatten(0, 1).T], 1)
        output, state = lstm_step(self._cell, inputs, state)
        return linear(output, *self._output).T.reshape(2, -1, self._bins), state


class _Around:
    """Log magnitudes and logits of the mask around each of the lowest L bins, ``(L, 2·AROUND + 1 + MASKS)``."""

    def __init__(self, filtered_bins: int, bins: int) -> None:
        around = AROUND, MASKS // 2
        self._known = [min(bins, filtered_bins + count) for count in around]
        missing = [filtered_bins + count - known for count, known in zip(around, self._known, strict=True)]
        self._below = torch.full((AROUND,), MAGNITUDE_FLOOR)
        self._between = torch.cat([torch.full((missing[0],), MAGNITUDE_FLOOR), torch.ones(around[1])])
        self._above = [torch.ones(missing[1])] if missing[1] else []
        first = np.arange(filtered_bins)[:, None], filtered_bins + 2 * AROUND + np.arange(filtered_bins)[:, None]
        read = [first[0] + np.arange(2 * AROUND + 1), first[1] + np.arange(MASKS)]
        self._read = torch.from_numpy(np.concatenate(read, axis=1))

    def __call__(self, m: Tensor, mask: Tensor) -> Tensor:
        of_logs, of_logits = self._known
        mask = mask[:of_logits].clamp(MASK_FLOOR, 1 - MASK_FLOOR)
        parts = [self._below, m[:of_logs] + MAGNITUDE_FLOOR, self._between, mask / (1 - mask), *self._above]
        return torch.cat(parts).log()[self._read]


class Frames:
    """The present and the past frames of the L lowest bins, of which a transform of lower rate has L′.

    The state is the K frames before at unit level, the nearest first. A product of complex numbers a and b is the real
    part of a times b, and its imaginary part times i·b.
    """

    def __init__(self, multi_frame: MultiFrameFilter, model_spec: StftSpec, spec: StftSpec) -> None:
        self.state_shape = past_shape(multi_frame, spec)
        _, count, self.bins = self.state_shape
        factors = turns(spec, self.bins, count)[-2::-1]  # of the past, the nearest first
        self._turns = constant(factors.real), constant(np.stack([-factors.imag, factors.imag]))
        self._swap, self._signs = torch.tensor([1, 0]), torch.tensor([-1.0, 1.0])[:, None, None]
        self._scale = model_spec.window / spec.window
        self._missing = multi_frame.bins - self.bins

    def together(self, spectrum: Tensor, level: Tensor, past: Tensor) -> Tensor:
        """Return the present frame at unit level, and the past ones with their phases advanced to it.

        Parameters
        ----------
        spectrum : Tensor
            Of the present frame, ``(2, F)``.
        level : Tensor
            Its level.
        past : Tensor
            The state, ``(2, K, L′)``.

        Returns
        -------
        Tensor
            ``(2, 1 + K, L′)``.
        """
        present = spectrum[:, None, : self.bins] * (self._scale / level)
        real, imaginary = self._turns
        return torch.cat([present, real * past + imaginary * past[self._swap]], 1)

    def times_i(self, frames: Tensor) -> Tensor:
        """Return i times what :meth:`together` returned."""
        return frames[self._swap] * self._signs

    def advances(self, frames: Tensor, times_i: Tensor) -> Tensor:
        """Return the phase advances ``(2, K, L)``."""
        real, imaginary = frames[:, 1:].split(1)
        cross = real * frames[:, :1] - imaginary * times_i[:, :1]
        advances = cross / (cross.norm(dim=0) + LEAST_POWER)
        return pad(advances, (0, self._missing)) if self._missing else advances

    def filtered(self, frames: Tensor, times_i: Tensor, weights: Tensor, level: Tensor) -> Tensor:
        """Return the weighted sum of the frames at the level of the spectrum, ``(2, L′)``."""
        real, imaginary = (weights[:, :, : self.bins] if self._missing else weights).split(1)
        return (real * frames + imaginary * times_i).sum(1) * (level / self._scale)

    def following(self, frames: Tensor, past: Tensor) -> Tensor:
        """Return the next state."""
        return torch.cat([frames[:, :1], past[:, :-1]], 1)


def past_shape(multi_frame: MultiFrameFilter, spec: StftSpec) -> tuple[int, int, int]:
    """Return the shape of the past frames in a transform, ``(2, K, L′)``."""
    return 2, multi_frame.past_frames, min(multi_frame.bins, spec.bins)
