"""Resynthesis of spectra: a projection, equal to the streaming transform, with its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepnmf.config import StftSpec
from deepnmf.dsp.stft import istft, stft, synthesis_window, window
from deepnmf.training.resynthesis import complete_frames, resynthesised

SHORT = [StftSpec(1000, 10.0, 4.0, 32), StftSpec(1000, 10.0, 4.0, 11), StftSpec(1000, 12.0, 4.0, 13)]
SPECS = [StftSpec(), StftSpec(8000, 32.0, 8.0, 256), *SHORT]


def noise(spec: StftSpec, frames: int = 20) -> np.ndarray:
    """Return the spectra ``(2, F, N)`` of two waveforms of noise, the first frame complete."""
    first = complete_frames(spec, frames).start
    samples = np.random.default_rng(0).standard_normal((2, (frames + 2 * first) * spec.hop))
    return stft(samples, spec)[:, :, first : first + frames]


@pytest.mark.parametrize("spec", SPECS)
def test_the_spectrum_of_a_waveform_stays_as_it_is(spec: StftSpec) -> None:
    X = noise(spec)
    inner = complete_frames(spec, 20)
    found = resynthesised(torch.from_numpy(X), spec).numpy()
    assert found.shape == X.shape
    np.testing.assert_allclose(found[:, :, inner], X[:, :, inner], atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_a_masked_spectrum_becomes_that_of_the_output(spec: StftSpec) -> None:
    X = noise(spec) * np.random.default_rng(1).random((spec.bins, 20), np.float32)
    first = complete_frames(spec, 20).start
    output = istft(np.pad(X, ((0, 0), (0, 0), (first, first))), spec, (20 + 2 * first) * spec.hop)
    inner = complete_frames(spec, 20)
    expected = stft(output, spec)[:, :, first : first + 20][:, :, inner]
    found = resynthesised(torch.from_numpy(X), spec).numpy()[:, :, inner]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found - X[:, :, inner]).max() > 0.1


@pytest.mark.parametrize("spec", SHORT)
def test_gradients_are_right_in_float64(spec: StftSpec) -> None:
    X = torch.from_numpy(noise(spec, 6).astype(np.complex128)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: resynthesised(x, spec).abs().square().sum(), [X])


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_are_those_of_autograd(spec: StftSpec) -> None:
    X = torch.from_numpy(noise(spec, 9).astype(np.complex128)).requires_grad_()
    weights = torch.from_numpy(noise(spec, 9)[..., ::-1].copy())
    (found,) = torch.autograd.grad((resynthesised(X, spec) * weights).real.sum(), X)
    (expected,) = torch.autograd.grad((by_torch(X, spec) * weights).real.sum(), X)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def by_torch(spectra: torch.Tensor, spec: StftSpec) -> torch.Tensor:
    """Return what :func:`resynthesised` does, by torch's own overlap-add."""
    analysis, synthesis = (torch.from_numpy(w(spec)).double() for w in (window, synthesis_window))
    waves = torch.fft.irfft(spectra.mT, spec.fft_size)[..., : spec.window] * synthesis
    samples = (spectra.shape[2] - 1) * spec.hop + spec.window
    wave = torch.nn.functional.fold(waves.mT, (1, samples), (1, spec.window), stride=(1, spec.hop))[:, 0, 0]
    return torch.fft.rfft(wave.unfold(1, spec.window, spec.hop) * analysis, spec.fft_size).mT
