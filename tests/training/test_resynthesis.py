"""Resynthesis of spectra: a projection, equal to the streaming transform, with its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepnmf.config import StftSpec
from deepnmf.dsp.stft import istft, stft
from deepnmf.training.resynthesis import complete_frames, resynthesised

SPECS = [StftSpec(), StftSpec(1000, 10.0, 4.0, 32), StftSpec(8000, 32.0, 8.0, 256)]


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


def test_gradients_are_right_in_float64() -> None:
    spec = SPECS[1]
    X = torch.from_numpy(noise(spec, 6).astype(np.complex128)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: resynthesised(x, spec).abs().square().sum(), [X])
