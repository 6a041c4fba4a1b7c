"""Perceptual loss: audible differences of loudness, as PESQ rates them (ITU-T P.862, P.862.2), differentiable.

PESQ's own model of hearing, as far as powers of bins allow (Martín-Doñas et al. 2018): both signals at one level, Bark
bands, gains of bands and frames that are not held against the estimate, loudness above the threshold in quiet, and
disturbances, of which added noise counts for more than missing speech. Unlike PESQ, it does not search for delays.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..config import StftSpec
from ..dsp.stft import window

HIGHEST_HZ = 8000
BARK_WIDTH = 0.4
"""Of a band: 50 up to 8 kHz; P.862.2 has 49."""
LEVEL_BAND_HZ, LEVEL = (325, 3250), 1e7
"""Where the level is measured, and the mean square of samples that both signals are brought to."""
LEAST_ACTIVE = 1e7
"""Audible power of a frame from which it counts for the gains of bands."""
BAND_SCALE = 50.0
"""From the mean square of samples in a band to its power in PESQ."""
PRE_EMPHASIS = (2.740826, -5.4816519, 2.740826), (1.0, -1.9444777, 0.94597794)
"""The input filter of P.862.2, numerator and denominator: a high-pass at 100 Hz."""
THRESHOLD_HZ = 30, 60, 100, 200, 300, 500, 700, 1000, 1500, 2500, 8000
THRESHOLD_DB = 64.0, 49.0, 36.5, 20.0, 10.0, -0.5, -4.5, -6.0, -5.0, -3.0, -3.0
"""Threshold in quiet, as powers of bands."""
LOUDNESS_POWER, LOUDNESS_SCALE = 0.23, 0.1866
"""Of Zwicker's law: exponent, raised below 4 Bark, and scale."""
DEAD_ZONE = 0.25
"""Differences up to this share of the smaller loudness are inaudible."""
SYMMETRIC_SHARE, ADDED_SHARE = 0.1, 0.0309
"""Weights of both disturbances in PESQ."""
LARGEST = 45.0
"""Limit of the disturbance of a frame."""
PIECE_SECONDS = 0.32
"""Of pieces, half overlapping, in which loud disturbances count for more than the mean: a norm of order 6."""


def perceptual_loss(estimate: Tensor, speech: Tensor, spec: StftSpec, least_speech: float) -> Tensor:
    """Return the mean over segments of what disturbances take from a PESQ of 4.5, before its last mapping.

    Parameters
    ----------
    estimate, speech : Tensor
        Powers of the bins, ``(S, F, N)``, of any scale each.
    spec : StftSpec
        The transform.
    least_speech : float
        Energy of a segment from which it counts; others are 0.

    Returns
    -------
    Tensor
        A number from 0 to 5.9.
    """
    hearing = _hearing_on(spec, speech.device, speech.dtype)
    past = 0.2 ** (spec.hop_ms / 16)  # PESQ has a hop of 16 ms
    clean, degraded = _compensated(hearing, hearing.bands(speech), hearing.bands(estimate), past)
    symmetric, added = _disturbances(hearing, clean, degraded)
    weight = ((hearing.audible(clean) + 1e5) / 1e7) ** 0.04
    symmetric, added = (_over_time((x / weight).clamp_max(LARGEST), spec) for x in (symmetric, added))
    lost = SYMMETRIC_SHARE * symmetric + ADDED_SHARE * added
    return (lost * (speech.sum((1, 2)) > least_speech)).mean()


def _disturbances(hearing: _Hearing, clean: Tensor, degraded: Tensor) -> tuple[Tensor, Tensor]:
    """Return the disturbances of the frames ``(S, N)``: of all kinds, and mainly of what was added."""
    loud, expected = hearing.loudness(degraded), hearing.loudness(clean)
    difference = loud - expected
    audible = (difference.abs() - DEAD_ZONE * torch.minimum(loud, expected)).clamp_min(0)
    excess = ((degraded + 50) / (clean + 50)) ** 1.2
    excess = torch.where(excess < 3, torch.zeros_like(excess), excess.clamp_max(12))
    width = BARK_WIDTH * len(hearing.threshold)
    norm = (BARK_WIDTH**2 * audible.square()).sum(1).add(1e-12).sqrt()
    return width**0.5 * norm, BARK_WIDTH * (audible * excess).sum(1)


