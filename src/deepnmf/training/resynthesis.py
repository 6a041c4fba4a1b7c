"""Spectra as they are after resynthesis, so that a loss is one of the waveform (Wisdom et al. 2019)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
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
    resynthesis: Tensor = _Resynthesis.apply(spectra, spec)  # type: ignore[no-untyped-call]
    return resynthesis


class _Resynthesis(torch.autograd.Function):
    """The adjoint of the transform is its inverse, of the unpaired bins once instead of twice; windows change places.

    By autograd, it would take complex transforms of twice the length and two copies of all frames for each pass.
    """

    @staticmethod
    def forward(ctx: Any, spectra: Tensor, spec: StftSpec) -> Tensor:
        ctx.spec = spec
        analysis, synthesis = (w.to(spectra.real) for w in _windows(spec))
        return _transformed(spectra, spec, synthesis, analysis)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), spec = gradients, ctx.spec
        analysis, synthesis = (w.to(gradient.real) for w in _windows(spec))
        return _transformed(gradient, spec, analysis, synthesis, adjoint=True), None


def _transformed(spectra: Tensor, spec: StftSpec, before: Tensor, after: Tensor, adjoint: bool = False) -> Tensor:
    """Return the spectra ``(S, F, N)`` of frames that are overlapped, with a window before and one after that."""
    transformed = torch.empty_like(spectra, memory_format=torch.contiguous_format)  # others are slow beside these
    unpaired = [0, spec.fft_size // 2][: 2 - spec.fft_size % 2] if adjoint else []
    together = 1 if spectra.device.type == "cpu" else len(spectra)  # a segment stays in the cache
    for block, out in zip(spectra.split(together), transformed.split(together), strict=True):
        frames = block.mT.clone(memory_format=torch.contiguous_format)  # (S, N, F)
        for k in unpaired:
            frames[..., k] *= 2
        waves = torch.fft.irfft(frames, spec.fft_size)
        if longer := len(before) - spec.fft_size:
            waves = functional.pad(waves, (0, longer))
        waves *= before
        _overlap(waves, after, spec)
        torch.fft.rfft(waves[..., : spec.fft_size], spec.fft_size, out=frames)
        for k in unpaired:
            frames[..., k] /= 2
        out.copy_(frames.mT)
    return transformed


def _overlap(waves: Tensor, after: Tensor, spec: StftSpec) -> None:
    """Replace frames ``(S, N, samples)`` by those of their sum, with a window."""
    frames, count = waves.shape[1], _hops(spec)
    hops, window_hops = (x[..., : count * spec.hop].unflatten(-1, (count, spec.hop)) for x in (waves, after))
    wave = waves.new_zeros(len(waves), frames + count - 1, spec.hop)
    for late in range(count):
        wave[:, late : late + frames] += hops[:, :, late]
    for late in range(count):
        torch.mul(wave[:, late : late + frames], window_hops[late], out=hops[:, :, late])


def complete_frames(spec: StftSpec, frames: int) -> slice:
    """Return the frames of a segment that overlap with none beyond it; all, if there are none."""
    edge = _hops(spec) - 1
    return slice(edge, frames - edge) if frames > 2 * edge else slice(None)


def _hops(spec: StftSpec) -> int:
    """Return the number of hops that a window touches."""
    return -(-spec.window // spec.hop)


@functools.cache
def _windows(spec: StftSpec) -> tuple[Tensor, Tensor]:
    """Return the windows of analysis and synthesis, with zeros up to the transform's length or to whole hops."""
    zeros = max(spec.fft_size, _hops(spec) * spec.hop) - spec.window
    with torch.inference_mode(False):
        of_analysis, of_synthesis = (torch.from_numpy(np.pad(w(spec), (0, zeros))) for w in (window, synthesis_window))
        return of_analysis, of_synthesis
