"""Terms of the loss: blind to scale, in the order of ESTOI and SI-SDR, finite gradients, zero where nobody speaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from deepnmf.config import StftSpec
from deepnmf.dsp.stft import stft
from deepnmf.evaluation.metrics import estoi
from deepnmf.networks.settings import RecurrentDeepNMFTraining
from deepnmf.training.losses import (
    LOWEST_HZ,
    THIRD_OCTAVES,
    WINDOW_FRAMES,
    Taught,
    distortion_loss,
    estoi_loss,
    residue_loss,
    sequence_loss,
    third_octaves,
)
from helpers.signals import RATE_HZ, noise, voice

SPEC = StftSpec()
SECONDS = 3.0


def magnitudes(samples: np.ndarray) -> np.ndarray:
    return np.abs(stft(samples[None], SPEC)[0])


def clean_voice(seed: int = 0) -> np.ndarray:
    return voice(130, 900, seed, SECONDS)


def term(estimate: np.ndarray, speech: np.ndarray) -> float:
    """Return the term for one segment ``(F, N)`` at the level of the speech."""
    level = np.sqrt(np.square(speech).mean())
    return float(estoi_loss(*(torch.from_numpy(x / level)[None] for x in (estimate, speech)), SPEC))


def test_the_truth_is_intelligible_at_any_volume_of_any_band() -> None:
    gains = np.random.default_rng(0).uniform(0.5, 5, (THIRD_OCTAVES, 1)).astype(np.float32)
    colour = np.maximum(third_octaves(SPEC).T @ gains, 0.1)
    for speech, floor in ((segments(90)[1][0].numpy(), 1e-4), (magnitudes(clean_voice()), 2e-2)):  # a voice has pauses
        assert abs(term(speech, speech)) < floor
        assert abs(term(colour * speech, speech)) < floor
        assert 0.5 < term(np.roll(speech, 40, axis=1), speech) <= 2


@pytest.mark.parametrize("kind", ["hiss", "rumble"])
def test_it_orders_as_estoi_does(kind: str) -> None:
    speech = clean_voice()
    hiss = noise(kind, 1, SECONDS)
    terms, scores = [], []
    for gain in (0.03, 0.1, 0.3, 1.0, 3.0):
        noisy = speech + np.float32(gain) * hiss
        terms.append(term(magnitudes(noisy), magnitudes(speech)))
        scores.append(estoi(speech, noisy, RATE_HZ))
    assert (np.diff(scores) < -0.01).all()
    assert (np.diff(terms) > 0.01).all()


def test_it_ranks_different_degradations_as_estoi_does() -> None:
    speech = clean_voice()
    degraded = [
        speech + np.float32(gain) * noise(kind, seed, SECONDS)
        for seed, (gain, kind) in enumerate(
            [(0.1, "rumble"), (0.05, "hiss"), (1.0, "hum"), (2.0, "rumble"), (2.0, "hiss")]
        )
    ]
    terms = [term(magnitudes(samples), magnitudes(speech)) for samples in degraded]
    scores = [estoi(speech, samples, RATE_HZ) for samples in degraded]
    assert np.corrcoef(terms, scores)[0, 1] < -0.9


def segments(frames: int = 45, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    estimate, speech = torch.rand(2, 2, SPEC.bins, frames, generator=generator, dtype=torch.float64)
    return estimate, speech


def test_the_gradient_is_the_numeric_one() -> None:
    estimate, speech = segments()
    estimate.requires_grad_()
    (gradient,) = torch.autograd.grad(estoi_loss(estimate, speech, SPEC), estimate)
    assert gradient.abs().max() > 0
    direction = torch.rand(estimate.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    with torch.no_grad():
        above, below = (estoi_loss(estimate + step * direction, speech, SPEC) for step in (1e-5, -1e-5))
    assert float((gradient * direction).sum()) == pytest.approx(float(above - below) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-12, 1.0, 1e4])
def test_the_gradient_is_finite_whatever_the_estimate(level: float) -> None:
    _, speech = segments()
    estimate = torch.full(speech.shape, level, dtype=torch.float32, requires_grad=True)
    value = estoi_loss(estimate, speech.float(), SPEC)
    (gradient,) = torch.autograd.grad(value, estimate)
    assert 0 <= value.item() <= 2
    assert gradient.isfinite().all()


def test_segments_without_speech_do_not_count() -> None:
    estimate, speech = segments()
    assert float(estoi_loss(estimate, 0 * speech, SPEC)) == 0
    one = estoi_loss(estimate[:1], speech[:1], SPEC)
    half = speech * torch.tensor([1.0, 0.0])[:, None, None]
    assert float(estoi_loss(estimate, half, SPEC)) == pytest.approx(float(one), rel=1e-9)


@pytest.mark.parametrize("frames", [1, WINDOW_FRAMES - 1, WINDOW_FRAMES])
def test_segments_shorter_than_a_window_give_zero(frames: int) -> None:
    value = estoi_loss(*segments(frames), SPEC)
    assert (float(value) == 0) == (frames < WINDOW_FRAMES)


@pytest.mark.parametrize("spec", [SPEC, StftSpec(rate_hz=48000, fft_size=1536)])
def test_bands_are_third_octaves_that_share_no_bin(spec: StftSpec) -> None:
    bands = third_octaves(spec)
    hertz = np.arange(spec.bins) * spec.rate_hz / spec.fft_size
    assert (bands.sum(axis=0) <= 1).all()
    assert (bands.sum(axis=1) >= 1).all()
    centres = (bands @ hertz) / bands.sum(axis=1)
    np.testing.assert_allclose(centres, LOWEST_HZ * 2 ** (np.arange(THIRD_OCTAVES) / 3), rtol=0.1)


def sources(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return the magnitudes ``(1, F, N)`` of mixture, speech and noise at unit level."""
    waves = np.stack([clean_voice(seed), noise("hiss", seed, SECONDS)])
    speech, hiss = stft(waves / waves.std(axis=1, keepdims=True), SPEC)
    mixture, speech, hiss = (np.abs(spectrum)[None] for spectrum in (speech + hiss, speech, hiss))
    level = np.sqrt(np.square(mixture).mean())
    return tuple(torch.from_numpy(magnitude / level).double() for magnitude in (mixture, speech, hiss))  # type: ignore[return-value]


