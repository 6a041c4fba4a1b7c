"""Rooms for training: measured responses and simulated ones, split where early reflections end.

The target of enhancement is the direct sound with the early reflections, which are perceived as part of the voice;
late reverberation counts as noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio.files import find_audio, read_mono

EARLY_SECONDS = 0.05
"""Reflections up to this after the direct sound are early."""
ONSET_SECONDS = 0.001
"""Kept of a measured response before its peak."""
SIMULATED_SHARE = 0.5
DECAY_SECONDS, DIRECT_TO_REVERBERANT_DB, FIRST_REFLECTION_SECONDS = (0.15, 0.8), (-3.0, 12.0), (0.001, 0.01)
"""Bounds of simulated rooms: time of a decay by 60 dB, level of the direct sound, delay of the first reflection."""


@dataclass(frozen=True)
class Room:
    """An impulse response from mouth to microphone as the sum of two parts, each ``(samples,)``, float32."""

    early: np.ndarray
    late: np.ndarray


class Rooms:
    """Draw rooms: those measured in a folder, if there is one, and simulated ones.

    Parameters
    ----------
    folder : Path
        Audio files of impulse responses; it may be missing.
    rate_hz : int
        Sampling rate.
    """

    def __init__(self, folder: Path, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        paths = find_audio(folder) if Path(folder).is_dir() else []
        self._measured = [split(from_onset(read_mono(path, rate_hz), rate_hz), rate_hz) for path in paths]

    def draw(self, rng: np.random.Generator) -> Room:
        """Return a room."""
        if self._measured and rng.random() > SIMULATED_SHARE:
            return self._measured[rng.integers(len(self._measured))]
        return split(simulated(rng, self._rate_hz), self._rate_hz)


def from_onset(response: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return a response ``(samples,)`` from just before its direct sound on, whose peak becomes 1."""
    peak = int(np.argmax(np.abs(response)))
    return response[max(0, peak - int(ONSET_SECONDS * rate_hz)) :] / response[peak]


def simulated(rng: np.random.Generator, rate_hz: int) -> np.ndarray:
    """Return the response ``(samples,)`` of a diffuse room: a direct sound of 1, then decaying noise (Polack 1988)."""
    decay = rng.uniform(*DECAY_SECONDS)
    seconds = np.arange(int(decay * rate_hz)) / rate_hz
    tail = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / decay)
    tail[: int(rng.uniform(*FIRST_REFLECTION_SECONDS) * rate_hz)] = 0
    tail *= 10 ** (-rng.uniform(*DIRECT_TO_REVERBERANT_DB) / 20) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return tail.astype(np.float32)


def split(response: np.ndarray, rate_hz: int) -> Room:
    """Return a response ``(samples,)`` that begins with its direct sound as its early and its late part."""
    end = int((ONSET_SECONDS + EARLY_SECONDS) * rate_hz)
    late = response.copy()
    late[:end] = 0
    return Room(response[:end], late)


def convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return samples ``(samples,)`` in a room, of the same length.

    Examples
    --------
    >>> convolved(np.array([1.0, 0.0, 2.0]), np.array([1.0, 0.5])).round(6).tolist()
    [1.0, 0.5, 2.0]
    """
    from scipy import fft  # here, as a light install has no SciPy

    size = fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    spectrum = fft.rfft(samples, size) * fft.rfft(response, size)
    return np.asarray(fft.irfft(spectrum, size)[: len(samples)], samples.dtype)
