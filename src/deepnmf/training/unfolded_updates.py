"""The layers of deep NMF as one differentiable function of their dictionaries, whose backward pass is written by hand.

The forward pass is that of inference. Autograd would pass over memory once more for every elementwise operation of
every layer, and keep the results of all of them for all frames. Here the derivative of a layer is one function
(:func:`carry_back`), and frames are processed in blocks: only the layers of the last block are kept for the backward
pass, those of other blocks are computed again, so that memory does not grow with K N.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..dsp.arrays import epsilon, fast_pow
from ..networks.unfolded.deep_nmf import DeepNMF
from ..nmf.divergence import mu_exponent
from ..nmf.updates import model_ratio, update_denominator

BLOCK_FRAMES = {"cpu": 1024, "cuda": 16_384}
"""Frames of a block on each type of device. On a processor, larger ones leave its cache; with smaller ones the overhead
of the calls shows."""
ROW_BYTES = 64
"""Alignment of the rows of a product (:func:`product`): a line of the cache."""


def block_frames(m: Tensor) -> int:
    """Return the number of frames that are processed at once on the device of `m`."""
    return BLOCK_FRAMES.get(m.device.type, BLOCK_FRAMES["cuda"])


class Layers(NamedTuple):
    """K updates less their dictionaries: what training leaves unchanged."""

    sparsities: Sequence[Tensor | float]
    """μ of each layer, or of each of its atoms, ``(R, 1)``."""
    gains: Sequence[Tensor | None]
    """Factors of each layer's result, ``(R, 1)``, or None for ones."""
    beta: float
    """β of the updates."""

    @classmethod
    def of(cls, network: DeepNMF) -> Layers:
        """Return those of a network with torch's arrays."""
        gains, mu = (cast("Tensor", x)[:, :, None] for x in (network.gains[1:], network.sparsities))  # (K, R, 1)
        are_ones = bool((gains == 1).all())  # in all networks but those that start from a trained one
        return cls(list(mu), [None] * len(gains) if are_ones else list(gains), network.beta)


class LayerState(NamedTuple):
    """What the derivative of a layer needs of its forward pass; one column stands for the same in all frames."""

    h: Tensor
    """Activations before the layer, ``(R, N)`` or ``(R, 1)``."""
    model: Tensor | None
    """Λ, ``(F, N)`` or ``(F, 1)``; None where m / r gives it, which spares half of the memory and of its traffic."""
    ratio: Tensor
    """r, ``(F, N)``."""
    inverse: Tensor
    """1 / m, ``(F, N)``, the same for all layers."""
    step: Tensor
    """n / d, ``(R, N)``."""
    denominator: Tensor
    """d, ``(R, N)`` or ``(R, 1)``."""

    def kept_model(self) -> Tensor:
        """Return Λ, which is kept for all β but 1."""
        assert self.model is not None
        return self.model

    def divide_by_model(self, x: Tensor) -> Tensor:
        """Divide by Λ, in place; zeros of m have to be zeros of x."""
        return x.mul_(self.inverse).mul_(self.ratio) if self.model is None else x.div_(self.model)


def unfolded_updates(m: Tensor, h: Tensor, dictionaries: Sequence[Tensor], layers: Layers) -> Tensor:
    """Return the activations ``(R, N)`` after one update for each dictionary, differentiable in these and in `h`.

    Parameters
    ----------
    m : Tensor
        Stacked magnitudes ``(T·F, N)``, without gradient.
    h : Tensor
        Activations before the first layer, ``(R, N)``; or ``(R, 1)``, without gradient, the same for all frames.
    dictionaries : sequence of Tensor
        Those of the K layers, ``(T·F, R)``; K ≥ 1.
    layers : Layers
        Sparsities, gains and β.
    """
    return cast("Tensor", _UnfoldedUpdates.apply(m, h, layers, *dictionaries))  # type: ignore[no-untyped-call]


