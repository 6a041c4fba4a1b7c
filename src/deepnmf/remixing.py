"""New mixtures from stored magnitudes: other levels and colours of speech and of noise, exactly as if mixed anew."""

from __future__ import annotations

import numpy as np

NOISE_GAIN_DB = (-5.0, 5.0)
"""Bounds of the gain of the noise, beside the SNR that the corpus was mixed at."""
CLEAN_SHARE = 0.04
CLEAN_GAIN_DB = -30.0
"""Share of segments that are nearly clean: speech without noise must pass unharmed."""
NOISE_ONLY_SHARE = 0.04
COLOUR_DB = 3.0
"""Standard deviation of the slowest wave of the random equaliser over frequency."""
WAVES = 6


def remixed(magnitudes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return magnitudes ``(3, F, N)`` of mixture, speech and noise after filtering speech and noise apart.

    With ``|M|² = |S|² + |N|² + X``, gains g and k on the bins of speech and noise give
    ``|M'|² = g²|S|² + k²|N|² + gkX``: no phase is needed. All is scaled so that the mixture keeps its
    mean power, as the level normalisation would do.
    """
    mixture, speech, noise = magnitudes
    cross = mixture**2 - speech**2 - noise**2
    speech_gain, noise_gain = (_colour(len(mixture), rng) for _ in range(2))
    draw = rng.random()
    noise_gain *= _ratio(CLEAN_GAIN_DB if draw < CLEAN_SHARE else rng.uniform(*NOISE_GAIN_DB))
    speech_gain *= 0.0 if draw > 1 - NOISE_ONLY_SHARE else 1.0
    speech, noise = speech_gain * speech, noise_gain * noise
    power = np.maximum(speech**2 + noise**2 + speech_gain * noise_gain * cross, 0)
    scale = np.sqrt(np.square(mixture).mean() / max(float(power.mean()), 1e-12))
    return np.asarray(scale * np.stack([np.sqrt(power), speech, noise]), np.float32)


def _colour(bins: int, rng: np.random.Generator) -> np.ndarray:
    """Return the gains ``(F, 1)`` of a random equaliser that is smooth over frequency."""
    waves = np.cos(np.pi * np.arange(1, WAVES + 1)[:, None] * np.arange(bins) / bins)
    heights = COLOUR_DB * rng.standard_normal(WAVES) / np.sqrt(np.arange(1, WAVES + 1))
    return np.asarray(_ratio(heights @ waves)[:, None], np.float32)


def _ratio(decibels: np.ndarray | float) -> np.ndarray:
    return np.asarray(10 ** (np.asarray(decibels) / 20))
