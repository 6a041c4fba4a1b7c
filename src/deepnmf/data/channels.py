"""Augmentation by recording channels: equalisation, resonances, band limits, gain changes, clipping."""

from __future__ import annotations

import numpy as np

from .waveforms import log_uniform

SPEECH_COLOUR_DB, NOISE_COLOUR_DB, WAVES = 3.0, 4.5, 6
"""Standard deviations of the lowest-order cosine over frequency of a random equaliser; noise may have any spectrum."""
RESONANCES, RESONANCE_HZ, RESONANCE_Q, RESONANCE_DB = (1, 5), (80.0, 7200.0), (2.0, 20.0), (-12.0, 12.0)
"""Bounds of the peaks and notches of a noise: their number, centre, quality and height."""
HIGHEST_HZ, LOWEST_HZ = (3300.0, 7500.0), (50.0, 300.0)
"""Bounds of the upper band edge of a channel, from that of a telephone on, and of its lower edge, if any."""
BEGINS_SHARE = 0.5
EDGE, STOP_DB, RUMBLE_DB = 0.12, 60.0, 40.0
"""Width of the upper edge, relative to its frequency, the attenuation beyond it, and that at 0 Hz."""
JUMP_DB = 15.0
"""Largest step of an automatic gain."""
CLIPPED_SHARE = (0.001, 0.03)
"""Bounds of the share of samples that are clipped."""


def colour(hertz: np.ndarray, spread_db: float, rng: np.random.Generator) -> np.ndarray:
    """Return the gains ``(F, 1)`` of a random equaliser that is smooth over the frequencies ``(F,)``."""
    waves = np.cos(np.pi * np.arange(1, WAVES + 1)[:, None] * hertz / hertz[-1])
    heights = spread_db * rng.standard_normal(WAVES) / np.sqrt(np.arange(1, WAVES + 1))
    return _gains(heights @ waves)


def resonances(samples: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return samples ``(samples,)`` through a few narrow peaks and notches, as of tubes, housings and small rooms."""
    from scipy.signal import sosfilt  # here, as a light install has no SciPy

    count = int(rng.integers(RESONANCES[0], RESONANCES[1] + 1))
    highest = min(RESONANCE_HZ[1], 0.45 * rate_hz)
    sections = [
        _peak(
            log_uniform((min(RESONANCE_HZ[0], highest), highest), rng) / rate_hz,
            log_uniform(RESONANCE_Q, rng),
            rng.uniform(*RESONANCE_DB),
        )
        for _ in range(count)
    ]
    return np.asarray(sosfilt(sections, samples), samples.dtype)


def _peak(centre: float, quality: float, decibels: float) -> list[float]:
    """Return the second-order section ``(6,)`` of a peak or notch; its centre is relative to the sampling rate."""
    angle, root = 2 * np.pi * centre, 10 ** (decibels / 40)
    width, middle = np.sin(angle) / (2 * quality), -2 * np.cos(angle)
    section = [1 + width * root, middle, 1 - width * root, 1 + width / root, middle, 1 - width / root]
    return [value / section[3] for value in section]


def band_limits(hertz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the gains ``(F, 1)`` of a channel that ends below, and may begin above, the frequencies ``(F,)``."""
    top = log_uniform(HIGHEST_HZ, rng)
    bottom = rng.uniform(*LOWEST_HZ) if rng.random() < BEGINS_SHARE else 0.0
    above = np.clip((hertz / top - 1) / EDGE, 0, 1)
    below = np.clip(1 - hertz / bottom, 0, 1) if bottom else 0
    return _gains(-STOP_DB * above - RUMBLE_DB * below)


def level_jump(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return gains ``(frames,)`` with one step, as by automatic gain control or a moving talker."""
    gains = np.ones(frames, np.float32)
    gains[rng.integers(frames) :] = 10 ** (rng.uniform(-JUMP_DB, JUMP_DB) / 20)
    return gains


def clipping(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the distortion added by clipping the largest of the samples ``(samples,)``."""
    top = np.quantile(np.abs(samples), 1 - rng.uniform(*CLIPPED_SHARE))
    return np.asarray(np.clip(samples, -top, top) - samples, samples.dtype)


def _gains(decibels: np.ndarray) -> np.ndarray:
    return np.asarray(10 ** (decibels / 20), np.float32)[:, None]
