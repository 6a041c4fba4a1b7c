"""Synthetic voices and noises, and the tiny corpus made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE_HZ = 16000
SPEECH_SECONDS = 1.5
NOISE_SECONDS = 3.0


@dataclass(frozen=True)
class TinyCorpus:
    """Two folders as a user would have them: speech by speaker, noise by type."""

    speech: Path
    noise: Path


def voice(pitch_hz: float, formant_hz: float, seed: int, seconds: float = SPEECH_SECONDS) -> np.ndarray:
    """Return syllables of a gliding harmonic complex under one formant, with pauses between, shape ``(samples,)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    glide = 1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz * glide) / RATE_HZ
    harmonics = np.arange(1, int(0.45 * RATE_HZ / (1.1 * pitch_hz)))
    gains = np.exp(-(((harmonics * pitch_hz - formant_hz) / 600) ** 2)) + 0.2 / harmonics
    sound = sum(gain * np.sin(k * phase) for k, gain in zip(harmonics, gains, strict=True))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(1.5, 2.5) * t + rng.uniform(0, 6)), 0, None)
    return (0.3 * syllables * sound / np.abs(sound).max()).astype(np.float32)


def noise(kind: str, seed: int, seconds: float = NOISE_SECONDS) -> np.ndarray:
    """Return noise of a kind: ``hiss`` (white), ``rumble`` (low and modulated) or ``hum`` (mains and hiss)."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(int(seconds * RATE_HZ))
    t = np.arange(len(white)) / RATE_HZ
    if kind == "rumble":
        spectrum = np.fft.rfft(white)
        spectrum /= np.maximum(1, np.arange(len(spectrum)) / (100 * seconds)) ** 1.5
        white = np.fft.irfft(spectrum, len(white)) * (1.2 + np.sin(2 * np.pi * 0.7 * t))
    if kind == "hum":
        white = 0.1 * white + sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) for k in (1, 2, 3, 5))
    return (0.2 * white / np.abs(white).max()).astype(np.float32)
