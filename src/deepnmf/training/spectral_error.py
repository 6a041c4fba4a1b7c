"""Real and imaginary parts of complex spectra in training, and the squared error of spectra, with own derivatives.

By autograd and on torch's views of complex numbers, they would take a third of an update of a small network.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

LOSS_FLOOR = 1e-2
"""Added to unit-level magnitudes before they are compressed, as the slope at zero is infinite: a floor at −40 dB."""
LEAST_ESTIMATE, LEAST_PRODUCT = 1e-12, 1e-8
"""Added to the power of an estimate, and to the product of two magnitudes: the phase of silence has no gradient."""


class Parts(NamedTuple):
    """Real and imaginary parts of complex spectra, each contiguous."""

    real: Tensor
    imag: Tensor

    @classmethod
    def of(cls, spectra: Tensor) -> Parts:
        """Return the parts of complex spectra, differentiable."""
        return cls(*_Parts.apply(spectra))  # type: ignore[no-untyped-call]

    def power(self) -> Tensor:
        """Return the squared magnitudes."""
        return torch.addcmul(self.real * self.real, self.imag, self.imag)

    def inner(self, other: Parts) -> Tensor:
        """Return the products of the magnitudes and of the cosine of the angle between both."""
        return torch.addcmul(self.real * other.real, self.imag, other.imag)


class _Parts(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, spectra: Tensor) -> tuple[Tensor, Tensor]:
        return spectra.real.contiguous(), spectra.imag.contiguous()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return torch.complex(*gradients)


def spectral_error(estimate: Parts, target: Parts, exponent: float, phase: float, uncompressed: float) -> Tensor:
    """Return the squared error of compressed spectra (Braun & Tashev 2021, eq. 4) and of plain ones, summed.

    Of compressed magnitudes a and b of estimate and target, with θ between their phases, the first is
    ``(1 − phase) (a − b)² + phase |a − b e^(iθ)|²``, which is ``a² + b² − 2 a b (1 − phase + phase · cos θ)``.

    Parameters
    ----------
    estimate, target : Parts
        Spectra at unit level; only the first has a gradient.
    exponent, phase, uncompressed : float
        ``loss_power``, ``loss_phase`` and ``loss_uncompressed``.
    """
    error: Tensor = _SpectralError.apply(*estimate, *target, exponent, phase, uncompressed)  # type: ignore[no-untyped-call]
    return error


class _SpectralError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        exponent, phase, uncompressed = arguments[4:]
        estimate, target = Parts(*arguments[:2]), Parts(*arguments[2:4])
        inner, powers = estimate.inner(target), (estimate.power(), target.power())
        error = uncompressed * (powers[0].sum() + powers[1].sum() - 2 * inner.sum())
        magnitude, clean = powers[0].add_(LEAST_ESTIMATE).sqrt_(), powers[1].sqrt_()
        product = (magnitude * clean).add_(LEAST_PRODUCT)
        cosine = inner.div_(product).clamp_(-1, 1)
        a, b = ((x + LOSS_FLOOR).pow_(exponent) for x in (magnitude, clean))
        similar = b * (cosine * phase).add_(1 - phase)
        error += torch.dot(a.flatten(), (a - 2 * similar).flatten()) + b.square().sum()

        # The gradient is α E + β S. That of cos θ is S / (|E| |S|) − cos θ E / |E|².
        turn = b.mul_(a).mul_(2 * phase).div_(product)
        slope = similar.neg_().add_(a).mul_(a).mul_(2 * exponent).div_(magnitude + LOSS_FLOOR)  # at a constant phase
        of_estimate = slope.addcmul_(turn.mul(cosine), clean).div_(magnitude).add_(2 * uncompressed)
        ctx.save_for_backward(*estimate, *target, of_estimate, turn.add_(2 * uncompressed).neg_())
        return error

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, y, u, v, of_estimate, of_target = ctx.saved_tensors
        parts = (torch.addcmul(of_estimate * e, of_target, s).mul_(gradient) for e, s in ((x, u), (y, v)))
        return (*parts, None, None, None, None, None)
