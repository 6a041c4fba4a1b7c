"""Multiplicative updates of sparse NMF block by block, in buffers that stay in the processor's cache.

Data has scikit-learn's layout, one frame per row: ``X`` (N, F), activations ``H`` (N, R), components ``C`` (R, F). The
equations are those of :mod:`deepnmf.nmf.updates`, transposed.
"""

from __future__ import annotations

import numpy as np

from ..dsp.arrays import epsilon
from .divergence import beta_divergence, mu_exponent

BLOCK_FRAMES = 512
"""Frames of a block. Products of 256 reach 5 % less of the processor's peak; larger ones leave its cache."""


class BlockUpdates:
    """The terms of one sparse NMF problem, for at most `BLOCK_FRAMES` frames at a time.

    Parameters
    ----------
    components : ndarray
        C, shape ``(R, F)``.
    beta : float
        β of the divergence.
    sparsity : float
        μ.
    frames : int
        Frames of the largest block.
    """

    def __init__(self, components: np.ndarray, beta: float, sparsity: float, frames: int = BLOCK_FRAMES) -> None:
        self.beta, self.sparsity = beta, sparsity
        self.floor = epsilon(components)
        atoms, features = components.shape
        frames = min(frames, BLOCK_FRAMES)
        self._model, self._power = np.empty((2, frames, features), components.dtype)
        self._above, self._below = np.empty((2, frames, atoms), components.dtype)
        self._gradient = np.empty_like(components)
        self.components = components

    @property
    def components(self) -> np.ndarray:
        """C; later updates of activations use the value set."""
        return self._components

    @components.setter
    def components(self, components: np.ndarray) -> None:
        self._components = components
        self._transposed = np.ascontiguousarray(components.T)  # BLAS is up to 6 % faster than with a view
        if self.beta == 1:  # the denominator is that of every frame
            self._transposed /= components.sum(axis=1) + (self.sparsity + self.floor)

    def model(self, H: np.ndarray) -> np.ndarray:
        """Return Λ = H C, guarded, ``(n, F)``; the next call overwrites it."""
        model = np.matmul(H, self.components, out=self._model[: len(H)])
        model += self.floor
        return model

    def update_activations(self, X: np.ndarray, H: np.ndarray, measured: bool = False) -> float:
        """Update the activations ``(n, R)`` of a block in place, which cannot raise the objective.

        Returns
        -------
        float
            The block's objective before the update if it is to be `measured`, at no extra matrix product; else 0.
        """
        model = self.model(H)
        value = self._objective(X, H, model) if measured else 0.0
        ratio, power = self._parts(X, model)
        above = np.matmul(ratio, self._transposed, out=self._above[: len(H)])
        if self.beta != 1:
            below = np.matmul(power, self._transposed, out=self._below[: len(H)])
            below += self.sparsity + self.floor
            above /= below
        power_into(above, mu_exponent(self.beta), above)
        H *= above
        return value

    def add_gradient(
        self, X: np.ndarray, H: np.ndarray, above: np.ndarray, below: np.ndarray, measured: bool = False
    ) -> float:
        """Add a block's parts Hᵀ(X Λ^(β−2)) and HᵀΛ^(β−1) of the gradient in C, ``(R, F)``.

        Returns
        -------
        float
            The block's objective if it is to be `measured`; else 0.
        """
        model = self.model(H)
        value = self._objective(X, H, model) if measured else 0.0
        ratio, power = self._parts(X, model)
        above += np.matmul(H.T, ratio, out=self._gradient)
        below += H.sum(axis=0)[:, None] if self.beta == 1 else np.matmul(H.T, power, out=self._gradient)
        return value

    def objective(self, X: np.ndarray, H: np.ndarray) -> float:
        """Return D_β(X | Λ) + μ ‖H‖₁ of a block."""
        return self._objective(X, H, self.model(H))

    def _objective(self, X: np.ndarray, H: np.ndarray, model: np.ndarray) -> float:
        return beta_divergence(X, model, self.beta, self.floor) + self.sparsity * float(H.sum(dtype=np.float64))

    def _parts(self, X: np.ndarray, model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return X Λ^(β−2) and Λ^(β−1), where β = 1 needs no second one; `model` is overwritten."""
        if self.beta == 1:
            return np.divide(X, model, out=model), model
        if self.beta == 2:
            return X, model
        power = power_into(model, self.beta - 2, self._power[: len(X)])
        model *= power
        power *= X
        return power, model


def blocks(X: np.ndarray) -> list[slice]:
    """Return slices of at most `BLOCK_FRAMES` rows that cover `X`."""
    return [slice(start, start + BLOCK_FRAMES) for start in range(0, len(X), BLOCK_FRAMES)]


def power_into(x: np.ndarray, exponent: float, out: np.ndarray) -> np.ndarray:
    """Write ``x ** exponent`` to `out`: halves up to 2.5 by roots and products, a tenth of the time of ``pow``.

    Examples
    --------
    >>> power_into(np.array([4.0, 9.0]), -1.5, np.empty(2)).round(3).tolist()
    [0.125, 0.037]
    """
    factors, half = divmod(abs(exponent), 1)
    if half not in (0, 0.5) or factors > 2:
        return np.power(x, exponent, out=out)
    if exponent == 1 and out is x:
        return out
    x = x.copy() if out is x else x
    np.sqrt(x, out=out) if half else out.fill(1)
    for _ in range(int(factors)):
        out *= x
    return np.reciprocal(out, out=out) if exponent < 0 else out
