"""β-divergence, and its gradient split into two non-negative parts (docs/model.md §1 and §3; Févotte & Idier 2011)."""

from __future__ import annotations

import numpy as np

from ..dsp.arrays import AnyArray, fast_pow


def beta_divergence(target: np.ndarray, estimate: np.ndarray, beta: float, floor: float = 0.0) -> float:
    """Return the β-divergence summed over all entries.

    β = 2 is half the squared Euclidean distance, 1 the Kullback–Leibler divergence, 0 Itakura–Saito.

    Parameters
    ----------
    target, estimate : ndarray
        Non-negative, of equal shape; `estimate` positive.
    beta : float
        Any real.
    floor : float
        Added to the target where β ≤ 0 would make a zero infinitely costly.

    Examples
    --------
    >>> beta_divergence(np.array([1.0, 3.0]), np.array([1.0, 1.0]), 2)
    2.0
    """
    x, y = target, estimate
    if beta == 2:
        terms = 0.5 * np.square(x - y)
    elif beta == 1:
        terms = x / y
        terms += np.finfo(terms.dtype).tiny  # 0 log 0 = 0
        np.log(terms, out=terms)
        terms *= x
        terms -= x
        terms += y
    elif beta == 0:
        ratio = (x + floor) / y
        terms = ratio - np.log(ratio) - 1
    else:
        x = x + floor if beta < 0 else x
        terms = (x**beta + (beta - 1) * y**beta - beta * x * y ** (beta - 1)) / (beta * (beta - 1))
    return float(terms.sum(dtype=np.float64))


def gradient_parts(target: AnyArray, estimate: AnyArray, beta: float) -> tuple[AnyArray, AnyArray]:
    """Return the parts ``(₊, ₋)`` of ∂D_β(target | estimate)/∂estimate; the gradient is their difference.

    Examples
    --------
    >>> gradient_parts(np.array([3.0]), np.array([1.0]), 2)
    (array([1.]), array([3.]))
    """
    return estimate ** (beta - 1), target * fast_pow(estimate, beta - 2)


def mu_exponent(beta: float) -> float:
    """Return γ(β), the exponent under which the multiplicative update cannot raise D_β (Févotte & Idier 2011)."""
    if beta < 1:
        return 1 / (2 - beta)
    return 1.0 if beta <= 2 else 1 / (beta - 1)
