"""Streaming short-time Fourier transform; the transform of a complete signal is one push and a flush.

Frame t ends at sample ``(t + 1) * hop``: it needs no sample after the block it arrives with. A sample comes back once
the last frame that covers it is in, so the delay of analysis plus synthesis is one window (25 ms by default).
"""

from __future__ import annotations

import math

import numpy as np

from ..config import StftSpec


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
        self._hop, self._fft_size = spec.hop, spec.fft_size
        self._window = window(spec) * np.float32(spec.fft_size)
        self._buffer = np.zeros((channels, spec.window - spec.hop), np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Return the frames that ``samples`` (channels, n) complete, shape ``(channels, F, frames)``, complex64."""
        buffer = np.concatenate([self._buffer, samples.astype(np.float32, copy=False)], axis=1)
        window, hop = len(self._window), self._hop
        frames = max(0, (buffer.shape[1] - window) // hop + 1)
        self._buffer = buffer[:, frames * hop :] if frames == 1 else buffer[:, frames * hop :].copy()
        if not frames:
            return np.zeros((len(buffer), self.spec.bins, 0), np.complex64)
        across, along = buffer.strides
        shape, strides = (len(buffer), frames, window), (across, hop * along, along)
        views: np.ndarray = np.ndarray(shape, np.float32, buffer, strides=strides)  # as_strided, without its overhead
        spectrum = np.fft.rfft(views * self._window, self._fft_size, norm="forward")  # without it, in float64
        return spectrum.astype(np.complex64, copy=False).swapaxes(1, 2)


class Synthesiser:
    """Turn STFT frames back into samples by weighted overlap-add, the mirror of :class:`Analyser`."""

    def __init__(self, spec: StftSpec, channels: int = 1) -> None:
        self.spec = spec
        self._shape = _segments(spec), spec.hop
        self._fft_size, self._samples = spec.fft_size, min(spec.fft_size, math.prod(self._shape))
        self._window = np.zeros(self._samples, np.float32)
        self._window[: spec.window] = synthesis_window(spec)
        self._tail = np.zeros((channels, self._shape[0] - 1, spec.hop), np.float32)
        self._missing = math.prod(self._shape) - self._samples  # the last segment may be longer than the transform
        self._skip = spec.window - spec.hop  # the zeros before the first sample

    def push(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the samples that frames ``(channels, F, frames)`` complete, shape ``(channels, n)``, float32."""
        segments = self._windowed(spectrum)
        channels, count, late, hop = len(segments), segments.shape[1], *self._tail.shape[1:]
        if count == 1:  # of a stream
            summed = segments[:, 0]
            summed[:, :late] += self._tail
        else:
            summed = np.zeros((channels, count + late, hop), np.float32)
            summed[:, :late] = self._tail
            for delay in range(late + 1):
                summed[:, delay : delay + count] += segments[:, :, delay]
        self._tail = summed[:, count:] if count == 1 else summed[:, count:].copy()
        samples = summed[:, :count].reshape(channels, -1)
        skipped = min(self._skip, samples.shape[1])
        self._skip -= skipped
        return samples[:, skipped:]

    def _windowed(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the windowed frames in segments of one hop, ``(channels, frames, segments, hop)``."""
        waves = np.fft.irfft(spectrum.swapaxes(1, 2), self._fft_size)[..., : self._samples]
        waves = waves.astype(np.float32, copy=False)  # NumPy 1 returns float64
        waves *= self._window
        if self._missing:
            waves = np.pad(waves, ((0, 0), (0, 0), (0, self._missing)))
        return waves.reshape(*waves.shape[:2], *self._shape)


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