class _UnfoldedUpdates(torch.autograd.Function):
    """See :func:`unfolded_updates`."""

    @staticmethod
    def forward(ctx: Any, m: Tensor, h: Tensor, layers: Layers, *dictionaries: Tensor) -> Tensor:
        ctx.save_for_backward(m, h, *dictionaries)
        ctx.layers, after = layers, []
        for block in _blocks(m, h):
            last, ctx.states = run_layers(*block, dictionaries, layers)
            after.append(last)
        return torch.cat(after, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        m, h, *dictionaries = ctx.saved_tensors
        _, to_start, _, *trained = ctx.needs_input_grad
        sums = [torch.zeros_like(W) if wanted else None for W, wanted in zip(dictionaries, trained, strict=True)]
        first = 0 if to_start else trained.index(True)
        at_start, states = [], ctx.states
        blocks, parts = _blocks(m, h), gradients[0].split(block_frames(m), 1)
        for block, g in zip(reversed(blocks), reversed(parts), strict=True):
            states = states or run_layers(*block, dictionaries, ctx.layers)[1]
            for k in range(len(dictionaries) - 1, first - 1, -1):
                g = scaled(g, ctx.layers.gains[k])
                g = carry_back(g, dictionaries[k], states[k], ctx.layers.beta, sums[k], to_start or k > first)
            at_start.append(g)
            states = None
        return None, torch.cat(at_start[::-1], 1) if to_start else None, None, *sums


def run_layers(m: Tensor, h: Tensor, dictionaries: Sequence[Tensor], layers: Layers) -> tuple[Tensor, list[LayerState]]:
    """Return the activations after all layers, and what is needed of each for the way back."""
    states, beta, inverse = [], layers.beta, 1 / m.clamp_min(torch.finfo(m.dtype).tiny)
    for W, mu, gain in zip(dictionaries, layers.sparsities, layers.gains, strict=True):
        model = product(W, h).add_(epsilon(m))
        denominator = update_denominator(W, model, mu, beta, epsilon(m))
        ratio, kept = _ratio(m, model, beta)
        step = (W.T @ ratio).div_(denominator)
        states.append(LayerState(h, kept, ratio, inverse, step, denominator))
        h = scaled(h * fast_pow(step, mu_exponent(beta)), gain)
    return h, states


def _ratio(m: Tensor, model: Tensor, beta: float) -> tuple[Tensor, Tensor | None]:
    """Return r, and Λ unless r has taken its place."""
    if beta == 1 and model.shape == m.shape:
        return torch.div(m, model, out=model), None
    return model_ratio(m, model, beta), model


def scaled(x: Tensor, gain: Tensor | None) -> Tensor:
    """Return the product with the gains of a layer."""
    return x if gain is None else x * gain


def carry_back(
    g: Tensor, W: Tensor, state: LayerState, beta: float, gradient: Tensor | None, further: bool
) -> Tensor | None:
    """Add ∂E/∂W of a layer to `gradient`, given ``g = ∂E/∂h'``; return ∂E/∂h if it is wanted `further` back.

    The layer is ``h' = h ∘ (n/d)^γ``, as in :func:`deepnmf.nmf.updates.update_activations`.
    """
    h, ratio, step = state.h, state.ratio, state.step
    at_n = g * slope_at_numerator(state, beta, epsilon(W))  # ∂E/∂n
    at_d = at_n * step  # −∂E/∂d
    at_model = _at_model(W, state, at_n, at_d, beta)
    if gradient is not None:
        gradient.addmm_(ratio, at_n.T).addmm_(at_model, h.T)
        if beta == 1:
            gradient.sub_(at_d.sum(1))  # d is the sum of the rows of W
        else:
            at_model_power = at_d.sum_to_size(h.shape)  # −∂E/∂(Wᵀ Λ^(β−1))
            gradient.addmm_(torch.as_tensor(fast_pow(state.kept_model(), beta - 1)), at_model_power.T, alpha=-1)
    if further:
        return (g * fast_pow(step, mu_exponent(beta))).addmm_(W.T, at_model)
    return None


def slope_at_numerator(state: LayerState, beta: float, floor: float) -> Tensor:
    """Return ∂h'/∂n of a layer, finite where n = 0."""
    gamma, slope = mu_exponent(beta), state.h / state.denominator
    if gamma == 1:
        return slope
    return gamma * slope * torch.maximum(state.step, floor**2 / state.denominator) ** (gamma - 1)


def _at_model(W: Tensor, state: LayerState, at_n: Tensor, at_d: Tensor, beta: float) -> Tensor:
    """Return ∂E/∂Λ, by ∂r/∂Λ = (β−2) r/Λ and ∂Λ^(β−1)/∂Λ; summed over the frames if Λ is the same for all."""
    found = product(W, at_n, beta - 2).mul_(state.ratio)
    if beta != 1:
        found += product(W, at_d, 1 - beta).mul_(fast_pow(state.kept_model(), beta - 1))
    return state.divide_by_model(found).sum_to_size(found.shape[0], state.h.shape[1])


def product(a: Tensor, b: Tensor, factor: float = 1.0) -> Tensor:
    """Return the product of two matrices times a factor, with rows that start at multiples of `ROW_BYTES`.

    MKL is up to 1.5 times as slow where rows are long and do not: those of 500 frames of nine stacked ones.
    """
    columns, step = b.shape[1], ROW_BYTES // b.element_size()
    out = b.new_empty(a.shape[0], -(-columns // step) * step)[:, :columns]
    return torch.addmm(out, a, b, beta=0, alpha=factor, out=out)


def _blocks(m: Tensor, h: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return magnitudes and first activations of blocks of the frames."""
    size = block_frames(m)
    parts = m.split(size, 1)
    starts = h.split(size, 1) if h.shape[1] == m.shape[1] else [h] * len(parts)
    return list(zip(parts, starts, strict=True))
