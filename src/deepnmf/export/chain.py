"""One hop of :class:`deepnmf.Enhancer` as a torch module without state of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..config import StftSpec
from ..dsp.attenuation_limit import TINY_POWER
from ..dsp.level import LEVEL_FLOOR
from ..dsp.upper_band import RULES, UpperBand
from ..enhancement.rates import MISSING_BAND_GAIN, upper_band
from .fourier import Transform
from .multi_frame import Frames
from .pauses import PausesStep
from .steps import mask_step

if TYPE_CHECKING:
    from ..model import Model
    from .onnx import ExportOptions
    from .steps import FilterStep


def chain(model: Model, options: ExportOptions) -> torch.nn.Module:
    """Return the module: samples, the limit of the attenuation if it is an input, and the states are its arguments."""
    features, spec = model.features, options.spec(model)
    estimate, transform = Estimate(model, spec), Transform(spec)
    least_weight = min(1.0, spec.hop / spec.rate_hz / features.level_seconds)
    upper = Upper(upper_band(features.stft, spec)) if spec.bins > features.stft.bins else None
    fixed_db = None if options.max_attenuation_db is None else torch.tensor([options.max_attenuation_db])

    class Chain(torch.nn.Module):
        def forward(self, samples: Any, *others: Any) -> tuple[Any, ...]:
            limit_db, others = (others[0], others[1:]) if options.attenuation_input else (fixed_db, others)
            past, level, tail, *memory = others
            above, memory = (memory[:1], memory[1:]) if upper else ([], memory)
            frame = torch.cat([past, samples])
            spectrum = transform.analyse(frame)
            inside = _model_band(spectrum.norm(dim=0), features.stft, spec)
            power, counted = _next_level(level, inside.square().mean(0, keepdim=True), least_weight)
            magnitude = power.sqrt().clamp(min=LEVEL_FLOOR)
            inside, level = inside / magnitude, torch.cat([power, counted])
            mask, filtered, *remembered = estimate(spectrum, inside, magnitude, *memory)
            if upper:
                above_power = spectrum[:, upper.stop :].square().sum(0)[:, None]
                gains, above[0] = upper(mask[:, None], inside[:, None], above_power, above[0])
                gains = gains[:, 0]
            else:
                gains = mask[: spec.bins] if spec.bins < len(mask) else mask
            filtered = None if filtered is None else pad(filtered, (0, spec.bins - filtered.shape[1]))
            if limit_db is not None:
                gains, filtered = _limited(spectrum, gains, filtered, 10 ** (-limit_db / 20))
            enhanced = spectrum * gains if filtered is None else spectrum * gains + filtered
            added = _overlapped(transform.synthesise(enhanced), tail, spec)
            return (added[0], frame[spec.hop :], level, added[1:], *above, *remembered)

    return Chain()


class Estimate:
    """The mask of a frame, as pauses change it, and what the network's filter adds to the spectrum, if it has one."""

    def __init__(self, model: Model, spec: StftSpec) -> None:
        self._step = mask_step(model.network)
        multi_frame = model.network.multi_frame
        self._frames = Frames(multi_frame, model.features.stft, spec) if multi_frame is not None else None
        self._pauses = PausesStep(model.features.stft.bins) if model.network.ATTENUATES_PAUSES else None

    def __call__(self, spectrum: Tensor, inside: Tensor, level: Tensor, *memory: Tensor) -> tuple[Any, ...]:
        """Return the mask ``(F,)``, what is added to the lowest bins ``(2, L′)`` or None, and the next states."""
        frames = self._frames
        before, memory = (memory[:2], memory[2:]) if self._pauses else ((), memory)
        if frames is None:
            mask, *following = self._step(inside, *memory)
            mask, *after = self._in_pauses(mask, inside, *before)
            return (mask, None, *after, *following)
        past, *states = memory
        together = frames.together(spectrum, level, past)
        times_i = frames.times_i(together)
        step = cast("FilterStep", self._step)
        mask, weights, *following = step.with_filter(inside, frames.advances(together, times_i), *states)
        mask, *after = self._in_pauses(mask, inside, *before)
        filtered = mask[: frames.bins] * frames.filtered(together, times_i, weights, level)
        return (mask, filtered, *after, frames.following(together, past), *following)

    def _in_pauses(self, mask: Tensor, inside: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the mask with further attenuation in pauses, and the states after it, if there are any."""
        return (mask,) if self._pauses is None else self._pauses(mask, inside, *states)


def _limited(spectrum: Tensor, gains: Tensor, filtered: Tensor | None, least: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return gains ``(F,)`` and what is added to the spectrum: :func:`deepnmf.dsp.attenuation_limit.limited`.

    Here the gains include what makes up for the filter. A limit of infinity, where `least` is 0, changes nothing.
    """
    in_phase = gains
    if filtered is not None:
        filtered = (1 - least.square()).sqrt() * filtered
        in_phase = gains + (filtered * spectrum).sum(0) / spectrum.square().sum(0).clamp(min=TINY_POWER)
    return gains + (least - in_phase).clamp(min=0) * (least > 0), filtered


def _model_band(magnitudes: Tensor, model_spec: StftSpec, spec: StftSpec) -> Tensor:
    """Return the model's bins of magnitudes at another rate: :class:`deepnmf.enhancement.rates.ModelBand`."""
    inside = magnitudes if spec.bins <= model_spec.bins else magnitudes[: model_spec.bins]
    if spec.window != model_spec.window:
        inside = inside * (model_spec.window / spec.window)
    missing = model_spec.bins - len(inside)
    if missing <= 0:
        return inside
    upper = inside[len(inside) // 2 : -1]
    return torch.cat([inside, MISSING_BAND_GAIN * upper[torch.arange(missing) % len(upper)]])


class Upper:
    """:class:`deepnmf.dsp.upper_band.UpperBand` on tensors; its state is tilt, count, noise and speech of the bands."""

    def __init__(self, band: UpperBand) -> None:
        self.top, self.stop = band.top, band.top.stop
        matrices = (band.spread, band.pooling, band.parts, band.steps[:, None])
        self.spread, self.pooling, self.parts, self.steps = (torch.from_numpy(m).float() for m in matrices)

    def __call__(self, mask: Tensor, inside: Tensor, power: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gains ``(F, 1)`` of all bins, and the next state ``(2 + 2B,)``."""
        count = len(self.steps)
        (tilt, counted), noise, speech = state[:2], state[2 : 2 + count, None], state[2 + count :, None]
        weights = inside[self.top] + RULES["least_magnitude"]
        total, masked = self.parts @ weights, self.parts @ (mask[self.top] * weights)
        mean = (masked.sum() / total.sum()).clamp(max=1)
        levels = masked[:, 0] / total[:, 0] + RULES["mask_floor"]
        slope = (levels[-1] / levels[0]).log() / (RULES["top_parts"] - 1)
        tilt = tilt + RULES["tilt_weight"] * (slope - tilt)
        carried = mean * (tilt.clamp(max=0) * self.steps).clamp(min=RULES["steepest"]).exp()
        absence = (1 - mean) ** RULES["speech_absence"]
        counted = (counted + absence).clamp(max=2 / RULES["noise_weight"])  # beyond this the weight is constant
        bands = self.pooling @ power
        noise = noise + absence * (1 / counted.clamp(min=1)).clamp(min=RULES["noise_weight"]) * (bands - noise)
        rise = (1 - RULES["past_weight"]) * (bands - noise).clamp(min=0)
        risen = rise + RULES["past_weight"] * speech + RULES["tiny"]
        share = (risen / (risen + noise)).clamp(min=RULES["least_share"])
        speech = share * share * bands
        gains = torch.minimum(carried, (carried * share).sqrt())
        following = torch.cat([torch.stack([tilt, counted]), noise[:, 0], speech[:, 0]])
        return torch.cat([mask[: self.stop], self.spread @ gains]), following


def _overlapped(wave: Tensor, tail: Tensor, spec: StftSpec) -> Tensor:
    """Return hops of the frame added to the tail; the first is complete."""
    segments = len(tail) + 1
    added = pad(wave, (0, segments * spec.hop - spec.window)).reshape(segments, spec.hop)
    return added + pad(tail, (0, 0, 0, 1))


def _next_level(level: Tensor, power: Tensor, least_weight: float) -> tuple[Tensor, Tensor]:
    """Return power and frames counted after a frame, ``(1,)`` each: :class:`deepnmf.dsp.level.LevelTracker`."""
    before, counted = level.split(1)
    active = (power > LEVEL_FLOOR**2).to(level.dtype)
    counted = (counted + active).clamp(max=1 / least_weight + 1)  # beyond this the weight is constant
    weight = torch.clamp(1 / counted.clamp(min=1), min=least_weight) * active
    return before + weight * (power - before), counted
