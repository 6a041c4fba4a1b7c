"""Speed, level and fades of waveforms, and random factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..audio.files import resample


def at_some_speed(
    read: Callable[[int], np.ndarray],
    samples: int,
    rate_hz: int,
    share: float,
    bounds: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return about `samples` samples from `read`, in a `share` of the draws at another speed.

    Parameters
    ----------
    read : callable
        Takes a number of samples and returns at most as many, ``(samples,)``.
    samples, rate_hz : int
        How many to read, at which rate.
    share : float
        Of the draws with another speed, which changes pitch and formants too.
    bounds : tuple of float
        Of the factor; its logarithm is uniform.
    rng : Generator
        Random source.
    """
    if rng.random() > share:
        return read(samples)
    played_hz = round(rate_hz * log_uniform(bounds, rng))
    return resample(read(samples * played_hz // rate_hz + 1), played_hz, rate_hz)


def faded(samples: np.ndarray, fade: int) -> np.ndarray:
    """Return ``(samples,)`` with `fade` samples at each end, half of them all at most, faded from and to silence.

    Examples
    --------
    >>> faded(np.ones(6), 2).tolist()
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    fade = min(fade, len(samples) // 2)
    gains = np.minimum(1, np.arange(len(samples)) / max(fade, 1))
    return (samples * gains * gains[::-1]).astype(samples.dtype)


def log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """Return a number between two positive bounds, whose logarithm is uniform."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def unit_power(samples: np.ndarray) -> np.ndarray:
    """Return samples at unit power, or silence."""
    power = float(np.square(samples).mean()) if len(samples) else 0.0
    return samples / np.float32(np.sqrt(power)) if power > 0 else samples


def at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Return samples amplified by `decibels`."""
    return samples * np.float32(10 ** (decibels / 20))
