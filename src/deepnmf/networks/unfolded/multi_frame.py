"""A multi-frame filter behind the mask: present and past frames of the lowest bins, each with a complex weight.

A mask leaves the phase of the mixture as it is. Where a harmonic of the voice and a noise share a bin, a few frames
with their phases tell them apart: the filter (Mack & Habets 2020, §II; Schröter et al. 2022, "deep filtering") gives

    E = M · ( X + a₀ X + Σ_k a_k P_k ),   k = 1 … K,

where P_k is the k-th frame before, with its phase advanced by k hops at the frequency of the bin, so that a steady
sinusoid at the centre of a bin has P_k = X. All frames are past or present: the latency is that of the mask. The
weights come from a small LSTM that runs in each bin with shared weights. It reads the log magnitudes of a few bins
around, the mask, features of the units of its sub-band in the recurrent prior (:mod:`.prior`), and the phase advances
from each P_k to X (:func:`deepnmf.dsp.past_frames.phase_advances`).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...artifacts.schema import ArraySpec, Shapes
from ...errors import DeepnmfError
from ..cells import LSTM, cell_arrays, cell_specs, cells_from_arrays, random_cells
from ..layers import uniform_layer
from ..recurrence import LSTMBank

if TYPE_CHECKING:
    from ...config import StftSpec

HIGHEST_HZ = 3000
"""Bins below have a filter: harmonics of voices are resolved there."""
AROUND = 5
"""Bins on each side whose magnitudes are read."""
MASKS = 3
"""Bins whose mask is read: the own one and its neighbours."""
FROM_SUBBAND = 8
"""E: features of the units of a bin's sub-band."""
MAGNITUDE_FLOOR, MASK_FLOOR = 1e-2, 1e-4
"""Added to unit-level magnitudes before the logarithm; least distance of masks from 0 and 1 before the logit."""
LOG_SCALE, LOGIT_SCALE = 0.5, 0.3
"""Bring log magnitudes and logits of masks to about unit variance."""


