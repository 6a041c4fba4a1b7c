"""Parts of synthetic sounds: coloured noise, slow random gains, damped modes, harmonics."""

from __future__ import annotations

import numpy as np

BUMPS, BUMP_DB = 7, 4.0
"""Cosines over frequency of a random spectrum, and the largest height of each."""
CORNER_HZ = 50.0
"""The spectrum of coloured noise is flat below."""
HIGHEST = 0.47
"""Highest frequency of a partial, relative to the sampling rate."""


def coloured(rng: np.random.Generator, samples: int, rate_hz: int, slope_db: float) -> np.ndarray:
    """Return stationary noise ``(samples,)`` with an uneven spectrum that falls by `slope_db` an octave."""
    hertz = np.fft.rfftfreq(samples, 1 / rate_hz)
    gain = (np.maximum(hertz, CORNER_HZ) / CORNER_HZ) ** (-slope_db / (20 * np.log10(2)))
    orders = range(1, BUMPS + 1)
    bumps = sum(rng.uniform(-1, 1) * np.cos(k * np.pi * hertz / hertz[-1] + rng.uniform(0, 6)) for k in orders)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * gain * 10 ** (BUMP_DB * bumps / 20)
    return np.fft.irfft(spectrum, samples)


def slow_gain(rng: np.random.Generator, samples: int, rate_hz: int, hertz: float, depth_db: float) -> np.ndarray:
    """Return a random gain that changes about `hertz` times a second with a standard deviation of `depth_db`."""
    knots = rng.standard_normal(int(samples / rate_hz * hertz * 2) + 3)
    at = np.linspace(0, len(knots) - 1, samples)
    return np.asarray(10 ** (depth_db * np.interp(at, np.arange(len(knots)), knots) / 20))


def damped_modes(
    hertz: np.ndarray, decays: np.ndarray, amplitudes: np.ndarray, samples: int, rate_hz: int
) -> np.ndarray:
    """Return the sum ``(samples,)`` of exponentially damped sinusoids.

    Parameters
    ----------
    hertz, decays, amplitudes : ndarray
        Of each mode, ``(K,)``: frequency, seconds until it has fallen to 1/e, complex amplitude. Modes at more than
        `HIGHEST` of the sampling rate are left out.
    samples, rate_hz : int
        Length and sampling rate.
    """
    rates = (2j * np.pi * hertz - 1 / decays) / rate_hz
    block = int(np.sqrt(samples)) + 1  # powers of e as a product of two short tables
    coarse = np.exp(np.outer(np.arange(0, samples, block), rates)) * (amplitudes * (hertz < HIGHEST * rate_hz))
    return (coarse @ np.exp(np.outer(rates, np.arange(block)))).real.ravel()[:samples]


def harmonics(hertz: np.ndarray, amplitudes: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return a tone ``(samples,)`` with a changing fundamental.

    Parameters
    ----------
    hertz : ndarray
        The fundamental over time, ``(samples,)``, limited to `HIGHEST` of the sampling rate.
    amplitudes : ndarray
        Complex amplitudes of the harmonics, ``(K,)``; those that would exceed the same limit are left out.
    rate_hz : int
        Sampling rate.
    """
    hertz = np.minimum(hertz, HIGHEST * rate_hz)
    kept = amplitudes[: max(1, int(HIGHEST * rate_hz / hertz.max()))]
    turns = np.exp(2j * np.pi * np.cumsum(hertz) / rate_hz)
    return np.asarray(np.polyval([*kept[::-1], 0], turns).imag)
