"""Discrete Fourier transforms of any length by small matrix products, for graphs: ONNX Runtime's own is slow.

N = A·B points are transformed by A-point and B-point transforms with twiddle factors between (Cooley and Tukey 1965):
at 48 kHz a fifth of the multiplications of one matrix, and a twentieth of its size.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..config import StftSpec
from ..dsp.stft import synthesis_window, window


class Transform:
    """Analysis and synthesis of one frame of an STFT; parts of spectra are real, then imaginary."""

    def __init__(self, spec: StftSpec) -> None:
        size = spec.fft_size
        self._rows = rows = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
        self._columns = columns = size // rows
        self._spec, self._size = spec, size
        inner, outer = _roots(rows, rows, rows), _roots(columns, columns, columns)
        twiddle = _roots(rows, columns, size)
        self._windows = _constant(window(spec)), _constant(synthesis_window(spec) / size)
        self._twiddles = _constant(twiddle.real), _constant(twiddle.imag)
        self._forward = _constant(np.concatenate([inner.real, inner.imag])), _constant(_complex_product(outer).T)
        inverse_outer = np.concatenate([outer.real, outer.imag])  # of the conjugate, and its real part alone
        self._inverse = _constant(_complex_product(inner.conj())), _constant(inverse_outer)
        weights = np.full(spec.bins, 2.0)  # each bin stands for its mirror image too
        weights[0] = 1
        if size % 2 == 0:
            weights[-1] = 1
        self._weights = _constant(weights)

    def analyse(self, frame: Tensor) -> Tensor:
        """Return the spectrum ``(2, F)`` of samples ``(window,)``."""
        rows, columns = self._rows, self._columns
        samples = pad(frame * self._windows[0], (0, self._size - self._spec.window)).reshape(rows, columns)
        real, imaginary = (self._forward[0] @ samples).reshape(2, rows, columns).unbind()
        c, s = self._twiddles
        turned = torch.cat([real * c - imaginary * s, real * s + imaginary * c], 1)
        spectrum = (turned @ self._forward[1]).reshape(rows, 2, columns).permute(1, 2, 0)
        return spectrum.reshape(2, self._size)[:, : self._spec.bins]

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Return the samples ``(window,)`` of a spectrum ``(2, F)``, ready to be added to others."""
        rows, columns = self._rows, self._columns
        whole = pad(spectrum * self._weights, (0, self._size - self._spec.bins)).reshape(2 * rows, columns)
        real, imaginary = (self._inverse[0] @ whole).reshape(2, rows, columns).unbind()
        c, s = self._twiddles
        turned = torch.cat([real * c + imaginary * s, imaginary * c - real * s], 1)
        samples = (turned @ self._inverse[1]).T.reshape(self._size)
        return samples[: self._spec.window] * self._windows[1]


def _roots(rows: int, columns: int, size: int) -> np.ndarray:
    """Return exp(-2πi·row·column / size)."""
    return np.exp(-2j * np.pi * np.outer(np.arange(rows), np.arange(columns)) / size)


def _complex_product(matrix: np.ndarray) -> np.ndarray:
    """Return a complex matrix as a real one of stacked real and imaginary parts."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def _constant(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
