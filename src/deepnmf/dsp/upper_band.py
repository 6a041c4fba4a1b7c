"""Gains above the band of a model, from its mask below and the recording's own spectrum above.

The mean of the mask in the top of the model's band is the share of speech in a frame, and its tilt there the change of
that share with frequency: both are carried upwards. A band above holds noise of its own, which is tracked while the
mask is low; a band that does not rise above its noise is attenuated further. Without that, noise above 8 kHz would pass
at the gain of every vowel, full-height streaks in the spectrogram. A mask of ones gives gains of one.
"""

from __future__ import annotations

import math

import numpy as np

BAND_BINS = 64
"""Distance of the bands, which are triangles: 2 kHz at 31.25 Hz a bin."""
TOP_PARTS = 3
"""Parts of the top of the model's band between which the tilt of the mask is measured."""
TILT_WEIGHT = 0.2
"""Weight of a frame in the tilt: a time constant of 45 ms at 10 ms a frame."""
STEEPEST = -2.0
"""Smallest logarithm that the tilt may add to a gain: −17 dB."""
NOISE_WEIGHT = 0.08
"""Largest weight of a frame without speech in the noise of a band; fewer frames have a plain mean."""
SPEECH_ABSENCE = 4
"""Exponent of 1 − gain in that weight: frames with some speech count little."""
PAST_WEIGHT = 0.9
"""Weight of the last frame's estimate in the speech power of a band (Ephraim & Malah's decision-directed estimate)."""
LEAST_SHARE = 0.003
"""Smallest share of speech in a band; near zero its root, a gain, would magnify rounding."""
MASK_FLOOR = 1e-3
"""Smallest mask whose tilt counts."""
LEAST_MAGNITUDE = np.finfo(np.float32).tiny ** 0.5
"""Added to magnitudes that are weights, so that silence has a plain mean."""
TINY = 1e-30
"""Power below anything audible, so that silence has a gain."""
SILENCE = np.array(LEAST_MAGNITUDE, np.float32)
"""Converted once, as a scalar is for each use."""
RULES = {
    "band_bins": BAND_BINS,
    "top_parts": TOP_PARTS,
    "tilt_weight": TILT_WEIGHT,
    "steepest": STEEPEST,
    "noise_weight": NOISE_WEIGHT,
    "speech_absence": SPEECH_ABSENCE,
    "past_weight": PAST_WEIGHT,
    "least_share": LEAST_SHARE,
    "mask_floor": MASK_FLOOR,
    "least_magnitude": float(LEAST_MAGNITUDE),
    "tiny": TINY,
}
"""The constants by name, for implementations in other languages."""


class UpperBand:
    """Gains of the bins from `first` to `bins`, frame by frame.

    Parameters
    ----------
    top : slice
        The top of the model's band, bins whose mask is extrapolated; it ends where the upper band begins.
    bins : int
        Bins at the recording's rate.

    Attributes
    ----------
    spread : ndarray
        Interpolates B bands at the bins above, ``(bins above, B)``.
    pooling : ndarray
        Averages the bins above into bands, ``(B, bins above)``.
    parts : ndarray
        Sums the top into parts, ``(TOP_PARTS, bins of the top)``.
    steps : ndarray
        Distances of the bands from the top, in parts, ``(B,)``.

    Notes
    -----
    Chosen on recorded 48 kHz speech in six noises at 0 and 8 dB (benchmarks/upper_band.py), above 8.5 kHz: with a
    single gain noise is attenuated by 25.8 dB, with the tilt alone by 27.4 dB, with noise tracking by more than 31 dB,
    at the same SDR of speech and a smaller log-spectral distance.
    """

    def __init__(self, top: slice, bins: int) -> None:
        self.top = top
        above = np.arange(top.stop, bins)
        count = min(len(above), 2 + round(len(above) / BAND_BINS))
        centres = np.linspace(above[0], above[-1], count)
        distance = np.abs(above[:, None] - centres) * (max(1, count - 1) / max(1, len(above) - 1))
        self.spread = np.maximum(0, 1 - distance).astype(np.float32)  # (bins above, B): sums to 1 over bands
        self.pooling = np.ascontiguousarray((self.spread / self.spread.sum(axis=0)).T)
        part = (top.stop - top.start) / TOP_PARTS
        bins_below = np.arange(top.stop - top.start)
        self.parts = (bins_below // part == np.arange(TOP_PARTS)[:, None]).astype(np.float32)  # (TOP_PARTS, bins)
        self.steps = (centres - top.stop) / part  # distances of the bands, in parts
        self._tilt = 0.0
        self._counted = 0.0
        self._noise = np.zeros(count)
        self._speech = np.zeros(count)

    def push(self, mask: np.ndarray, magnitudes: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Return the gains of the next frames.

        Parameters
        ----------
        mask, magnitudes : ndarray
            Of the model's band, ``(F, N)``.
        power : ndarray
            Power of the bins above, ``(bins above, N)``.

        Returns
        -------
        ndarray
            Shape ``(bins above, N)``, in [0, 1], float32.
        """
        weights = magnitudes[self.top] + SILENCE
        total, masked = (self.parts.dot(x).T.tolist() for x in (weights, mask[self.top] * weights))
        bands = self.pooling.dot(power).T.astype(np.float64)
        gains = np.empty(bands.shape, np.float32)
        for row, *frame in zip(gains, total, masked, bands, strict=True):
            row[:] = self._next(*frame)
        return self.spread.dot(gains.T)

    def _next(self, total: list[float], masked: list[float], power: np.ndarray) -> np.ndarray:
        """Return the gains ``(B,)`` of a frame, from magnitudes in the parts, masked ones, and power of the bands."""
        mean = min(1.0, sum(masked) / sum(total))
        low, high = (masked[part] / total[part] + MASK_FLOOR for part in (0, -1))
        self._tilt += TILT_WEIGHT * (math.log(high / low) / (TOP_PARTS - 1) - self._tilt)
        carried = mean * np.exp(np.maximum(STEEPEST, min(0.0, self._tilt) * self.steps))
        absence = (1 - mean) ** SPEECH_ABSENCE
        self._counted += absence
        self._noise += absence * max(NOISE_WEIGHT, 1 / max(1, self._counted)) * (power - self._noise)
        speech = np.maximum(power - self._noise, 0)
        speech *= 1 - PAST_WEIGHT
        speech += PAST_WEIGHT * self._speech
        speech += TINY
        share = np.maximum(speech / (speech + self._noise), LEAST_SHARE)
        self._speech = share * share * power
        share *= carried
        return np.minimum(carried, np.sqrt(share))
