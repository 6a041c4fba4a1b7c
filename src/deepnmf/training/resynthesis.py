"""Spectra as they are after resynthesis, so that a loss is one of the waveform (Wisdom et al. 2019)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

from ..config import StftSpec
from ..dsp.stft import synthesis_window, window


def resynthesised(spectra: Tensor, spec: StftSpec) -> Tensor:
    """Return the STFT of the overlap-added inverse STFT.

    Frames overlap, so a masked or filtered spectrum is that of no waveform: each frame of the output also holds what
    its neighbours were given. The first and last frames of a segment lack neighbours, see :func:`complete_frames`.

    Parameters
    ----------
    spectra : Tensor
        Complex ``(S, F, N)``.
    spec : StftSpec
        The transform.

    Returns
    -------
    Tensor
        Complex ``(S, F, N)``.
    """
    analysis, synthesis = (w.to(spectra.real) for w in _windows(spec))
    waves = torch.fft.irfft(spectra.mT, spec.fft_size)[..., : spec.window] * synthesis  # (S, N, window)
    samples = (spectra.shape[2] - 1) * spec.hop + spec.window
    wave = functional.fold(waves.mT, (1, samples), (1, spec.window), stride=(1, spec.hop))[:, 0, 0]  # (S, samples)
    return torch.fft.rfft(wave.unfold(1, spec.window, spec.hop) * analysis, spec.fft_size).mT


def complete_frames(spec: StftSpec, frames: int) -> slice:
    """Return the frames of a segment that overlap with none beyond it; all, if there are none."""
    edge = -(-spec.window // spec.hop) - 1
    return slice(edge, frames - edge) if frames > 2 * edge else slice(None)


@functools.cache
def _windows(spec: StftSpec) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        return torch.from_numpy(window(spec)), torch.from_numpy(synthesis_window(spec))
