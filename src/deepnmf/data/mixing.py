"""Mixtures of speech and noise at a given signal-to-noise ratio, in one piece or block by block in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import DeepnmfError
from .manifest import MixtureEntry
from .recordings import SILENT_PEAK, ActiveNoise, Recording, Taker

PEAK = 0.99
"""Mixtures that would clip are scaled down to this peak, their parts with them."""


@dataclass(frozen=True)
class Mixture:
    """A mixture and its parts, each ``(samples,)``, float32; ``noisy = speech + noise``."""

    noisy: np.ndarray
    speech: np.ndarray
    noise: np.ndarray
    rate_hz: int


def load_mixture(entry: MixtureEntry, rate_hz: int) -> Mixture:
    """Read or mix the signals of a manifest entry at `rate_hz`, mono.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, speech or noise is silent, or a pair differs in length.
    """
    noisy, speech, noise = np.concatenate(list(mixture_blocks(entry, rate_hz)), axis=1)
    return Mixture(noisy, speech, noise, rate_hz)


def mixture_blocks(entry: MixtureEntry, rate_hz: int) -> Iterator[np.ndarray]:
    """Yield the mixture of :func:`load_mixture` in blocks ``(3, n)`` of mixture, speech and noise.

    The files are decoded once before the first block, so that all their errors are raised before it.
    """
    speech = Recording(entry.speech, rate_hz)
    if entry.noisy is not None:
        return _pair_blocks(speech, Recording(entry.noisy, rate_hz))
    assert entry.noise is not None
    assert entry.snr_db is not None
    noise = ActiveNoise(Recording(entry.noise, rate_hz))
    return _mixed_blocks(speech, lambda: Taker(noise.excerpt(entry.noise_start), str(entry.noise)), entry.snr_db)


def _pair_blocks(speech: Recording, noisy: Recording) -> Iterator[np.ndarray]:
    lengths = [_checked_length(noisy, "noisy recording"), _checked_length(speech, "speech")]
    if lengths[0] != lengths[1]:
        raise DeepnmfError(f"{noisy.path}: {lengths[0]} samples, but its clean file {speech.path} has {lengths[1]}")
    taker = Taker(noisy.blocks(), noisy.path)
    for block in speech.blocks():
        both = taker.take(len(block))
        yield np.stack([both, block, both - block])


def _mixed_blocks(speech: Recording, noise: Callable[[], Taker], snr_db: float) -> Iterator[np.ndarray]:
    _checked_length(speech, "speech")
    gain = _noise_gain(*_energies(speech, noise()), snr_db)
    taker, peak = noise(), 0.0
    for block in speech.blocks():
        peak = max(peak, float(np.abs(block + gain * taker.take(len(block))).max(initial=0.0)))
    taker, scale = noise(), _scale(peak)
    for block in speech.blocks():
        scaled = gain * taker.take(len(block))
        yield np.stack([block + scaled, block, scaled]) * scale


def _checked_length(recording: Recording, what: str) -> int:
    """Return the number of samples of a recording; raise if it is silent."""
    length, peak = 0, 0.0
    for block in recording.blocks():
        length += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
    if peak <= SILENT_PEAK:
        raise DeepnmfError(f"{recording.path}: the {what} is silent; leave it out")
    return length


def _energies(speech: Recording, noise: Taker) -> tuple[float, float]:
    energies = np.zeros(2)
    for block in speech.blocks():
        energies += [np.square(x, dtype=np.float64).sum() for x in (block, noise.take(len(block)))]
    return float(energies[0]), float(energies[1])


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float, rate_hz: int) -> Mixture:
    """Scale `noise` to `snr_db` below `speech` (mean power over the excerpt) and add; both ``(samples,)``.

    Examples
    --------
    >>> m = mix(np.full(4, 0.1, np.float32), np.full(4, 0.3, np.float32), 20.0, 16000)
    >>> round(float(m.noise[0]), 4)
    0.01
    """
    energies = [float(np.square(x, dtype=np.float64).sum()) for x in (speech, noise)]
    noise = noise * _noise_gain(energies[0], energies[1], snr_db)
    noisy = speech + noise
    scale = _scale(float(np.abs(noisy).max()))
    return Mixture(noisy * scale, speech * scale, noise * scale, rate_hz)


def _noise_gain(speech_energy: float, noise_energy: float, snr_db: float) -> np.float32:
    return np.float32(np.sqrt(speech_energy / max(noise_energy, np.finfo(float).tiny)) * 10 ** (-snr_db / 20))


def _scale(peak: float) -> np.float32:
    return np.float32(min(1.0, PEAK / max(peak, 1e-20)))
