"""Cross-synthesis: a new noise from two, the fine structure of one with the slow spectral envelope of the other."""

from __future__ import annotations

import numpy as np

from ..config import StftSpec
from ..dsp.stft import istft, stft
from .waveforms import log_uniform

WINDOW_MS = 32.0
BANDS = (10, 28)
"""Bounds of the number of bands; few of them leave the resonances of the texture unchanged."""
WARP_HZ = 500.0
"""Bands are equally wide up to about here, and wider in proportion to frequency above."""
SMOOTHING_SECONDS = (0.02, 0.6)
"""Bounds of the standard deviation of the smoothing over time: short ones take over bursts, long ones a spectrum."""
FLOOR, SILENT_BAND = 1e-4, 1e-6
"""Least power of the texture, relative to its mean in the band and to its strongest band: bounds the whitening."""


def crossed(texture: np.ndarray, envelope: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return a noise with the fine structure of one sound and the slow band powers of another.

    Parameters
    ----------
    texture, envelope : ndarray
        Two sounds ``(samples,)``.
    rate_hz : int
        Sampling rate.
    rng : Generator
        Draws the number of bands and the smoothing.

    Returns
    -------
    ndarray
        ``(samples,)``, float32.
    """
    spec = _spec(rate_hz)
    spectra = stft(np.stack([texture, envelope]), spec)
    weights = _bands(spec, int(rng.integers(BANDS[0], BANDS[1] + 1)))
    powers = _smoothed(weights @ np.square(np.abs(spectra)), log_uniform(SMOOTHING_SECONDS, rng), spec)
    means = powers[0].mean(axis=1, keepdims=True)
    whitened = np.maximum(powers[0], np.maximum(FLOOR * means, SILENT_BAND * means.max()))
    tiny = np.finfo(np.float32).tiny
    gains = np.exp(weights.T @ (0.5 * (np.log(powers[1] + tiny) - np.log(whitened + tiny))))
    return istft((spectra[0] * gains)[None], spec, len(texture))[0]


def _spec(rate_hz: int) -> StftSpec:
    """Return a transform with windows that overlap by half."""
    window = round(rate_hz * WINDOW_MS / 1000)
    return StftSpec(rate_hz, WINDOW_MS, WINDOW_MS / 2, 1 << max(2, (window - 1).bit_length()))


def _bands(spec: StftSpec, count: int) -> np.ndarray:
    """Return overlapping triangles ``(count, F)`` that sum to 1 in each bin."""
    hertz = np.linspace(0, spec.rate_hz / 2, spec.bins)
    places = (count - 1) * np.log1p(hertz / WARP_HZ) / np.log1p(hertz[-1] / WARP_HZ)
    return np.maximum(0, 1 - np.abs(places - np.arange(count)[:, None])).astype(np.float32)


def _smoothed(powers: np.ndarray, seconds: float, spec: StftSpec) -> np.ndarray:
    """Return powers ``(…, N)`` smoothed over time by a Gaussian."""
    frames = np.arange(powers.shape[-1], dtype=np.float32)
    distances = (frames - frames[:, None]) * (spec.hop / spec.rate_hz / seconds)
    kernel = np.exp(-0.5 * np.square(distances))
    return np.asarray(powers @ (kernel / kernel.sum(axis=0)), np.float32)
