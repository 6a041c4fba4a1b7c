"""The last frames of a stream of spectra, for filters over several frames."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..config import StftSpec

LEAST_POWER = 1e-4
"""Added to the magnitude of a cross-spectrum at unit level: phases of silence mean nothing."""


def turns(spec: StftSpec, bins: int, past_frames: int) -> np.ndarray:
    """Return the factors ``(1 + K, bins)``, complex64, that advance the phase of each bin by K, …, 1, 0 hops.

    Examples
    --------
    >>> np.angle(turns(StftSpec(), bins=2, past_frames=1), deg=True).round().tolist()
    [[0.0, 113.0], [0.0, 0.0]]
    """
    hops = np.arange(past_frames, -1, -1)[:, None] * spec.hop * np.arange(bins)
    return np.exp(2j * np.pi * (hops % spec.fft_size) / spec.fft_size).astype(np.complex64)


class PastFrames:
    """The K frames before each of a stream's and itself, with the phases advanced to it; zeros before the first.

    Parameters
    ----------
    turns : ndarray
        Of :func:`turns`, ``(1 + K, L)``.
    channels : int
        Channels of the spectra.

    Attributes
    ----------
    bins : int
        L.
    """

    def __init__(self, turns: np.ndarray, channels: int) -> None:
        count, self.bins = turns.shape
        self._turns, self._channels, self._count = turns, channels, count - 1
        self._one_hop = turns[-2]
        self._back = turns[1:].conj()
        self._floor = np.array(LEAST_POWER, np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget all frames."""
        self._last = np.zeros((self._channels, self._count + 1, self.bins), np.complex64)

    def push(self, spectra: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames that a filter weights, and the phase advances from those before to each present one.

        Parameters
        ----------
        spectra : ndarray
            The next frames, ``(channels, bins, N)``, of which the lowest L are read; zeros stand for missing ones.
        scale : ndarray
            Factors ``(N,)`` that bring them to unit level.

        Returns
        -------
        ndarray
            ``(channels, N, 1 + K, L)``, from the oldest to the present; read-only.
        ndarray
            Real and imaginary parts of the phase advances ``(N, 2, K, L)``, on the unit circle but for silence, from
            the oldest to the last: those of the mean cross-spectrum of the channels.
        """
        lowest = spectra[:, : self.bins]
        frames = self._next(lowest, scale) if len(scale) == 1 else self._following(lowest, scale)
        cross = frames[:, :, :-1].conj()
        cross *= frames[:, :, -1:]
        mean = cross[0] if self._channels == 1 else cross.mean(axis=0)
        size = np.abs(mean)
        size += self._floor
        advances = np.empty((len(mean), 2, *mean.shape[1:]), np.float32)
        np.divide(mean.real, size, advances[:, 0])  # twice as fast as a complex number by another
        np.divide(mean.imag, size, advances[:, 1])
        return frames, advances

    def _next(self, spectra: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return what :meth:`push` does for one frame, from what it returned for the last."""
        frames = np.empty_like(self._last)
        np.multiply(self._last[:, 1:], self._one_hop, frames[:, :-1])
        np.multiply(spectra[:, :, 0], scale, frames[:, -1, : spectra.shape[1]])
        frames[:, -1, spectra.shape[1] :] = 0
        self._last = frames
        return frames[:, None]

    def _following(self, spectra: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return what :meth:`push` does for frames ``(channels, bins, N)``."""
        joined = np.zeros((self._channels, self._count + len(scale), self.bins), np.complex64)
        np.multiply(self._last[:, 1:], self._back, joined[:, : self._count])
        np.multiply(spectra.swapaxes(1, 2), scale[:, None], joined[:, self._count :, : spectra.shape[1]])
        windows = np.moveaxis(sliding_window_view(joined, self._count + 1, axis=1), 3, 2)
        frames = windows * self._turns
        self._last = frames[:, -1].copy()
        return frames
