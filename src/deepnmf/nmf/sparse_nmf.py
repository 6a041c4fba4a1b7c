"""Sparse NMF with unit-norm atoms (MODEL.md §1; Le Roux, Weninger, Hershey, MERL TR2015-023)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..dsp.arrays import epsilon, fast_pow
from ..errors import DeepnmfError
from .divergence import beta_divergence, mu_exponent
from .updates import update_activations

REVIVAL_PERIOD = 10
"""Iterations between two searches for dead atoms."""
DEAD_SHARE = 1e-4
"""An atom is dead when it carries less than this share of the activation of an average atom."""


BLOCK_FRAMES = 1024
"""Frames worked on at a time: their model stays in the processor's cache."""


class SparseNMF:
    """Factorise non-negative data as ``m ≈ W h`` with sparse activations and unit-L2-norm atoms.

    Minimises ``D_β(m | W h) + μ ‖h‖₁`` by multiplicative updates, which cannot raise it.

    Parameters
    ----------
    atoms : int
        R.
    beta : float
        β of the divergence: 2 Euclidean, 1 Kullback–Leibler, 0 Itakura–Saito, any real between.
    sparsity : float
        μ ≥ 0, in the unit of the data.
    iterations : int
        Updates of :meth:`fit` and :meth:`transform`.
    seed : int
        Seed of the starting point.

    Attributes
    ----------
    components_ : ndarray
        Dictionary W, shape ``(F, R)``.
    activations_ : ndarray
        Activations of the fitted data, shape ``(R, N)``.
    objective_ : list of float
        Objective at the start and after each iteration of :meth:`fit`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> m = rng.random((8, 2)) @ rng.random((2, 50))
    >>> snmf = SparseNMF(atoms=2, beta=2, sparsity=0, iterations=500).fit(m)
    >>> bool(np.abs(snmf.components_ @ snmf.activations_ - m).max() < 0.05)
    True
    """

    def __init__(
        self, atoms: int, beta: float = 1.0, sparsity: float = 0.1, iterations: int = 100, seed: int = 0
    ) -> None:
        if atoms < 1 or sparsity < 0:
            raise DeepnmfError(f"sparse NMF needs atoms ≥ 1 and sparsity ≥ 0, not {atoms} and {sparsity}")
        self.atoms = atoms
        self.beta = beta
        self.sparsity = sparsity
        self.iterations = iterations
        self._rng = np.random.default_rng(seed)
        self._statistics: tuple[np.ndarray, np.ndarray] | None = None
        self._level = 1.0
        self.components_: np.ndarray
        self.activations_: np.ndarray
        self.objective_: list[float] = []

    def fit(self, m: np.ndarray, progress: Callable[[int, float], None] | None = None) -> SparseNMF:
        """Learn the dictionary from magnitudes ``(F, N)``; frames of silence are left out.

        Parameters
        ----------
        m : ndarray
            Non-negative data, shape ``(F, N)``.
        progress : callable, optional
            Called with the iteration and the objective after each iteration.

        Raises
        ------
        DeepnmfError
            If the data is negative, not finite or all silent.
        """
        m = active_frames(checked(m))
        self._level = float(m.mean())
        m = m / self._level
        self._start(m)
        h = self._starting_activations(m)
        blocks = [slice(start, start + BLOCK_FRAMES) for start in range(0, m.shape[1], BLOCK_FRAMES)]
        self.objective_ = [sum(self._objective(m[:, block], h[:, block]) for block in blocks)]
        for iteration in range(self.iterations):
            sums = [np.zeros_like(self.components_), np.zeros_like(self.components_)]
            for block in blocks:
                h[:, block] = self._update_activations(m[:, block], h[:, block])
                for total, part in zip(sums, self._sums(m[:, block], h[:, block]), strict=True):
                    total += part
            self._step(sums[0], sums[1])
            if iteration % REVIVAL_PERIOD == REVIVAL_PERIOD - 1 and iteration < self.iterations - REVIVAL_PERIOD:
                self._revive(m, h)
            self.objective_.append(sum(self._objective(m[:, block], h[:, block]) for block in blocks))
            if progress is not None:
                progress(iteration, self.objective_[-1])
        self.activations_ = h * self._level
        return self

    def partial_fit(self, m: np.ndarray, memory: float = 0.9, inner_iterations: int = 10) -> SparseNMF:
        """Improve the dictionary on one mini-batch ``(F, N)`` of a stream.

        The sums over frames that the update needs are kept across calls, faded by `memory` at each.
        """
        m = active_frames(checked(m))
        if not hasattr(self, "components_"):
            self._level = float(m.mean())
            self._start(m / self._level)
        m = m / self._level
        h = self._starting_activations(m)
        for _ in range(inner_iterations):
            h = self._update_activations(m, h)
        sums = self._sums(m, h)
        if self._statistics is not None:
            sums = (sums[0] + memory * self._statistics[0], sums[1] + memory * self._statistics[1])
        self._statistics = sums
        self._step(*sums)
        return self

    def transform(self, m: np.ndarray) -> np.ndarray:
        """Return the activations ``(R, N)`` of magnitudes ``(F, N)`` with the dictionary fixed."""
        m = checked(m) / self._level
        h = self._starting_activations(m)
        for _ in range(self.iterations):
            h = self._update_activations(m, h)
        return h * self._level

    def _start(self, m: np.ndarray) -> None:
        # Atoms start as frames of the data, blurred so that none is locked to zeros of that frame.
        chosen = m[:, self._rng.integers(m.shape[1], size=self.atoms)]
        blur = self._rng.uniform(0.5, 1.5, chosen.shape) * m.mean(axis=1, keepdims=True)
        self.components_ = normalised_atoms((chosen + blur).astype(m.dtype))

    def _starting_activations(self, m: np.ndarray) -> np.ndarray:
        """Give every atom an equal part of each frame's energy."""
        share = m.sum(axis=0) / self.components_.sum()
        return np.broadcast_to(share, (self.atoms, m.shape[1])).copy()

    @property
    def _unit_sparsity(self) -> float:
        """μ for data at unit level: D_β(m/l | W h/l) = D_β(m | W h) / l^β, so the same minimum needs μ l^(1−β)."""
        return self.sparsity * self._level ** (1 - self.beta)

    def _update_activations(self, m: np.ndarray, h: np.ndarray) -> np.ndarray:
        return update_activations(m, self.components_, h, self._unit_sparsity, self.beta)

    def _sums(self, m: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        model = self.components_ @ h + epsilon(m)
        above = (m * fast_pow(model, self.beta - 2)) @ h.T
        below = np.broadcast_to(h.sum(axis=1), above.shape) if self.beta == 1 else fast_pow(model, self.beta - 1) @ h.T
        return above, below

    def _step(self, above: np.ndarray, below: np.ndarray) -> None:
        """Update the dictionary by the normalised objective's two gradient parts, A = `above` and B = `below`."""
        W = self.components_
        floor = epsilon(W) * W.shape[0]
        numerator = above + W * (W * below).sum(axis=0)
        denominator = below + W * (W * above).sum(axis=0) + floor
        self.components_ = normalised_atoms(W * fast_pow(numerator / denominator, mu_exponent(self.beta)))

    def _revive(self, m: np.ndarray, h: np.ndarray) -> None:
        """Point dead atoms at the frames that are modelled worst, unless that raises the objective."""
        usage = h.sum(axis=1)
        dead = np.flatnonzero(usage < DEAD_SHARE * usage.mean())
        if not len(dead):
            return
        before, components, activations = self._objective(m, h), self.components_.copy(), h[dead]
        residual = np.square(m - self.components_ @ h).sum(axis=0)
        worst = np.argsort(residual)[-len(dead) :]
        self.components_[:, dead[: len(worst)]] = normalised_atoms(m[:, worst] + epsilon(m))
        h[dead] = DEAD_SHARE * h.mean()
        if self._objective(m, h) > before:  # what sparsity has killed stays dead
            self.components_, h[dead] = components, activations

    def _objective(self, m: np.ndarray, h: np.ndarray) -> float:
        floor = epsilon(m)
        divergence = beta_divergence(m, self.components_ @ h + floor, self.beta, floor)
        return (divergence + self._unit_sparsity * float(h.sum(dtype=np.float64))) * self._level**self.beta


def normalised_atoms(W: np.ndarray) -> np.ndarray:
    """Scale each column of `W` to unit L2 norm; a column of zeros becomes flat."""
    peak = W.max(axis=0)
    W = np.where(peak > 0, W / np.where(peak > 0, peak, 1), 1).astype(W.dtype)  # so that no square underflows
    return W / np.sqrt(np.square(W).sum(axis=0))


def active_frames(m: np.ndarray, below_peak_db: float = 60.0) -> np.ndarray:
    """Return the frames of ``(F, N)`` whose energy is within `below_peak_db` of the loudest.

    Raises
    ------
    DeepnmfError
        If every frame is silent.
    """
    peak = m.max(initial=0)
    if peak == 0:
        raise DeepnmfError("cannot learn a dictionary from silence: no frame has any energy")
    energy = np.square(m / peak).sum(axis=0, dtype=np.float64)
    return m[:, energy > energy.max() * 10 ** (-below_peak_db / 10)]


def checked(m: np.ndarray) -> np.ndarray:
    """Return `m` as a float array, or raise `DeepnmfError` if it is not a finite, non-negative matrix."""
    m = np.asarray(m)
    if m.dtype not in (np.float32, np.float64):
        m = m.astype(np.float32)
    if m.ndim != 2:
        raise DeepnmfError(f"magnitudes must have shape (F, N), not {m.shape}")
    if not np.isfinite(m).all() or (m < 0).any():
        raise DeepnmfError("magnitudes must be finite and non-negative")
    return m
