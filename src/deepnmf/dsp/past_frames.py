"""Past frames of a stream of spectra, for filters over several frames."""

from __future__ import annotations

import numpy as np

from ..config import StftSpec

LEAST_POWER = 1e-4
"""Added to the product of two magnitudes at unit level: phases of silence mean nothing."""


def turns(spec: StftSpec, bins: int, past_frames: int) -> np.ndarray:
    """Return the factors ``(K, bins)``, complex64, that advance the phase of each bin by 1, …, K hops.

    Examples
    --------
    >>> turns(StftSpec(), bins=2, past_frames=1).round(3).tolist()
    [[(1+0j), (-0.383+0.924j)]]
    """
    hops = np.arange(1, past_frames + 1)[:, None] * spec.hop * np.arange(bins)
    return np.exp(2j * np.pi * (hops % spec.fft_size) / spec.fft_size).astype(np.complex64)


class PastFrames:
    """The K frames before each of a stream's, with their phases advanced to it; zeros before the first.

    Parameters
    ----------
    turns : ndarray
        Of :func:`turns`, ``(K, L)``.
    channels : int
        Channels of the spectra.
    """

    def __init__(self, turns: np.ndarray, channels: int) -> None:
        self._turns = turns[:, None, :, None]  # (K, 1, L, 1)
        self._shape = channels, turns.shape[1], len(turns)
        self.clear()

    def clear(self) -> None:
        """Forget all frames."""
        self._past = np.zeros(self._shape, np.complex64)  # (channels, L, K)

    def push(self, spectra: np.ndarray) -> np.ndarray:
        """Return the frames before the next ones ``(channels, L, N)``: ``(K, channels, L, N)``, the nearest first."""
        count, frames = len(self._turns), spectra.shape[2]
        joined = np.concatenate([self._past, spectra], axis=2)
        self._past = joined[:, :, frames:].copy()
        return self._turns * np.stack([joined[:, :, count - k : count - k + frames] for k in range(1, count + 1)])


def phase_advances(spectra: np.ndarray, past: np.ndarray) -> np.ndarray:
    """Return the coherence of the present with each of the past frames, complex within the unit circle.

    That of one channel is the phase between them; several channels have one, as of the mean of their cross-spectra.

    Parameters
    ----------
    spectra : ndarray
        The present frames at unit level, ``(channels, L, N)``.
    past : ndarray
        Those before, ``(K, channels, L, N)``.

    Returns
    -------
    ndarray
        ``(K, L, N)``.
    """
    cross = (spectra * past.conj()).mean(axis=1)
    return cross / (np.sqrt(_power(spectra) * _power(past)) + np.float32(LEAST_POWER))


def _power(spectra: np.ndarray) -> np.ndarray:
    """Return the power of spectra ``(…, channels, L, N)``, its mean over the channels."""
    return (np.square(spectra.real) + np.square(spectra.imag)).mean(axis=-3)
