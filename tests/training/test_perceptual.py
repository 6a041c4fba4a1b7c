"""The perceptual loss: in the order of PESQ, blind to level, zero without speech, finite gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from deepnmf.config import StftSpec
from deepnmf.dsp.stft import stft
from deepnmf.training.perceptual import perceptual_loss
from helpers.signals import RATE_HZ, noise, voice

SECONDS = 3.0
LEAST_SPEECH = 30.0


def powers(samples: np.ndarray, spec: StftSpec) -> Tensor:
    """Return the powers of the bins ``(1, F, N)``."""
    return torch.from_numpy(np.square(np.abs(stft(samples[None].astype(np.float32), spec)), dtype=float))


def lost(estimate: np.ndarray, speech: np.ndarray, spec: StftSpec = StftSpec()) -> float:  # noqa: B008 - frozen
    return float(perceptual_loss(powers(estimate, spec), powers(speech, spec), spec, LEAST_SPEECH))


def speech(seed: int = 0) -> np.ndarray:
    return 50 * voice(130, 900, seed, SECONDS)


def test_nothing_is_lost_without_a_difference_at_any_level() -> None:
    assert lost(speech(), speech()) < 1e-3
    assert lost(0.1 * speech(), 3 * speech()) < 1e-3


@pytest.mark.parametrize(("rate_hz", "fft_size"), [(8000, 256), (16000, 512), (16000, 1024), (48000, 2048)])
def test_more_is_lost_with_more_noise_and_alike_for_all_transforms(rate_hz: int, fft_size: int) -> None:
    spec, hiss = StftSpec(rate_hz=rate_hz, fft_size=fft_size), 50 * noise("hiss", 0, SECONDS)
    wave = speech()
    losses = [lost(wave + gain * hiss, wave, spec) for gain in (0.001, 0.01, 0.1, 1)]
    assert losses == sorted(losses)
    assert losses[3] > losses[0] + 1


def test_segments_without_speech_count_as_zero() -> None:
    spec, silence = StftSpec(), torch.zeros(1, StftSpec().bins, 100, dtype=torch.float64)
    hiss = powers(50 * noise("hiss", 0, SECONDS), spec)
    assert float(perceptual_loss(hiss[..., :100], silence, spec, LEAST_SPEECH)) == 0
    both = torch.cat([hiss, powers(speech(), spec)]), torch.cat([0 * hiss, powers(speech(), spec)])
    alone = powers(speech() + noise("hum", 0, SECONDS), spec), powers(speech(), spec)
    noisy = torch.cat([hiss, alone[0]])
    expected = float(perceptual_loss(*alone, spec, LEAST_SPEECH)) / 2
    assert float(perceptual_loss(noisy, both[1], spec, LEAST_SPEECH)) == pytest.approx(expected)


@pytest.mark.parametrize("gain", [0.0, 1e-6, 1.0])
def test_gradients_are_finite_for_silence_and_for_perfect_estimates(gain: float) -> None:
    spec = StftSpec()
    clean = powers(speech(), spec)
    estimate = (gain * clean).requires_grad_()
    (gradient,) = torch.autograd.grad(perceptual_loss(estimate, clean, spec, LEAST_SPEECH), estimate)
    assert gradient.isfinite().all()


def test_it_ranks_as_pesq_does() -> None:
    pesq = pytest.importorskip("pesq").pesq
    rated, found = [], []
    for seed, kind in enumerate(("hiss", "rumble", "hum")):
        clean = voice(110 + 40 * seed, 900, seed, SECONDS)
        for gain in (0.003, 0.01, 0.03, 0.1, 0.3):
            mixture = clean + gain * noise(kind, seed, SECONDS)
            rated.append(pesq(RATE_HZ, clean, mixture.astype(np.float32), "wb"))
            found.append(lost(50 * mixture, 50 * clean))
    ranks = [np.argsort(np.argsort(x)) for x in (rated, found)]
    assert np.corrcoef(*ranks)[0, 1] < -0.9
