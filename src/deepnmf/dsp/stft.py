"""Streaming short-time Fourier transform; the transform of a complete signal is one push and a flush.

Frame t ends at sample ``(t + 1) * hop``: it needs no sample after the block it arrives with. A sample comes back once
the last frame that covers it is in, so the delay of analysis plus synthesis is one window (25 ms by default).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..config import StftSpec
from .fourier import RealFourier


def window(spec: StftSpec) -> np.ndarray:
    """Return the periodic square-root Hann window, shape ``(window,)``, float32."""
    n = np.arange(spec.window)
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * n / spec.window)).astype(np.float32)


def synthesis_window(spec: StftSpec) -> np.ndarray:
    """Return the synthesis window scaled so that overlap-add of analysed frames is the identity.

    The overlapped squares of a window that is not a multiple of the hop do not sum to a constant; they repeat every
    hop, so dividing by that period makes reconstruction exact for any hop.
    """
    analysis = window(spec)
    squares = np.zeros(_segments(spec) * spec.hop, np.float32)
    squares[: spec.window] = analysis**2
    period = squares.reshape(-1, spec.hop).sum(0)
    return analysis / np.resize(period, spec.window)


def _segments(spec: StftSpec) -> int:
    return math.ceil(spec.window / spec.hop)


class Analyser:
    """Turn blocks of samples into STFT frames as they complete.

    Parameters
    ----------
    spec : StftSpec
        Transform to apply.
    channels : int
        Channels of every block.
    """

    def __init__(self, spec: StftSpec, channels: int = 1) -> None:
        self.spec = spec
        self._hop, self._length, self._window = spec.hop, spec.window, window(spec)[None, None]
        self._fourier = RealFourier(spec.fft_size)
        self._buffer = np.zeros((channels, spec.window - spec.hop), np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Return the frames that ``samples`` (channels, n) complete, shape ``(channels, F, frames)``, complex64."""
        buffer = np.concatenate((self._buffer, samples), 1, dtype=np.float32)
        window, hop = self._length, self._hop
        frames = max(0, (buffer.shape[1] - window) // hop + 1)
        if not frames:
            self._buffer = buffer
            return np.zeros((len(buffer), self.spec.bins, 0), np.complex64)
        if frames == 1:  # of a stream
            self._buffer, views = buffer[:, hop:], buffer[:, None, :window]
        else:
            self._buffer, views = buffer[:, frames * hop :].copy(), sliding_window_view(buffer, window, 1)[:, ::hop]
        return self._fourier.spectra(views * self._window).swapaxes(1, 2)


class Synthesiser:
    """Turn STFT frames back into samples by weighted overlap-add, the mirror of :class:`Analyser`."""

    def __init__(self, spec: StftSpec, channels: int = 1) -> None:
        self.spec = spec
        self._hop, self._fourier, segments = spec.hop, RealFourier(spec.fft_size), _segments(spec)
        self._samples = min(spec.fft_size, segments * spec.hop)
        self._window = np.zeros((1, 1, self._samples), np.float32)
        self._window[..., : spec.window] = synthesis_window(spec)
        self._late = (segments - 1) * spec.hop  # samples of a frame that the next ones add to
        self._tail = np.zeros((channels, self._late), np.float32)
        self._missing = segments * spec.hop - self._samples  # the last segment may be longer than the transform
        self._skip = spec.window - spec.hop  # the zeros before the first sample

    def push(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the samples that frames ``(channels, F, frames)`` complete, shape ``(channels, n)``, float32."""
        waves = self._windowed(spectrum)
        if waves.shape[1] == 1:  # of a stream
            summed, ready = waves[:, 0], self._hop
            late = summed[:, : self._late]
            late += self._tail
            self._tail = summed[:, ready:]
        else:
            summed, ready = self._overlapped(waves), waves.shape[1] * self._hop
            self._tail = summed[:, ready:].copy()
        skipped = min(self._skip, ready)
        self._skip -= skipped
        return summed[:, skipped:ready]

    def _overlapped(self, waves: np.ndarray) -> np.ndarray:
        """Return the sum of windowed frames ``(channels, frames, n)`` and of those before, ``(channels, samples)``."""
        channels, frames, hop = *waves.shape[:2], self._hop
        late = self._late // hop
        segments = waves.reshape(channels, frames, late + 1, hop)
        summed = np.zeros((channels, frames + late, hop), np.float32)
        summed[:, :late] = self._tail.reshape(channels, late, hop)
        for delay in range(late + 1):
            summed[:, delay : delay + frames] += segments[:, :, delay]
        return summed.reshape(channels, -1)

    def _windowed(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the windowed frames of a whole number of hops, ``(channels, frames, n)``."""
        waves = self._fourier.frames(spectrum.swapaxes(1, 2))[..., : self._samples]
        waves *= self._window
        return np.pad(waves, ((0, 0), (0, 0), (0, self._missing))) if self._missing else waves


def padding(spec: StftSpec, length: int) -> int:
    """Return the number of zeros to push after `length` samples so that synthesis returns the last of them."""
    return math.ceil((length + spec.window - spec.hop) / spec.hop) * spec.hop - length


def stft(samples: np.ndarray, spec: StftSpec) -> np.ndarray:
    """Transform a complete signal.

    Parameters
    ----------
    samples : ndarray
        Shape ``(channels, n)``.
    spec : StftSpec
        Transform to apply.

    Returns
    -------
    ndarray
        Shape ``(channels, F, frames)``, complex64.

    Examples
    --------
    >>> stft(np.zeros((1, 16000)), StftSpec()).shape
    (1, 257, 102)
    """
    padded = np.pad(samples, ((0, 0), (0, padding(spec, samples.shape[1]))))
    return Analyser(spec, len(samples)).push(padded)


def istft(spectrum: np.ndarray, spec: StftSpec, length: int) -> np.ndarray:
    """Invert :func:`stft`; returns ``(channels, length)``, float32."""
    return Synthesiser(spec, len(spectrum)).push(spectrum)[:, :length]


def stack_context(magnitudes: np.ndarray, context: int, past: np.ndarray | None = None) -> np.ndarray:
    """Stack each frame under the ``context - 1`` frames before it (T·F rows, the current frame last).

    Parameters
    ----------
    magnitudes : ndarray
        Shape ``(F, N)``.
    context : int
        T ≥ 1.
    past : ndarray, optional
        The ``context - 1`` frames before the first, shape ``(F, T - 1)``; silence by default.

    Returns
    -------
    ndarray
        Shape ``(T·F, N)``.

    Examples
    --------
    >>> stack_context(np.array([[1.0, 2.0, 3.0]]), 2)
    array([[0., 1., 2.],
           [1., 2., 3.]])
    """
    if context == 1:
        return magnitudes
    bins, frames = magnitudes.shape
    if past is None:
        past = np.zeros((bins, context - 1), magnitudes.dtype)
    padded = np.concatenate([past, magnitudes], axis=1)
    return np.concatenate([padded[:, shift : shift + frames] for shift in range(context)], axis=0)
