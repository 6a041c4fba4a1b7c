"""One hop of enhancement as a torch module without state of its own: what :class:`deepnmf.Enhancer` does to a block."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..config import StftSpec
from ..dsp.level import LEVEL_FLOOR
from ..enhancement.enhancer import TOP_BAND, UNHEARD_GAIN
from .fourier import Transform
from .steps import mask_step

if TYPE_CHECKING:
    from ..model import Model
    from .onnx import ExportOptions


def chain(model: Model, options: ExportOptions) -> torch.nn.Module:
    """Return the module: samples, the limit of the attenuation if it is an input, and the states are its arguments."""
    features, spec = model.features, options.spec(model)
    estimate, transform = mask_step(model.network), Transform(spec)
    least_weight = min(1.0, spec.hop / spec.rate_hz / features.level_seconds)
    fixed_db = torch.tensor([math.inf if options.max_attenuation_db is None else options.max_attenuation_db])

    class Chain(torch.nn.Module):
        def forward(self, samples: Any, *others: Any) -> tuple[Any, ...]:
            limit_db, others = (others[0], others[1:]) if options.attenuation_input else (fixed_db, others)
            past, level, tail, *memory = others
            frame = torch.cat([past, samples])
            spectrum = transform.analyse(frame)
            inside = _model_band(spectrum.square().sum(0).sqrt()[:, None], features.stft, spec)
            level = _next_level(level, inside.square().mean(), least_weight)
            inside = inside / level[0].sqrt().clamp(min=LEVEL_FLOOR)
            mask, *remembered = estimate(inside, *memory)
            gains = torch.maximum(_all_gains(mask, inside, spec.bins), 10 ** (-limit_db / 20))
            added = _overlapped(transform.synthesise(spectrum * gains[:, 0]), tail, spec)
            return (added[0], frame[spec.hop :], level, added[1:], *remembered)

    return Chain()


def _model_band(magnitudes: Tensor, model_spec: StftSpec, spec: StftSpec) -> Tensor:
    """Return the model's bins of magnitudes at another rate: :func:`deepnmf.enhancement.enhancer.model_band`."""
    inside = magnitudes[: model_spec.bins] * (model_spec.window / spec.window)
    missing = model_spec.bins - len(inside)
    if missing <= 0:
        return inside
    upper = inside[len(inside) // 2 : -1]
    return torch.cat([inside, UNHEARD_GAIN * upper[torch.arange(missing) % len(upper)]])


def _all_gains(mask: Tensor, inside: Tensor, bins: int) -> Tensor:
    """Return the gains ``(F, 1)`` of all bins: above the model's band, the mean of the top of it, by magnitude."""
    if bins <= len(mask):
        return mask[:bins]
    top = slice(*(int(share * len(mask)) for share in TOP_BAND))
    weights = inside[top] + torch.finfo(torch.float32).tiny ** 0.5
    above = (mask[top] * weights).sum(0, keepdim=True) / weights.sum(0, keepdim=True)
    return torch.cat([mask[: top.stop], above.expand(bins - top.stop, 1)])


def _overlapped(wave: Tensor, tail: Tensor, spec: StftSpec) -> Tensor:
    """Return hops of the frame added to the tail; the first is complete."""
    segments = len(tail) + 1
    added = torch.cat([wave, torch.zeros(segments * spec.hop - spec.window)]).reshape(segments, spec.hop)
    return added + torch.cat([tail, torch.zeros(1, spec.hop)])


def _next_level(level: Tensor, power: Tensor, least_weight: float) -> Tensor:
    """Return ``(power, frames counted)`` after a frame: :class:`deepnmf.dsp.level.LevelTracker` on tensors."""
    heard = (power > LEVEL_FLOOR**2).to(level.dtype)
    counted = (level[1] + heard).clamp(max=1 / least_weight + 1)  # beyond this the weight is constant
    weight = torch.clamp(1 / counted.clamp(min=1), min=least_weight) * heard
    return torch.stack([level[0] + weight * (power - level[0]), counted])