def _compensated(hearing: _Hearing, clean: Tensor, degraded: Tensor, past: float) -> tuple[Tensor, Tensor]:
    """Return the bands with the gains that PESQ does not hold against a signal: of bands, and of frames, smoothed."""
    active = (hearing.audible(clean, 100) >= LEAST_ACTIVE)[:, None]
    of_bands = [(x * (active & (x > 100 * hearing.threshold))).mean(2, keepdim=True) for x in (degraded, clean)]
    clean = clean * ((of_bands[0] + 1e3) / (of_bands[1] + 1e3)).clamp(0.01, 100)
    of_frames = (hearing.audible(clean) + 5e3) / (hearing.audible(degraded) + 5e3)
    of_frames = torch.cat([of_frames[:, :1], (1 - past) * of_frames[:, 1:] + past * of_frames[:, :-1]], 1)
    return clean, degraded * of_frames.clamp(3e-4, 5)[:, None]


def _over_time(disturbances: Tensor, spec: StftSpec) -> Tensor:
    """Return the means ``(S,)`` over frames ``(S, N)``, in which loud pieces count for more."""
    length = min(max(2, round(PIECE_SECONDS * 1000 / spec.hop_ms)), disturbances.shape[1])
    pieces = (disturbances + 1e-6).unfold(1, length, -(-length // 2))
    of_pieces = pieces.pow(6).mean(2) ** (1 / 6)
    return of_pieces.square().mean(1).sqrt()


class _Hearing(NamedTuple):
    """The ear of P.862 for one transform."""

    matrix: Tensor
    """From powers of bins to those of bands, ``(B, F)``."""
    level: Tensor
    """From powers of bins to the mean square in the band of speech, ``(F,)``."""
    threshold: Tensor
    """In quiet, ``(B, 1)``."""
    exponent: Tensor
    """Of loudness, ``(B, 1)``."""

    def bands(self, powers: Tensor) -> Tensor:
        """Return the powers of the bands ``(S, B, N)``, at PESQ's level."""
        level = (self.level @ powers).mean(1)
        return (self.matrix @ powers) * (LEVEL / level.clamp_min(1e-12))[:, None, None]

    def audible(self, bands: Tensor, times: float = 1) -> Tensor:
        """Return the sum ``(S, N)`` of the bands that are above the threshold, times a factor."""
        return (bands * (bands > times * self.threshold)).sum(1)

    def loudness(self, bands: Tensor) -> Tensor:
        """Return the loudness of the bands, by Zwicker's law."""
        excess = (0.5 + 0.5 * (bands / self.threshold).clamp_min(1)) ** self.exponent - 1
        return LOUDNESS_SCALE * (2 * self.threshold) ** self.exponent * excess


@functools.cache
def _hearing_on(spec: StftSpec, device: torch.device, dtype: torch.dtype) -> _Hearing:
    """Return the constants on a device, copied once: the copy would wait for all work there."""
    with torch.inference_mode(False):
        return _Hearing(*(torch.from_numpy(x).to(device, dtype) for x in _hearing(spec)))


def _hearing(spec: StftSpec) -> tuple[np.ndarray, ...]:
    """Return the constants of :class:`_Hearing` in NumPy."""
    hertz = np.arange(spec.bins) * spec.rate_hz / spec.fft_size
    mean_square = 2 / (spec.fft_size * np.square(window(spec), dtype=float).sum())
    band_of_bin = (_bark(hertz) / BARK_WIDTH).astype(int)
    heard = (hertz > 0) & (hertz <= HIGHEST_HZ)
    bands = np.unique(band_of_bin[heard])
    ahead = np.exp(-2j * np.pi * hertz / spec.rate_hz)
    numerator, denominator = (np.polyval(x[::-1], ahead) for x in PRE_EMPHASIS)
    emphasis = np.square(np.abs(numerator / denominator)) * heard
    matrix = (band_of_bin == bands[:, None]) * (BAND_SCALE * mean_square * emphasis)
    level = mean_square * ((hertz >= LEVEL_BAND_HZ[0]) & (hertz <= LEVEL_BAND_HZ[1]))
    centre = (bands[:, None] + 0.5) * BARK_WIDTH
    threshold = 10 ** (np.interp(centre, _bark(np.array(THRESHOLD_HZ)), THRESHOLD_DB) / 10)
    return matrix, level, threshold, LOUDNESS_POWER * np.clip(6 / (centre + 2), 1, 2) ** 0.15


def _bark(hertz: np.ndarray) -> np.ndarray:
    """Return the critical-band rate (Wang, Sekey & Gersho 1992)."""
    return np.asarray(6 * np.arcsinh(hertz / 600))
