"""Transforms of real frames: NumPy's, whichever way they are called."""

from __future__ import annotations

import numpy as np
import pytest

from deepnmf.dsp import fourier
from deepnmf.dsp.fourier import RealFourier


@pytest.mark.parametrize("size", [4, 9, 512, 1536])
@pytest.mark.parametrize("missing", [0, 3])
@pytest.mark.parametrize("by_ufuncs", [True, False])
def test_transforms_are_those_of_numpy(
    size: int, missing: int, by_ufuncs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not by_ufuncs:
        monkeypatch.setattr(fourier, "_ufunc", lambda _: None)
    transform, frames = RealFourier(size), np.random.default_rng(0).normal(size=(2, 3, size)).astype(np.float32)
    frames[..., size - missing :] = 0
    spectra = transform.spectra(frames[..., : size - missing])
    assert spectra.dtype == np.complex64
    np.testing.assert_allclose(spectra, np.fft.rfft(frames.astype(np.float64)), atol=1e-4)
    restored = transform.frames(spectra)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, frames, atol=1e-5)


@pytest.mark.skipif(np.__version__.startswith("1."), reason="NumPy 2 has the ufuncs")
def test_this_numpy_has_the_ufuncs_as_expected() -> None:
    assert all(fourier._ufunc(name) for name in ("rfft_n_even", "rfft_n_odd", "irfft"))