@dataclass(frozen=True, eq=False)
class MultiFrameFilter:
    """Weights of the filter of the L lowest bins, with K past frames.

    Attributes
    ----------
    bins : int
        L.
    features, features_bias : ndarray
        ``(E, V)`` and ``(E,)``: from the V units of a sub-band of the prior.
    cell : LSTM
        One layer, whose inputs are 2·AROUND + 1 log magnitudes, MASKS logits, E features, and the real and imaginary
        parts of K phase advances.
    output, output_bias : ndarray
        ``(2·(1 + K), U)`` and ``(2·(1 + K),)``: to real and imaginary part of a₀, …, a_K.
    """

    bins: int
    features: np.ndarray
    features_bias: np.ndarray
    cell: LSTM
    output: np.ndarray
    output_bias: np.ndarray

    @classmethod
    def start(
        cls, past_frames: int, units: int, subband_units: int, stft: StftSpec, rng: np.random.Generator
    ) -> MultiFrameFilter:
        """Return a filter of random weights whose output is zero, so that it changes nothing yet."""
        features, features_bias = uniform_layer(FROM_SUBBAND, subband_units, rng)
        (cell,) = random_cells(LSTM, 1, _inputs(FROM_SUBBAND, past_frames), units, rng)
        weights = 2 * (1 + past_frames)
        return cls(
            bins=min(stft.bins, math.ceil(HIGHEST_HZ * stft.fft_size / stft.rate_hz)),
            features=features,
            features_bias=features_bias,
            cell=cell,
            output=np.zeros((weights, units), np.float32),
            output_bias=np.zeros(weights, np.float32),
        )

    @classmethod
    def array_specs(cls, filtered_bins: int, bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays of a model file with a filter of the lowest bins; U, K and E are those of the file."""
        if filtered_bins > bins:
            raise DeepnmfError(f"filtered_bins must be at most {bins}, the bins of a frame, not {filtered_bins}")
        weights, units = shapes.size("filter.output", 0), shapes.size("filter.output", 1)
        if weights % 2 or weights < 4:
            raise DeepnmfError(f"array filter.output must have 2 rows for each of at least 2 frames, not {weights}")
        features = shapes.size("filter.features", 0)
        return {
            "filter.features": ArraySpec((features, shapes.size("summary", 1))),
            "filter.features_bias": ArraySpec((features,)),
            **cell_specs(LSTM, 1, _inputs(features, weights // 2 - 1), units, "filter"),
            "filter.output": ArraySpec((weights, units)),
            "filter.output_bias": ArraySpec((weights,)),
        }

    @property
    def past_frames(self) -> int:
        """K."""
        return len(self.output) // 2 - 1

    def title(self) -> str:
        """Return a short description."""
        units = self.cell.units
        return f"{self.past_frames} past frames in the lowest {self.bins} bins, by an LSTM of {units} units in each"

    @property
    def multiplications(self) -> int:
        """Multiply–accumulate operations of a frame, but for those of the features, one for each sub-band."""
        return self.bins * (self.cell.multiplications + self.output.size)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        own = {f"filter.{name}": getattr(self, name) for name in DENSE}
        return own | cell_arrays((self.cell,), "filter")

    @classmethod
    def from_arrays(cls, filtered_bins: int, arrays: dict[str, np.ndarray]) -> MultiFrameFilter:
        """Put together what :meth:`arrays` returned."""
        (cell,) = cells_from_arrays(LSTM, arrays, 1, "filter")
        return cls(filtered_bins, cell=cell, **{name: arrays[f"filter.{name}"] for name in DENSE})


DENSE = ("features", "features_bias", "output", "output_bias")
"""Attributes that are arrays."""


def _inputs(features: int, past_frames: int) -> int:
    """Return the number of inputs of the recurrent layer."""
    return 2 * AROUND + 1 + MASKS + features + 2 * past_frames


@functools.cache
def bins_read(filtered_bins: int, bins: int, around: int) -> np.ndarray:
    """Return the indices ``(2·around + 1, L)`` of the bins around each; the one after the last stands for none."""
    read = np.arange(-around, around + 1)[:, None] + np.arange(filtered_bins)
    return np.where((read >= 0) & (read < bins), read, bins)


class MultiFrameStream:
    """The weights of a stream of frames, in blocks of any size; the states start at zero.

    Parameters
    ----------
    multi_frame : MultiFrameFilter
        The weights.
    bins : int
        F.
    subbands : ndarray
        ``(L,)``, the sub-band of each bin.
    """

    def __init__(self, multi_frame: MultiFrameFilter, bins: int, subbands: np.ndarray) -> None:
        self._filter, self._subbands = multi_frame, subbands
        self._bank = LSTMBank(multi_frame.cell, multi_frame.bins)
        self._magnitudes = bins_read(multi_frame.bins, bins, AROUND)
        self._masks = bins_read(multi_frame.bins, bins, MASKS // 2)
        # The prior's units and those of the layer are doubled (:mod:`deepnmf.networks.recurrence`).
        self._features, self._output = multi_frame.features / 2, multi_frame.output / 2
        self._features_bias, self._output_bias = multi_frame.features_bias[:, None], multi_frame.output_bias[:, None]

    def push(self, m: np.ndarray, mask: np.ndarray, units: np.ndarray, advances: np.ndarray) -> np.ndarray:
        """Return the weights a₀, …, a_K of the next frames, ``(1 + K, L, N)``, complex64.

        Parameters
        ----------
        m, mask : ndarray
            Magnitudes at unit level and mask, ``(F, N)``.
        units : ndarray
            Twice the outputs of the sub-bands of the prior, ``(N, V, B)``.
        advances : ndarray
            Phase advances ``(K, L, N)``, complex.
        """
        inputs = self._inputs(m, mask, units, advances)
        outputs = np.empty((len(inputs), *self._output_shape), np.float32)
        for frame, output in zip(inputs, outputs, strict=True):
            self._bank.step(frame)
            self._output.dot(self._bank.doubled_outputs, output)
        outputs += self._output_bias
        weights = np.empty((len(inputs), len(self._output) // 2, self._filter.bins), np.complex64)
        weights.real, weights.imag = outputs[:, ::2], outputs[:, 1::2]
        return weights.transpose(1, 2, 0)

    @property
    def _output_shape(self) -> tuple[int, int]:
        return len(self._output), self._filter.bins

    def _inputs(self, m: np.ndarray, mask: np.ndarray, units: np.ndarray, advances: np.ndarray) -> np.ndarray:
        """Return the inputs of the recurrent layer, ``(N, I, L)``."""
        features = np.matmul(self._features, units) + self._features_bias  # (N, E, B)
        phases = np.empty((m.shape[1], 2 * len(advances), self._filter.bins), np.float32)
        phases[:, ::2], phases[:, 1::2] = advances.real.transpose(2, 0, 1), advances.imag.transpose(2, 0, 1)
        parts = [
            _read(LOG_SCALE * np.log(m + np.float32(MAGNITUDE_FLOOR)), self._magnitudes, NOTHING),
            _read(LOGIT_SCALE * _logit(mask), self._masks, 0.0),
            features[:, :, self._subbands],
            phases,
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)


NOTHING = LOG_SCALE * math.log(MAGNITUDE_FLOOR)
"""What stands for a magnitude beyond the band."""


def _read(values: np.ndarray, read: np.ndarray, beyond: float) -> np.ndarray:
    """Return the values ``(F, N)`` of the bins around each, ``(N, read, L)``, and `beyond` for none."""
    last = np.full((1, values.shape[1]), beyond, values.dtype)
    return np.concatenate([values, last])[read].transpose(2, 0, 1)


def _logit(mask: np.ndarray) -> np.ndarray:
    inside = np.clip(mask, np.float32(MASK_FLOOR), np.float32(1 - MASK_FLOOR))
    return np.log(inside / (1 - inside))
