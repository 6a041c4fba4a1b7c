"""Fourier transforms of real frames, in float32.

The functions of :mod:`numpy.fft` prepare their arguments in Python, which takes longer than the transform of a frame:
10 of the 17 µs of both in a stream, in which other data has taken their place in the cache. NumPy 2 has the transforms
as ufuncs, which are called here. They are not public: where they are missing or changed, the functions serve.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SIGNATURES = ("(n),()->(m)", "(m),()->(n)")
"""Of the ufuncs: an array and a factor in, as many numbers out as the output has place for."""


class RealFourier:
    """Transforms of n samples and back.

    Parameters
    ----------
    size : int
        n.
    """

    def __init__(self, size: int) -> None:
        self._size, self._samples, self._bins = size, (size,), (size // 2 + 1,)
        self._forward = _ufunc("rfft_n_odd" if size % 2 else "rfft_n_even")
        self._backward = _ufunc("irfft")
        self._one, self._part = np.array(1, np.float32), np.array(1 / size, np.float32)

    def spectra(self, frames: np.ndarray) -> np.ndarray:
        """Return the spectra ``(…, n // 2 + 1)``, complex64, of frames ``(…, ≤ n)``, float32; zeros follow them.

        Examples
        --------
        >>> RealFourier(4).spectra(np.ones((1, 3), np.float32)).tolist()
        [[(3+0j), -1j, (1+0j)]]
        """
        if self._forward is None:
            return np.fft.rfft(frames, self._size).astype(np.complex64, copy=False)
        out = np.empty(frames.shape[:-1] + self._bins, np.complex64)
        return self._forward(frames, self._one, out)

    def frames(self, spectra: np.ndarray) -> np.ndarray:
        """Return the frames ``(…, n)``, float32, of spectra ``(…, n // 2 + 1)``, complex64.

        Examples
        --------
        >>> transform = RealFourier(4)
        >>> transform.frames(transform.spectra(np.array([[1, 2, 3, 4]], np.float32))).round(5).tolist()
        [[1.0, 2.0, 3.0, 4.0]]
        """
        if self._backward is None:
            return np.fft.irfft(spectra, self._size).astype(np.float32, copy=False)
        out = np.empty(spectra.shape[:-1] + self._samples, np.float32)
        return self._backward(spectra, self._part, out)


def _ufunc(name: str) -> Any:
    """Return a ufunc of NumPy, if it has one that is used as expected."""
    found = getattr(getattr(np.fft, "_pocketfft_umath", None), name, None)
    return found if getattr(found, "signature", None) in SIGNATURES else None
