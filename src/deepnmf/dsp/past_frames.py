"""The last frames of a stream of spectra, for filters over several frames."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..config import StftSpec

LEAST_POWER = 1e-4
"""Added to the magnitude of a cross-spectrum at unit level: phases of silence mean nothing."""
FLOOR = np.array(LEAST_POWER, np.float32)


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
        self._scale, self._given = np.ones((), np.float32), self.bins
        self._one_hop, self._back = np.repeat(turns[None, None, -2:-1], self._count, axis=2), turns[1:].conj()
        self.clear()

    def clear(self) -> None:
        """Forget all frames."""
        self._of_one = [_Buffers(self._channels, self._count, self.bins) for _ in range(2)]  # by turns
        self._pushed = self._of_one[0]

    @property
    def frames(self) -> np.ndarray:
        """The frames of the last push and those before each, ``(channels, N, 1 + K, L)``, from the oldest on.

        Read-only; of one frame valid until the next.
        """
        return self._pushed.frames

    def push(self, spectra: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the phase advances to each of the next frames from those before.

        Parameters
        ----------
        spectra : ndarray
            The next frames, ``(channels, bins, N)``, of which the lowest L are read; zeros stand for missing ones.
        scale : ndarray
            Factors that bring them to unit level, ``(N,)``; of one frame also ``()``.

        Returns
        -------
        ndarray
            Real and imaginary parts of the phase advances ``(N, 2, K, L)``, on the unit circle but for silence, from
            the oldest to the last: those of the mean cross-spectrum of the channels.
        """
        lowest = spectra[:, : self.bins]
        self._given = lowest.shape[1]
        if spectra.shape[2] == 1:
            self._scale = scale
            last, present = self._of_one
            self._of_one = [present, last]
            np.multiply(last.but_oldest, self._one_hop, present.past)
            np.multiply(lowest, scale, present.newest[:, : self._given])
            self._pushed = present
        else:
            self._scale = scale[:, None]
            self._pushed = self._following(lowest, self._scale)
        return self._pushed.advance()

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sum of each frame and those before, at the level of the spectra.

        Parameters
        ----------
        weights : ndarray
            Of :attr:`frames`, ``(N, 1 + K, L)``, complex64.

        Returns
        -------
        ndarray
            ``(channels, L, N)``, without the bins that the spectra lack; of one frame valid until the next but one.
        """
        return self._pushed.weighted(weights, self._scale)[:, : self._given]

    def _following(self, spectra: np.ndarray, scale: np.ndarray) -> _Buffers:
        """Return the buffers of frames ``(channels, bins, N)`` with a scale ``(N, 1)``."""
        joined = np.zeros((self._channels, self._count + len(scale), self.bins), np.complex64)
        np.multiply(self._of_one[0].but_oldest[:, 0], self._back, joined[:, : self._count])
        np.multiply(spectra.swapaxes(1, 2), scale, joined[:, self._count :, : spectra.shape[1]])
        windows = np.moveaxis(sliding_window_view(joined, self._count + 1, axis=1), 3, 2)
        found = _Buffers(self._channels, self._count, self.bins, len(scale))
        np.multiply(windows, self._turns, found.frames)
        self._of_one[0].frames[:] = found.frames[:, -1:]
        return found


class _Buffers:
    """Frames that are pushed at once with those before, and the arrays that their results are computed in."""

    def __init__(self, channels: int, past: int, bins: int, count: int = 1) -> None:
        self.frames = np.zeros((channels, count, past + 1, bins), np.complex64)
        self.past, self.present = self.frames[:, :, :-1], self.frames[:, :, -1:]
        self.but_oldest, self.newest = self.frames[:, :, 1:], self.frames[:, :, -1].swapaxes(1, 2)
        self._advances = np.empty((count, 2, past, bins), np.float32)
        self._cross = np.empty_like(self.past)
        self._mean = self._cross[0] if channels == 1 else np.empty((count, past, bins), np.complex64)
        self._size = np.empty((count, past, bins), np.float32)
        parts = self._mean.view(np.float32).reshape(count, past, bins, 2)
        self._parts, self._size_of_both = np.moveaxis(parts, 3, 1), self._size[:, None]
        self._weighted = np.empty_like(self.frames)
        self._sum, *self._others = np.moveaxis(self._weighted.view(np.float32), 2, 0)  # of parts
        self._sum_of_bins = self._weighted[:, :, 0].swapaxes(1, 2)

    def advance(self) -> np.ndarray:
        """Return the phase advances."""
        np.conjugate(self.past, self._cross)
        np.multiply(self._cross, self.present, self._cross)
        if len(self._cross) > 1:
            np.mean(self._cross, axis=0, out=self._mean)
        np.abs(self._mean, self._size)
        np.add(self._size, FLOOR, self._size)
        np.divide(self._parts, self._size_of_both, self._advances)
        return self._advances

    def weighted(self, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the weighted sum of the frames without their scale, ``(channels, bins, count)``."""
        np.multiply(self.frames, weights, self._weighted)
        total = self._sum
        for each in self._others:
            total += each
        total /= scale
        return self._sum_of_bins
