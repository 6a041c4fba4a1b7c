"""Extrapolated multiplicative updates: momentum in the logarithm, and a step back where the objective would rise.

Updates start from ``x_k (x_k / x_{k-1})^w`` instead of x_k, which keeps activations and components non-negative (after
Ang & Gillis, "Accelerating nonnegative matrix factorization algorithms using extrapolation", 2019). The objective that
an update computes anyway decides: if it rose, the update is repeated from x_k, whose objective cannot rise.
"""

from __future__ import annotations

import numpy as np

FIRST_WEIGHT, HIGHEST_WEIGHT = 0.5, 0.99
"""Of the momentum w."""
GROWTH, CUT = 1.05, 0.5
"""Factors of the weight after an update that is kept, and after one that is not."""
LARGEST_FACTOR = 10.0
"""An extrapolation changes an entry by this factor at most."""
TINY = 1e-12
"""Added to entries of unit level, so that zeros stay."""


class Extrapolation:
    """Momentum of activations ``(N, R)`` and components ``(R, F)``, from the points of the last two updates.

    Parameters
    ----------
    H, C : ndarray
        Where the updates start.
    """

    def __init__(self, H: np.ndarray, C: np.ndarray) -> None:
        self._H, self._C = H.copy(), C
        self._weight = FIRST_WEIGHT
        self._objective = np.inf

    def accepts(self, objective: float) -> bool:
        """Return whether an update, during which the objective was this, is kept."""
        kept = objective <= self._objective
        self._weight = min(HIGHEST_WEIGHT, self._weight * GROWTH) if kept else self._weight * CUT
        if kept:
            self._objective = objective
        return kept

    def step_back(self, H: np.ndarray) -> np.ndarray:
        """Write the activations before the extrapolation to `H`; return the components."""
        H[:] = self._H
        return self._C

    def extrapolate(self, H: np.ndarray, C: np.ndarray) -> np.ndarray:
        """Extrapolate the activations in place; return extrapolated components of unit norm."""
        factor = self._momentum(H, self._H)
        self._H = H.copy()
        H *= factor
        factor, self._C = self._momentum(C, self._C.copy()), C
        factor *= C
        factor /= np.sqrt(np.einsum("rf,rf->r", factor, factor))[:, None]
        return factor

    def restart(self, H: np.ndarray, C: np.ndarray) -> None:
        """Restart from a point that was changed otherwise."""
        self._H, self._C = H.copy(), C

    def _momentum(self, now: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return ``(now / last)^w``, computed in `last`."""
        last += last.dtype.type(TINY)
        np.divide(now + last.dtype.type(TINY), last, out=last)
        np.log(last, out=last)
        last *= last.dtype.type(self._weight)
        np.minimum(last, last.dtype.type(np.log(LARGEST_FACTOR)), out=last)
        return np.exp(last, out=last)
