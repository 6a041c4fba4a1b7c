"""Mixtures of speech and noise at a given signal-to-noise ratio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio.files import read_mono
from ..errors import DeepnmfError
from .manifest import MixtureEntry

PEAK = 0.99
"""Mixtures that would clip are scaled down to this peak, their parts with them."""
ACTIVE_BELOW_PEAK_DB = 60.0
ACTIVE_BLOCK_SECONDS = 0.02


@dataclass(frozen=True)
class Mixture:
    """A mixture and its parts, each ``(samples,)``, float32; ``noisy = speech + noise``."""

    noisy: np.ndarray
    speech: np.ndarray
    noise: np.ndarray
    rate_hz: int


def load_mixture(row: MixtureEntry, rate_hz: int) -> Mixture:
    """Read or mix the signals of a manifest row at `rate_hz`, mono.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, speech or noise is silent, or a pair differs in length.
    """
    speech = read_mono(Path(row.speech), rate_hz)
    if row.noisy is not None:
        noisy = read_mono(Path(row.noisy), rate_hz)
        if len(noisy) != len(speech):
            raise DeepnmfError(f"{row.noisy}: {len(noisy)} samples, but its clean file {row.speech} has {len(speech)}")
        return Mixture(noisy, speech, noisy - speech, rate_hz)
    assert row.noise is not None
    assert row.snr_db is not None
    noise = without_silence(read_mono(Path(row.noise), rate_hz), rate_hz)
    if not noise.size:
        raise DeepnmfError(f"{row.noise}: the noise is silent")
    if not speech.any():
        raise DeepnmfError(f"{row.speech}: the speech is silent")
    start = int(row.noise_start * len(noise))
    return mix(speech, np.take(noise, np.arange(start, start + len(speech)), mode="wrap"), row.snr_db, rate_hz)


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float, rate_hz: int) -> Mixture:
    """Scale `noise` to `snr_db` below `speech` (mean power over the excerpt) and add; both ``(samples,)``.

    Examples
    --------
    >>> m = mix(np.full(4, 0.1, np.float32), np.full(4, 0.3, np.float32), 20.0, 16000)
    >>> round(float(m.noise[0]), 4)
    0.01
    """
    powers = [float(np.square(x, dtype=np.float64).mean()) for x in (speech, noise)]
    gain = np.float32(np.sqrt(powers[0] / max(powers[1], 1e-20)) * 10 ** (-snr_db / 20))
    noise = noise * gain
    noisy = speech + noise
    scale = np.float32(min(1.0, PEAK / max(float(np.abs(noisy).max()), 1e-20)))
    return Mixture(noisy * scale, speech * scale, noise * scale, rate_hz)


def without_silence(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return ``(samples,)`` without the blocks that are `ACTIVE_BELOW_PEAK_DB` below the loudest block.

    Some noise clips are mostly digital silence; an excerpt of it has no SNR.
    """
    block = int(ACTIVE_BLOCK_SECONDS * rate_hz)
    blocks = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
    power = np.square(blocks).mean(axis=1)
    if power.max(initial=0.0) == 0:
        return samples[:0]
    return blocks[power > power.max() * 10 ** (-ACTIVE_BELOW_PEAK_DB / 10)].ravel()
