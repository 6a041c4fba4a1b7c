"""Discrete Fourier transforms of any length by small matrix products, for graphs: ONNX Runtime's own is slow.

N = A·B points are transformed by A-point and B-point transforms with twiddle factors between (Cooley and Tukey 1965):
at 48 kHz a fifth of the multiplications of one matrix, and a twentieth of its size. A node costs about as much as a
thousand multiplications, so there are few: the first product gives each number z and i·z, of which both parts of z
times a twiddle factor are sums.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from ..config import StftSpec
from ..dsp.stft import synthesis_window, window


class Transform:
    """Analysis and synthesis of one frame of an STFT; parts of spectra are real, then imaginary."""

    def __init__(self, spec: StftSpec) -> None:
        size = self._size = spec.fft_size
        self._rows = rows = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
        self._columns = columns = size // rows
        self._spec, self._kept = spec, -(-spec.bins // rows)  # bin k1 + rows·k2 is at (k2, k1)
        inner, outer = _roots(rows, rows, rows), _roots(self._kept, columns, columns)
        twiddle = _roots(rows, columns, size)
        self._windows = _constant(window(spec)), _constant(synthesis_window(spec) / size)
        forward, inverse = _parts(inner.real, inner.imag), outer.conj().T
        self._forward = _constant(forward), _factors(twiddle), _constant(_complex_product(outer))
        inverse = _parts(*np.split(_complex_product(inverse), 2))
        last = np.concatenate([inner.real, inner.imag], axis=1)  # of the conjugate, the real part alone
        self._inverse = _constant(inverse), _factors(twiddle.conj().T), _constant(last)
        weights = np.full(spec.bins, 2.0)  # each bin stands for its mirror image too
        weights[0] = 1
        if size % 2 == 0:
            weights[-1] = 1
        self._weights = _constant(weights)

    def analyse(self, frame: Tensor) -> Tensor:
        """Return the spectrum ``(2, F)`` of samples ``(window,)``."""
        samples = pad(frame * self._windows[0], (0, self._size - self._spec.window))
        first, factors, second = self._forward
        turned = _summed((first @ samples.reshape(self._rows, self._columns)) * factors)
        spectrum = linear(second, turned.reshape(self._rows, -1))  # (2·kept, rows)
        return spectrum.reshape(2, -1)[:, : self._spec.bins]

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Return the samples ``(window,)`` of a spectrum ``(2, F)``, ready to be added to others."""
        whole = pad(spectrum * self._weights, (0, self._kept * self._rows - self._spec.bins))
        first, factors, second = self._inverse
        turned = _summed((first @ whole.reshape(2 * self._kept, self._rows)) * factors)
        samples = linear(second, turned.reshape(self._columns, -1)).reshape(self._size)
        return samples[: self._spec.window] * self._windows[1]


def _roots(rows: int, columns: int, size: int) -> np.ndarray:
    """Return exp(-2πi·row·column / size)."""
    return np.exp(-2j * np.pi * np.outer(np.arange(rows), np.arange(columns)) / size)


def _complex_product(matrix: np.ndarray) -> np.ndarray:
    """Return a complex matrix as a real one of stacked real and imaginary parts."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def _parts(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """Return a matrix to both parts of each z in turn, and then to both of each i·z, from those to the parts of z."""
    parts = np.stack([real, imaginary], 1), np.stack([-imaginary, real], 1)
    return np.concatenate(parts).reshape(-1, real.shape[1])


def _factors(twiddle: np.ndarray) -> Tensor:
    """Return the factors of what :func:`_parts` leads to."""
    return _constant(np.repeat(np.concatenate([twiddle.real, twiddle.imag]), 2, axis=0))


def _summed(products: Tensor) -> Tensor:
    """Return the parts of z times a twiddle factor, from those of z and i·z times its real and its imaginary part."""
    of_real, of_imaginary = products.split(len(products) // 2)
    return of_real + of_imaginary


def _constant(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
