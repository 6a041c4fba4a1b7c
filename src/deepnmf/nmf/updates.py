"""Multiplicative updates of activations, and the sources that they model (docs/model.md §1–§3).

Every function takes NumPy arrays or torch tensors: training and inference share this one definition. Shapes: ``m``
(T·F, N), ``W`` (T·F, R), ``h`` (R, N); atoms of speech come before atoms of noise.
"""

from __future__ import annotations

from typing import cast

from ..dsp.arrays import AnyArray, epsilon, fast_pow
from .divergence import mu_exponent


def model_ratio(m: AnyArray, model: AnyArray, beta: float) -> AnyArray:
    """Return r = m Λ^(β−2), given the model Λ = W h with its guard against division by zero."""
    return m / model if beta == 1 else m * fast_pow(model, beta - 2)


def update_denominator(W: AnyArray, model: AnyArray, sparsity: AnyArray | float, beta: float, floor: float) -> AnyArray:
    """Return d = Wᵀ Λ^(β−1) + μ of one update of activations, guarded; one column if it is the same in all frames."""
    if beta == 1:
        return W.sum(0)[:, None] + (sparsity + floor)
    return W.T @ cast("AnyArray", fast_pow(model, beta - 1)) + (sparsity + floor)


def update_activations(
    m: AnyArray, W: AnyArray, h: AnyArray, sparsity: AnyArray | float, beta: float, floor: float | None = None
) -> AnyArray:
    """Return the activations after one multiplicative update, one layer of the network.

    Parameters
    ----------
    m : Array
        Mixture magnitudes ``(T·F, N)``.
    W : Array
        Dictionary ``(T·F, R)``.
    h : Array
        Activations ``(R, N)``.
    sparsity : Array or float
        μ ≥ 0, the weight of ‖h‖₁, or of each atom's part of it, ``(R, 1)``.
    beta : float
        β of the divergence.
    floor : float, optional
        Guard against division by zero; that of unit-level data by default.
    """
    floor = epsilon(W) if floor is None else floor
    model = W @ h
    model += floor
    numerator = W.T @ model_ratio(m, model, beta)
    return h * fast_pow(numerator / update_denominator(W, model, sparsity, beta, floor), mu_exponent(beta))


def source_models(W: AnyArray, h: AnyArray, speech_atoms: int) -> tuple[AnyArray, AnyArray]:
    """Return the models ``(a, b)`` of speech and of noise from the reconstruction dictionary `W` (F, R)."""
    return W[:, :speech_atoms] @ h[:speech_atoms], W[:, speech_atoms:] @ h[speech_atoms:]


def wiener_mask(W: AnyArray, h: AnyArray, speech_atoms: int) -> AnyArray:
    """Return the mask ``a / (a + b)`` of the output layer, in [0, 1], shape ``(F, N)``."""
    a, b = source_models(W, h, speech_atoms)
    model = a + b
    model += epsilon(W)
    return a / model
