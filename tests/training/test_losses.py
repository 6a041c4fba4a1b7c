"""Terms of the loss: blind to scale, in the order of ESTOI and SI-SDR, finite gradients, zero without speech."""

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
from deepnmf.training.resynthesis import resynthesised
from deepnmf.training.spectral_error import LOSS_FLOOR, Parts, spectral_error
from helpers.signals import RATE_HZ, noise, voice

SPEC = StftSpec()
SECONDS = 3.0


def magnitudes(samples: np.ndarray) -> np.ndarray:
    return np.abs(stft(samples[None], SPEC)[0])


def clean_voice(seed: int = 0) -> np.ndarray:
    return voice(130, 900, seed, SECONDS)


def term(estimate: np.ndarray, speech: np.ndarray) -> float:
    """Return the term for one segment of magnitudes ``(F, N)`` at the level of the speech."""
    level = np.sqrt(np.square(speech).mean())
    return float(estoi_loss(*(torch.from_numpy(np.square(x / level))[None] for x in (estimate, speech)), SPEC))


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


def sources(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return the spectra ``(1, F, N)`` of mixture and speech at unit level, complex128."""
    waves = np.stack([clean_voice(seed), noise("hiss", seed, SECONDS)])
    speech, hiss = stft(waves / waves.std(axis=1, keepdims=True), SPEC)
    level = np.sqrt(np.square(np.abs(speech + hiss)).mean())
    return tuple(torch.from_numpy(x / level)[None].to(torch.complex128) for x in (speech + hiss, speech))  # type: ignore[return-value]


def test_the_distortion_term_is_minus_si_sdr_at_any_volume() -> None:
    mixture, speech = sources()
    hiss = mixture - speech
    plain = distortion_loss(Parts.of(mixture), Parts.of(speech))
    assert float(plain) == pytest.approx(-10 * np.log10(1 + 1), abs=0.1)  # at 0 dB
    mask = speech.abs().square() / (speech.abs().square() + hiss.abs().square())
    wiener, quieter = (distortion_loss(Parts.of(g * mask * mixture), Parts.of(speech)) for g in (1, 0.3))
    assert float(wiener) < float(plain) - 5
    assert float(quieter) == pytest.approx(float(wiener), abs=1e-6)
    turned = distortion_loss(Parts.of(mask * mixture * np.exp(0.5j)), Parts.of(speech))
    assert float(turned) > float(wiener) + 1  # the phase counts


def test_the_distortion_term_is_zero_without_speech_and_limited_for_clean_speech() -> None:
    mixture, speech = sources()
    assert float(distortion_loss(Parts.of(mixture), Parts.of(0 * speech))) == 0
    estimate = speech.clone().requires_grad_()
    clean = distortion_loss(Parts.of(estimate), Parts.of(speech))
    assert -26 < clean.item() < -25
    (gradient,) = torch.autograd.grad(clean, estimate)
    assert torch.view_as_real(gradient).isfinite().all()


def test_the_residue_term_follows_the_attenuation_down_to_its_floor_without_speech_only() -> None:
    mixture, speech = sources()
    levels = [float(residue_loss(*map(Parts.of, (g * mixture, mixture, 0 * speech)))) for g in (1, 0.1, 0)]
    assert levels == pytest.approx([0, -20, -40], abs=0.1)
    assert float(residue_loss(*map(Parts.of, (mixture / 10, mixture, speech)))) == 0


ALL_TERMS = RecurrentDeepNMFTraining(loss_distortion=2.0, loss_residue=3.0, loss_perceptual=5.0)


def random_spectra(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.complex128)


@pytest.mark.parametrize("with_speech", [True, False])
def test_the_gradient_of_all_terms_is_the_numeric_one(with_speech: bool) -> None:
    mixture, estimate, speech = random_spectra(3, 2, SPEC.bins, 45)
    speech, estimate = speech * with_speech, estimate.requires_grad_()
    (gradient,) = torch.autograd.grad(sequence_loss(ALL_TERMS, SPEC, estimate, mixture, speech), estimate)
    direction = random_spectra(*estimate.shape, seed=1)
    with torch.no_grad():
        above, below = (
            sequence_loss(ALL_TERMS, SPEC, estimate + step * direction, mixture, speech) for step in (1e-6, -1e-6)
        )
    slope = float((gradient.conj() * direction).real.sum())
    assert slope == pytest.approx(float(above - below) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("phase", [0.0, 0.3, 1.0])
def test_masks_are_drawn_to_compressed_and_to_plain_magnitudes_in_phase_with_the_mixture(phase: float) -> None:
    mixture, speech = random_spectra(2, 1, SPEC.bins, 40)
    train = RecurrentDeepNMFTraining(loss_intelligibility=0, loss_phase=phase)
    mask = torch.rand(1, SPEC.bins, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    mask.requires_grad_()
    weights = train.loss_power, phase, train.loss_uncompressed
    (found,) = torch.autograd.grad(spectral_error(Parts.of(mask * mixture), Parts.of(speech), *weights), mask)
    cosine = (speech / mixture).angle().cos()
    compressed = (speech.abs() + LOSS_FLOOR) ** train.loss_power * (1 - phase + phase * cosine)
    estimate = mask * mixture.abs()
    error = ((estimate + LOSS_FLOOR) ** train.loss_power - compressed).square().sum()
    error = error + train.loss_uncompressed * (estimate - speech.abs() * cosine).square().sum()
    torch.testing.assert_close(found, torch.autograd.grad(error, mask)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("phase", [0.0, 0.3, 1.0])
def test_the_compressed_error_is_that_of_the_paper(phase: float) -> None:
    estimate, speech = random_spectra(2, 50)
    found = spectral_error(Parts.of(estimate), Parts.of(speech), 0.5, phase, 0.0)
    a, b = ((z.abs() + LOSS_FLOOR) ** 0.5 * z / z.abs() for z in (estimate, speech))
    expected = (1 - phase) * (a.abs() - b.abs()).square().sum() + phase * (a - b).abs().square().sum()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("level", [0.0, 1e-20, 1e-6, 1.0, 1e4])
@pytest.mark.parametrize("of_speech", [0.0, 1e-6, 1.0])
def test_the_gradient_of_all_terms_is_finite_whatever_the_estimate(
    level: float, of_speech: float, dtype: torch.dtype
) -> None:
    mixture, speech, estimate = (x.to(dtype) for x in random_spectra(3, 2, SPEC.bins, 45))
    estimate = (level * estimate).requires_grad_()
    loss = sequence_loss(ALL_TERMS, SPEC, estimate, mixture, of_speech * speech)
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.view_as_real(gradient).isfinite().all()


def test_a_teacher_moves_the_targets_by_its_weight() -> None:
    mixture, speech, taught = random_spectra(3, 1, SPEC.bins, 40)
    estimate = (0.5 * mixture).requires_grad_()

    def gradient(speech: Tensor, *taught: Taught) -> Tensor:
        train = RecurrentDeepNMFTraining(loss_intelligibility=0)
        return torch.autograd.grad(sequence_loss(train, SPEC, estimate, mixture, speech, None, *taught), estimate)[0]

    torch.testing.assert_close(gradient(speech, Taught(taught, 0.0)), gradient(speech))
    target = resynthesised(taught, SPEC)
    torch.testing.assert_close(gradient(speech, Taught(taught, 1.0)), gradient(target))
    torch.testing.assert_close(gradient(speech, Taught(taught, 0.25)), gradient(0.75 * speech + 0.25 * target))
    reached = gradient(speech, Taught(estimate.detach(), 1.0))
    assert reached.abs().max() < 1e-3 * gradient(speech).abs().max()