def test_the_distortion_term_is_minus_si_sdr_at_any_volume() -> None:
    mixture, speech, hiss = sources()
    plain = distortion_loss(torch.ones_like(mixture), mixture, speech, hiss)
    assert float(plain) == pytest.approx(-10 * np.log10(1 + 1), abs=0.1)  # at 0 dB
    mask = speech.square() / (speech.square() + hiss.square())
    wiener, quieter = (distortion_loss(g * mask, mixture, speech, hiss) for g in (1, 0.3))
    assert float(wiener) < float(plain) - 5
    assert float(quieter) == pytest.approx(float(wiener), abs=1e-6)


def test_the_distortion_term_is_zero_without_speech_and_limited_for_clean_speech() -> None:
    mixture, speech, hiss = sources()
    assert float(distortion_loss(torch.ones_like(mixture), hiss, 0 * speech, hiss)) == 0
    mask = torch.ones_like(mixture).requires_grad_()
    clean = distortion_loss(mask, speech, speech, 0 * hiss)
    assert -26 < clean.item() < -25
    (gradient,) = torch.autograd.grad(clean, mask)
    assert gradient.isfinite().all()


def test_the_residue_term_follows_the_attenuation_down_to_its_floor_without_speech_only() -> None:
    mixture, speech, hiss = sources()
    levels = [float(residue_loss(torch.full_like(hiss, g), hiss, 0 * speech)) for g in (1, 0.1, 0)]
    assert levels == pytest.approx([0, -20, -40], abs=0.1)
    assert float(residue_loss(torch.ones_like(mixture) / 10, mixture, speech)) == 0


def test_a_teacher_moves_the_targets_by_its_weight() -> None:
    mixture, speech, hiss = sources()
    train = RecurrentDeepNMFTraining(loss_intelligibility=0)
    mask = (speech / (mixture + 1e-3)).requires_grad_()

    def gradient(*taught: Taught) -> Tensor:
        return torch.autograd.grad(sequence_loss(train, SPEC, mask, mixture, speech, hiss, None, *taught), mask)[0]

    estimate = 0.7 * speech.minimum(mixture)
    truth, teacher = gradient(), gradient(Taught(estimate, 1.0))
    torch.testing.assert_close(gradient(Taught(estimate, 0.0)), truth)
    torch.testing.assert_close(gradient(Taught(estimate, 0.25)), truth.lerp(teacher, 0.25), rtol=1e-4, atol=1e-4)
    assert gradient(Taught((mask * mixture).detach(), 1.0)).abs().max() < 1e-4 * truth.abs().max()
