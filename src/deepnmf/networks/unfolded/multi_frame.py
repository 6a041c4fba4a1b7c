"""A multi-frame filter behind the mask: present and past frames of the lowest bins, each with a complex weight.

A mask leaves the phase of the mixture as it is. Where a harmonic of the voice and a noise share a bin, a few frames
with their phases can separate them: the filter (Mack & Habets 2020, §II; Schröter et al. 2022, "deep filtering") gives

    E = M · ( X + a₀ X + Σ_k a_k P_k ),   k = 1 … K,

where P_k is the k-th frame before, with its phase advanced by k hops at the frequency of the bin, so that a steady
sinusoid at the centre of a bin has P_k = X. All frames are past or present: the latency is that of the mask. The
weights come from a small LSTM that runs in each bin with shared weights. It reads the log magnitudes of a few bins
around, the mask, features of the units of its sub-band in the recurrent prior (:mod:`.prior`), and the phase advances
from each P_k to X (:class:`deepnmf.dsp.past_frames.PastFrames`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...artifacts.schema import ArraySpec, Shapes
from ...errors import DeepnmfError
from .. import aligned
from ..cells import LSTM, cell_arrays, cell_specs, cells_from_arrays, random_cells
from ..layers import uniform_layer
from ..recurrence import ONE, LSTMBank, in_blocks

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
NOTHING = math.log(MAGNITUDE_FLOOR)
"""Log magnitude that stands for bins beyond the band."""
FLOOR, LEAST, MOST = (np.array(value, np.float32) for value in (MAGNITUDE_FLOOR, MASK_FLOOR, 1 - MASK_FLOOR))


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


class MultiFrameStream:
    """The weights of a stream of frames, in blocks of any size; the states start at zero.

    Parameters
    ----------
    multi_frame : MultiFrameFilter
        The weights.
    bins : int
        F.
    subbands : ndarray
        The sub-band ``(L,)`` of each bin.
    """

    def __init__(self, multi_frame: MultiFrameFilter, bins: int, subbands: np.ndarray) -> None:
        self._bins, self._subbands = multi_frame.bins, subbands
        self._bank = LSTMBank(layer_at_work(multi_frame), multi_frame.bins, _ends(multi_frame))
        weights = np.concatenate([multi_frame.output_bias[:, None], multi_frame.output / 2], axis=1)  # (2·(1+K), 1+U)
        oldest_first = weights.reshape(-1, 2, weights.shape[1])[::-1]
        self._output = aligned.copy(oldest_first.reshape(weights.shape).T)
        around = self._around = _Around(multi_frame.bins, bins, 1)
        self._logs, self._logits = around.logs[0], around.logits[0]
        self._outputs = aligned.zeros(multi_frame.bins, len(weights))
        self._weights = self._outputs.view(np.complex64).T[None]

    def push(self, m: np.ndarray, mask: np.ndarray, features: np.ndarray, advances: np.ndarray) -> np.ndarray:
        """Return the weights a_K, …, a₀ of the next frames, ``(N, 1 + K, L)``, complex64; of one, until the next.

        Parameters
        ----------
        m, mask : ndarray
            Magnitudes at unit level and mask, ``(F, N)``.
        features : ndarray
            Features of the sub-bands without their bias, ``(N, E, B)``.
        advances : ndarray
            Real and imaginary parts of the phase advances ``(N, 2, K, L)``
            (:class:`deepnmf.dsp.past_frames.PastFrames`).
        """
        frames = len(advances)
        phases = advances.reshape(frames, -1, self._bins)
        if frames == 1:
            self._step(m, mask, features[0], phases[0])
            return self._weights
        return self._run(m, mask, features, phases)

    def _step(self, m: np.ndarray, mask: np.ndarray, features: np.ndarray, phases: np.ndarray) -> None:
        """Write the weights of a frame."""
        bank = self._bank
        self._around.write(m, mask)
        of_logs, of_logits, of_features, of_phases = bank.inputs
        of_logs[:], of_logits[:], of_phases[:] = self._logs, self._logits, phases
        features.take(self._subbands, 1, of_features, "clip")
        bank.step()
        bank.known.T.dot(self._output, self._outputs)

    def _run(self, m: np.ndarray, mask: np.ndarray, features: np.ndarray, phases: np.ndarray) -> np.ndarray:
        """Return the weights of some frames."""
        bank, around = self._bank, _Around(self._bins, len(m), len(phases))
        around.write(m, mask)
        outputs = np.empty((len(phases), *self._outputs.T.shape), np.float32)
        given = around.logs, around.logits, phases, features, outputs
        for logs, logits, of_phases, of_subbands, out in in_blocks(*given):
            inputs = bank.inputs_of(len(out))
            inputs[0][:], inputs[1][:], inputs[3][:] = logs, logits, of_phases
            inputs[2][:] = of_subbands.take(self._subbands, 2)
            np.matmul(self._output.T, bank.push(len(out)), out)
        weights = np.empty((len(phases), *self._weights.shape[1:]), np.complex64)
        weights.real, weights.imag = outputs[:, ::2], outputs[:, 1::2]
        return weights


class _Around:
    """Log magnitudes and logits of the mask around each of the lowest L of some frames; constants stand for no bin.

    Attributes
    ----------
    logs, logits : ndarray
        ``(N, 2·AROUND + 1, L)`` and ``(N, MASKS, L)``, views.
    """

    def __init__(self, filtered_bins: int, bins: int, frames: int) -> None:
        side = MASKS // 2
        self._arguments = np.ones((frames, 2 * (filtered_bins + AROUND + side)), np.float32)  # 1 has the log 0
        self._values = np.empty_like(self._arguments)
        arguments, values = (np.split(x, [filtered_bins + 2 * AROUND], axis=1) for x in (self._arguments, self._values))
        arguments[0][:] = FLOOR
        self._floored = arguments[0][:, AROUND : AROUND + min(bins, filtered_bins + AROUND)]
        self._odds = arguments[1][:, side : side + min(bins, filtered_bins + side)]
        self.logs, self.logits = (sliding_window_view(each, filtered_bins, axis=1) for each in values)

    def write(self, m: np.ndarray, mask: np.ndarray) -> None:
        """Take the frames, ``(F, N)`` each."""
        floored, odds = self._floored, self._odds
        np.add(m[: floored.shape[1]].T, FLOOR, floored)
        np.maximum(mask[: odds.shape[1]].T, LEAST, out=odds)
        np.minimum(odds, MOST, out=odds)
        odds /= ONE - odds
        np.log(self._arguments, self._values)


def layer_at_work(multi_frame: MultiFrameFilter, oldest_first: bool = True) -> LSTM:
    """Return the layer with scales and constants of its inputs in its weights.

    The phase advances are read as all real and then all imaginary parts.
    """
    cell, past = multi_frame.cell, multi_frame.past_frames
    logs, logits, features, phases = np.split(cell.input_weights, _ends(multi_frame), axis=1)
    bias = cell.input_bias + features @ multi_frame.features_bias
    by_part = phases.reshape(-1, past, 2)[:, :: -1 if oldest_first else 1].swapaxes(1, 2).reshape(phases.shape)
    weights = np.concatenate([LOG_SCALE * logs, LOGIT_SCALE * logits, features, by_part], axis=1)
    return LSTM(weights.astype(np.float32), bias, cell.state_weights, cell.state_bias)


def _ends(multi_frame: MultiFrameFilter) -> list[int]:
    """Return where log magnitudes, logits and features end in the inputs of the recurrent layer."""
    return [*itertools.accumulate([2 * AROUND + 1, MASKS, len(multi_frame.features)])]
