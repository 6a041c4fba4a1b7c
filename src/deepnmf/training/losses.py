"""Training losses in torch: of magnitudes of independent frames, and of complex spectra of segments, ``(S, F, N)``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..config import FeatureConfig, StftSpec, TrainConfig
from ..dsp.arrays import epsilon
from ..networks.settings import FramewiseTraining, SegmentTraining
from .perceptual import perceptual_loss
from .resynthesis import complete_frames, resynthesised
from .spectral_error import Parts, spectral_error
from .targets import phase_sensitive


class BatchSize(NamedTuple):
    """Size of the batch of an update, in all parts and processes; a loss of one part may be a mean over all."""

    frames: int
    windows: int
    """Windows with speech (:func:`active_windows`)."""


class Taught(NamedTuple):
    """Estimates of a larger network, from which a smaller one learns besides the truth (Hinton et al. 2015)."""

    estimate: Tensor
    """Complex spectra ``(S, F, N)``."""
    weight: float
    """From 0 to 1, the truth having the rest."""


Loss: TypeAlias = Callable[..., Tensor]
"""The error, summed over frames. Of independent frames: from mask, mixture (the current frames), speech and noise,
magnitudes. Of segments: from the complex estimate, mixture and speech, and the size of the batch that these are a part
of; without one they are the batch."""
LOWEST_HZ, THIRD_OCTAVES = 150, 18
"""Those of STOI end at 4.3 kHz, after 15 bands; these extend to 8 kHz, so that the gains have no edge there."""
WINDOW_FRAMES, WINDOW_STEP = 30, 15
"""Envelopes are compared over 0.3 s (ESTOI: 0.384 s) at a time."""
ACTIVE_BELOW_PEAK = 1e-3
"""Windows whose speech is 30 dB below the loudest of the segment are ignored: ESTOI drops such frames as well."""
LEAST_POWER = 1e-5
"""Added to powers at unit level, so that the gradient is finite at silence."""

LEAST_SPEECH = 30.0
"""Energy of a segment at unit level from which it counts as speech."""
DISTORTION_FLOOR, RESIDUE_FLOOR = 3e-3, 1e-4
"""Added to ratios of energies before the logarithm: nothing is gained beyond an SI-SDR of 25 dB, or 40 dB below the
noise."""


def loss_of(train: TrainConfig, features: FeatureConfig) -> Loss:
    """Return the loss for the settings of the training."""
    if isinstance(train, SegmentTraining):
        return functools.partial(sequence_loss, train, features.stft)
    assert isinstance(train, FramewiseTraining)
    return functools.partial(framewise_loss, train)


def framewise_loss(train: FramewiseTraining, mask: Tensor, mixture: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
    """Return the β-divergence between target and estimate, summed over all entries."""
    return beta_loss(framewise_target(train, mixture, speech, noise), mask * mixture, train.error_beta)


def framewise_target(train: FramewiseTraining, mixture: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
    """Return the magnitudes that the estimate should have."""
    return speech if train.target == "magnitude" else phase_sensitive(mixture, speech, noise)


def sequence_loss(
    train: SegmentTraining,
    spec: StftSpec,
    estimate: Tensor,
    mixture: Tensor,
    speech: Tensor,
    batch: BatchSize | None = None,
    taught: Taught | None = None,
) -> Tensor:
    """Return the squared errors of compressed and of plain spectra, and the other terms times the frames.

    The estimate is resynthesised first, so that the error is that of the output (:mod:`.resynthesis`). Intelligibility
    is a mean over the windows of the batch, so that the errors of its parts add up to that of the whole; the means over
    segments do so anyway, as all have one length. With `taught`, the targets of the squared errors are weighted means
    of the truth and of another network's estimates.

    Parameters
    ----------
    estimate, mixture, speech : Tensor
        Complex spectra ``(S, F, N)`` at unit level.
    """
    frames, complete = mixture.shape[0] * mixture.shape[2], complete_frames(spec, mixture.shape[2])
    mixture, speech, estimate = (x[..., complete] for x in (mixture, speech, resynthesised(estimate, spec)))
    target = truth = Parts.of(speech)
    if taught is not None:
        target = Parts.of(speech.lerp(resynthesised(taught.estimate, spec)[..., complete], taught.weight))
    found = Parts.of(estimate)
    error = spectral_error(found, target, train.loss_power, train.loss_phase, train.loss_uncompressed)
    if train.loss_intelligibility:
        all_frames, windows = batch or (frames, None)
        term = estoi_loss(found.power(), truth.power(), spec, windows)
        error = error + all_frames * train.loss_intelligibility * term
    if train.loss_distortion:
        error = error + frames * train.loss_distortion * distortion_loss(found, truth)
    if train.loss_residue:
        error = error + frames * train.loss_residue * residue_loss(found, Parts.of(mixture), truth)
    if train.loss_perceptual:
        error = error + frames * train.loss_perceptual * perceptual_loss(
            found.power(), truth.power(), spec, LEAST_SPEECH
        )
    return error


def beta_loss(target: Tensor, estimate: Tensor, beta: float) -> Tensor:
    """Return the β-divergence summed over all entries, differentiable."""
    if beta == 2:
        return 0.5 * (target - estimate).square().sum()
    y = estimate + epsilon(estimate)
    if beta == 1:
        return (torch.xlogy(target, target / y) - target + y).sum()
    if beta == 0:
        ratio = (target + epsilon(target)) / y
        return (ratio - ratio.log() - 1).sum()
    terms = target**beta + (beta - 1) * y**beta - beta * target * y ** (beta - 1)
    return terms.sum() / (beta * (beta - 1))


def distortion_loss(estimate: Parts, speech: Parts) -> Tensor:
    """Return the mean over the segments ``(S, F, N)``, at unit level, of −10 log₁₀(1 + r); 0 without speech.

    r is SI-SDR (Le Roux et al. 2019, eq. 5) as a ratio, as in :func:`deepnmf.training.loop.dev_score`. Each segment
    counts alike, whatever its SNR, while squared errors are dominated by the noisiest.
    """
    energy, estimated = (spectra.power().sum((1, 2)) for spectra in (speech, estimate))
    inner = estimate.inner(speech).sum((1, 2))
    orthogonal = (1 - inner.square() / (energy * estimated).clamp_min(LEAST_POWER)).clamp_min(0)  # rounding
    return (10 * (orthogonal + DISTORTION_FLOOR).log10() * (energy > LEAST_SPEECH)).mean()


def residue_loss(estimate: Parts, mixture: Parts, speech: Parts) -> Tensor:
    """Return the mean over the segments ``(S, F, N)`` of the residual noise in dB below the noise, if without speech.

    Segments with any speech at all count as 0.
    """
    remaining, energy, voice = (spectra.power().sum((1, 2)) for spectra in (estimate, mixture, speech))
    residue = remaining / energy.clamp_min(LEAST_POWER)
    return (10 * (residue + RESIDUE_FLOOR).log10() * (voice <= 0)).mean()


def estoi_loss(estimate: Tensor, speech: Tensor, spec: StftSpec, windows: int | None = None) -> Tensor:
    """Return the mean of 1 − d over the windows with speech, d being ESTOI's correlation; 0 without speech.

    Envelopes of third-octave bands are normalised over time, then over bands, in each window; d is their mean inner
    product (Jensen & Taal 2016, eqs. 4–7). It rewards the spectro-temporal contrast of speech, independent of scale.

    Parameters
    ----------
    estimate, speech : Tensor
        Powers of the bins, ``(segments, F, N)``, at unit level.
    spec : StftSpec
        Maps bins to bands.
    windows : int, optional
        The sum over windows is divided by this number; by default by those with speech.

    Returns
    -------
    Tensor
        A number from 0 to 2.
    """
    if speech.shape[2] < WINDOW_FRAMES:
        return estimate.new_zeros(())
    clean, estimated = (_windows(of_bins, spec) for of_bins in (speech, estimate))
    active = _with_speech(clean)
    correlation = (_normalised(clean) * _normalised(estimated)).sum((1, 3)) / WINDOW_FRAMES
    return ((1 - correlation) * active).sum() / max(1, int(active.sum()) if windows is None else windows)


def active_windows(speech: Tensor, spec: StftSpec) -> int:
    """Return the number of windows that count in powers of speech ``(segments, F, N)`` at unit level."""
    speech = speech[..., complete_frames(spec, speech.shape[2])]
    return int(_with_speech(_windows(speech, spec)).sum()) if speech.shape[2] >= WINDOW_FRAMES else 0


def _with_speech(clean: Tensor) -> Tensor:
    """Return which windows have speech, ``(segments, windows)``, bool."""
    energy = clean.square().sum((1, 3))
    return (energy > ACTIVE_BELOW_PEAK * energy.amax(1, keepdim=True)) & (energy > 1)


def _windows(powers: Tensor, spec: StftSpec) -> Tensor:
    """Return the envelopes of the bands in windows, ``(segments, bands, windows, frames)``."""
    envelopes = (_bands_on(spec, powers.device, powers.dtype) @ powers + LEAST_POWER).sqrt()
    return envelopes.unfold(2, WINDOW_FRAMES, WINDOW_STEP)


def _normalised(windows: Tensor) -> Tensor:
    """Return the windows with zero mean and unit norm over time, then over bands."""
    for axis in (3, 1):
        windows = windows - windows.mean(axis, keepdim=True)
        windows = windows / (windows.square().sum(axis, keepdim=True) + LEAST_POWER / 10).sqrt()
    return windows


@functools.cache
def _bands_on(spec: StftSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return :func:`third_octaves` on a device, copied once: the copy would wait for all work there."""
    with torch.inference_mode(False):
        return torch.from_numpy(third_octaves(spec)).to(device, dtype)


@functools.cache
def third_octaves(spec: StftSpec) -> np.ndarray:
    """Return which bins belong to each of STOI's bands, ``(bands, F)``, ones and zeros."""
    hertz = np.arange(spec.bins) * spec.rate_hz / spec.fft_size
    centres = LOWEST_HZ * 2 ** (np.arange(THIRD_OCTAVES)[:, None] / 3)
    inside = (hertz >= centres * 2 ** (-1 / 6)) & (hertz < centres * 2 ** (1 / 6))
    return np.asarray(inside, np.float32)
