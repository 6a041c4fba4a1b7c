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
        self._floor = np.array(LEAST_POWER, np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget all frames."""
        self._past = np.zeros((self._channels, self._count, self.bins), np.complex64)

    def push(self, spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames that a filter weights, and the phase advances from those before to each present one.

        Parameters
        ----------
        spectra : ndarray
            The next frames at unit level, ``(channels, L, N)``.

        Returns
        -------
        ndarray
            ``(channels, N, 1 + K, L)``, from the oldest to the present.
        ndarray
            The phase advances ``(N, K, L)``, complex64 on the unit circle but for silence, from the oldest to the last:
            those of the mean cross-spectrum of the channels.
        """
        windows = self._windows(spectra.swapaxes(1, 2))
        frames = windows * self._turns
        cross = frames[:, :, :-1].conj()
        cross *= windows[:, :, -1:]
        advances = cross[0] if self._channels == 1 else cross.mean(axis=0)
        size = np.abs(advances)
        size += self._floor
        advances /= size
        return frames, advances

    def _windows(self, spectra: np.ndarray) -> np.ndarray:
        """Return each of the next frames ``(channels, N, L)`` after its last K, ``(channels, N, 1 + K, L)``."""
        joined = np.concatenate([self._past, spectra], axis=1)
        frames = spectra.shape[1]
        if frames == 1:
            self._past = joined[:, 1:]
            return joined[:, None]
        self._past = joined[:, frames:].copy()
        return np.moveaxis(sliding_window_view(joined, self._count + 1, axis=1), 3, 2)
