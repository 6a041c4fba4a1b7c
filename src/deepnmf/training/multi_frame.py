"""The filter over several frames in torch (:mod:`deepnmf.networks.unfolded.multi_frame`)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..config import StftSpec
from ..dsp.past_frames import LEAST_POWER, turns
from ..networks.cells import LSTM
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
from .layers import LSTMState, cells_to_numpy, cells_to_torch, layers_in, linear, to_numpy

BLOCK_FRAMES = 2000
"""Frames filtered at once: of dev recordings; segments of training are shorter."""


class MultiFrameModule(torch.nn.Module):
    """Torch module of :class:`deepnmf.networks.unfolded.multi_frame.MultiFrameFilter`.

    Parameters
    ----------
    multi_frame : MultiFrameFilter
        The weights.
    subbands : Tensor
        The sub-band ``(L,)`` of each bin.
    precision : torch.dtype
        Of the recurrent layer.
    """

    def __init__(self, multi_frame: MultiFrameFilter, subbands: Tensor, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.bins, self.past_frames, self.precision = multi_frame.bins, multi_frame.past_frames, precision
        self._subbands = subbands
        self.features = linear(multi_frame.features, multi_frame.features_bias)
        self.cell = cells_to_torch((multi_frame.cell,))
        self.output = linear(multi_frame.output, multi_frame.output_bias)

    def added(self, spectra: Tensor, past: Tensor, m: Tensor, mask: Tensor, units: Tensor) -> Tensor:
        """Return what the filter adds to the spectra ``(S, L, N)`` before the mask, in blocks, which bound memory.

        The other parameters are those before ``(K, S, L, N)`` and those of :meth:`run`.
        """
        parts, state = [], None
        of_frames = (spectra, 2), (past, 3), (m, 2), (mask, 2), (units, 0)
        for block in zip(*(x.split(BLOCK_FRAMES, axis) for x, axis in of_frames), strict=True):
            present, before, magnitudes, of_present, known = block
            weights, state = self.run(magnitudes, of_present, known, phase_advances(present, before), state)
            parts.append(filtered(present, before, weights))
        return torch.cat(parts, 2)

    def run(
        self, m: Tensor, mask: Tensor, units: Tensor, advances: Tensor, state: LSTMState | None = None
    ) -> tuple[Tensor, LSTMState]:
        """Return the weights of the frames and the state after them; without `state`, from zero.

        Parameters
        ----------
        m, mask : Tensor
            Magnitudes at unit level and masks, ``(S, F, N)``.
        units : Tensor
            Outputs of the sub-bands of the prior, ``(N, S, B, V)``.
        advances : Tensor
            Real and imaginary parts of the phase advances, ``(S, L, N, 2K)``.

        Returns
        -------
        Tensor
            Real and imaginary parts of a₀, …, a_K, ``(S, L, N, 2·(1 + K))``.
        """
        segments, _, frames = m.shape
        with layers_in(self.precision, m):
            features = self.features(units).index_select(2, self._subbands.to(m.device))  # (N, S, L, E)
            logits = torch.logit(mask, MASK_FLOOR)
            parts = [
                LOG_SCALE * self._around((m + MAGNITUDE_FLOOR).log(), AROUND, NOTHING),
                LOGIT_SCALE * self._around(logits, MASKS // 2, 0.0),
                features.to(m.dtype),
                advances.permute(2, 0, 1, 3),
            ]
            inputs = torch.cat(parts, 3).reshape(frames, segments * self.bins, -1)  # (N, S·L, I)
            outputs, state = self.cell(inputs, state)
            weights = self.output(outputs).to(m.dtype)
        return weights.reshape(frames, segments, self.bins, -1).permute(1, 2, 0, 3), state

    def _around(self, values: Tensor, around: int, beyond: float) -> Tensor:
        """Return the values ``(S, F, N)`` of the bins around each, ``(N, S, L, read)``, and `beyond` for none."""
        padded = functional.pad(values[:, : self.bins + around], (0, 0, around, around), value=beyond)
        shifted = [padded[:, shift : shift + self.bins] for shift in range(2 * around + 1)]
        return torch.stack(shifted, 3).permute(2, 0, 1, 3)

    def to_numpy(self) -> MultiFrameFilter:
        """Return the filter with the present weights, in NumPy."""
        (cell,) = cells_to_numpy(self.cell, LSTM)
        dense = (to_numpy(W) for W in (self.features.weight, self.features.bias, self.output.weight, self.output.bias))
        features, features_bias, output, output_bias = dense
        return MultiFrameFilter(self.bins, features, features_bias, cell, output, output_bias)


def past_of(spectra: Tensor, spec: StftSpec, past_frames: int) -> Tensor:
    """Return the frames before each, with their phases advanced to it, the nearest first.

    Parameters
    ----------
    spectra : Tensor
        Complex ``(S, L, N)``, of complete segments.

    Returns
    -------
    Tensor
        ``(K, S, L, N)``.
    """
    frames = spectra.shape[2]
    oldest_first = turns(spec, spectra.shape[1], past_frames)
    factors = torch.from_numpy(oldest_first[-2::-1].copy()).to(spectra)
    shifted = [functional.pad(spectra, (k, 0))[:, :, :frames] for k in range(1, past_frames + 1)]
    return factors[:, None, :, None] * torch.stack(shifted)


def phase_advances(spectra: Tensor, past: Tensor) -> Tensor:
    """Return real and imaginary parts of the phase advances, ``(S, L, N, 2K)``, of spectra of one channel."""
    cross = spectra * past.conj()
    advances = cross / (cross.abs() + LEAST_POWER)  # (K, S, L, N)
    return torch.view_as_real(advances).permute(1, 2, 3, 0, 4).flatten(3)


def filtered(spectra: Tensor, past: Tensor, weights: Tensor) -> Tensor:
    """Return what the filter adds to the spectra ``(S, L, N)``, before the mask, for weights of :meth:`run`."""
    factors = torch.view_as_complex(weights.unflatten(3, (-1, 2)).contiguous())  # (S, L, N, 1 + K)
    return (factors.permute(3, 0, 1, 2) * torch.cat([spectra[None], past])).sum(0)
