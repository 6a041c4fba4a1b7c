"""Sparse NMF with unit-norm atoms (docs/model.md §1; Le Roux, Weninger, Hershey, MERL TR2015-023)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from ..dsp.arrays import epsilon
from ..errors import InputError
from .blocks import BlockUpdates, blocks, power_into
from .divergence import mu_exponent
from .estimator import Estimator, RandomState, check_magnitudes, random_generator
from .extrapolation import Extrapolation
from .partition import WHOLE, Partition

if TYPE_CHECKING:
    from typing_extensions import Self

CHECK_PERIOD = 10
"""Iterations between two values of the objective, and between two searches for dead atoms."""
DEAD_SHARE = 1e-4
"""An atom is dead when it carries less than this share of the activation of an average atom."""


class SparseNMF(Estimator):
    """Factorise non-negative data as ``X ≈ H C`` with sparse activations H and unit-L2-norm components C.

    Minimises ``D_β(X | H C) + μ ‖H‖₁`` by multiplicative updates, which cannot raise it. An estimator with
    scikit-learn's interface, without the dependency: data is ``(n_samples, n_features)``, a frame a row.

    Parameters
    ----------
    n_components : int, optional
        Atoms, R; by default as many as the data has features.
    beta : float
        β of the divergence: 2 Euclidean, 1 Kullback–Leibler, 0 Itakura–Saito, any real between.
    sparsity : float
        μ ≥ 0, in the unit of the data to the power β − 1.
    max_iter : int
        Maximum number of updates of :meth:`fit`; number of updates of :meth:`transform`.
    tol : float
        :meth:`fit` stops when ten updates lower the objective by less than this share of its first value.
    forget_factor : float
        Weight of the statistics of earlier batches in :meth:`partial_fit`.
    batch_iter : int
        Updates of the activations of a batch in :meth:`partial_fit`.
    extrapolate : bool
        Whether :meth:`fit` extrapolates its updates (:mod:`deepnmf.nmf.extrapolation`): it reaches the same objective,
        which still cannot rise, in about half of the time.
    random_state : int, Generator or RandomState, optional
        Seed of the initialisation; without one no two fits are the same.

    Attributes
    ----------
    components_ : ndarray
        C, shape ``(R, F)``.
    n_features_in_ : int
        F.
    n_iter_ : int
        Updates that :meth:`fit` made.
    objective_ : list of float
        The objective before the first update, within every tenth, and at the end; it is non-increasing.
    reconstruction_err_ : float
        ``√(2 D_β(X | H C))`` of the frames fitted, as ``sklearn.decomposition.NMF`` has it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((50, 2)) @ rng.random((2, 8))
    >>> snmf = SparseNMF(2, beta=2, sparsity=0, max_iter=500, tol=0, random_state=0)
    >>> bool(np.abs(snmf.inverse_transform(snmf.fit_transform(X)) - X).max() < 0.05)
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        beta: float = 1.0,
        sparsity: float = 0.1,
        max_iter: int = 200,
        tol: float = 1e-4,
        forget_factor: float = 0.9,
        batch_iter: int = 10,
        extrapolate: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.beta = beta
        self.sparsity = sparsity
        self.max_iter = max_iter
        self.tol = tol
        self.forget_factor = forget_factor
        self.batch_iter = batch_iter
        self.extrapolate = extrapolate
        self.random_state = random_state
        self.components_: np.ndarray
        self.objective_: list[float]
        self.reconstruction_err_: float
        self.n_iter_: int
        self._level: float
        self._gradient: np.ndarray

    def fit(
        self,
        X: Any,
        y: object = None,  # noqa: ARG002 - scikit-learn's convention, here and below
        *,
        progress: Callable[[int, float], None] | None = None,
        partition: Partition = WHOLE,
    ) -> Self:
        """Learn the components from magnitudes ``(n_samples, n_features)``; frames of silence are left out.

        Parameters
        ----------
        X : array-like
            Non-negative data, shape ``(N, F)``.
        y : object
            Ignored.
        progress : callable, optional
            Called after each update with its number and the objective when it was last computed.
        partition : Partition
            Which part `X` is of data that several processes share; it may be empty, ``(0, F)``. All of them, with the
            same seed as `random_state`, get the components of the whole.

        Raises
        ------
        InputError
            If the data is negative, not finite or all silent, or a parameter is impossible.
        """
        self._partition = partition
        X = check_magnitudes(X) if partition.size == 1 or len(X) else X
        self._atoms(X)
        X = np.ascontiguousarray(X[active_frames(X, partition=partition)])
        self._level = _level(X, partition)
        X /= X.dtype.type(self._level)
        self._start(X)
        updates, H = self._updates(X), np.empty((len(X), len(self.components_)), X.dtype)
        self._infer(updates, X, H, 0)
        self.objective_ = []
        momentum = Extrapolation(H, updates.components) if self.extrapolate else None
        for iteration in range(1, self.max_iter + 1):
            checked = iteration % CHECK_PERIOD == 0 and iteration < self.max_iter
            self._iterate(updates, X, H, iteration == 1, checked, momentum)
            if progress is not None:
                progress(iteration, self.objective_[-1])
            if checked and self._has_converged():
                break
            if checked:
                self._revive(updates, X, H)
            if momentum is not None and iteration < self.max_iter:
                self._extrapolate(momentum, updates, H, restart=checked)
        self.n_iter_ = iteration
        self._finish(updates, X, H)
        return self

    def fit_transform(self, X: Any, y: object = None) -> np.ndarray:  # noqa: ARG002
        """Learn the components, then return the activations ``(N, R)`` of the same data by :meth:`transform`."""
        return self.fit(X).transform(X)

    def partial_fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Improve the components on one mini-batch ``(N, F)`` of a stream.

        The sums over frames that the update needs are kept across calls, weighted by `forget_factor` at each.
        """
        X = check_magnitudes(X)
        first, self._partition = not hasattr(self, "components_"), WHOLE
        X = (X if first else self._check_features(X))[active_frames(X)]
        if first:
            self._level = _level(X)
        X = self._at_unit_level(X)
        if first:
            self._start(X)
        self._gradient *= self.forget_factor
        above, below = self._gradient
        updates, H = self._updates(X), np.empty((len(X), len(self.components_)), X.dtype)
        for block in blocks(X):
            self._infer(updates, X[block], H[block], self.batch_iter)
            updates.add_gradient(X[block], H[block], above, below)
        self.components_ = stepped_components(self.components_, above, below, self.beta)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the activations ``(N, R)`` of magnitudes ``(N, F)`` after `max_iter` updates, components fixed.

        The activations of a frame do not depend on other frames.
        """
        self._check_fitted()
        X = self._check_features(check_magnitudes(X))
        updates, H = self._updates(X), np.empty((len(X), len(self.components_)), X.dtype)
        for block in blocks(X):
            self._infer(updates, self._at_unit_level(X[block]), H[block], self.max_iter)
        H *= self._level
        return H

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the reconstruction ``(N, F)`` from activations ``(N, R)``."""
        self._check_fitted()
        return np.asarray(X) @ self.components_

    def _check_fitted(self) -> None:
        if not hasattr(self, "components_"):
            raise InputError(f"this {type(self).__name__} has no components yet: call fit first")

    def _atoms(self, X: np.ndarray) -> int:
        """Return R for the data, the parameters checked."""
        atoms = X.shape[1] if self.n_components is None else self.n_components
        if atoms < 1 or not self.sparsity >= 0 or self.max_iter < 1 or not self.tol >= 0:
            raise InputError(
                "sparse NMF needs n_components ≥ 1, sparsity ≥ 0, max_iter ≥ 1 and tol ≥ 0, not "
                f"{self.n_components}, {self.sparsity}, {self.max_iter} and {self.tol}"
            )
        return int(atoms)

    def _at_unit_level(self, X: np.ndarray) -> np.ndarray:
        return np.divide(X, X.dtype.type(self._level), order="C")

    def _start(self, X: np.ndarray) -> None:
        """Initialise the components: frames of the data, blurred so that none is locked to zeros of its frame."""
        atoms, rng = self._atoms(X), random_generator(self.random_state)
        frames = self._partition.count(len(X))
        chosen = self._partition.rows(X, rng.integers(frames, size=atoms)).T
        mean = self._partition.sum(X.sum(axis=0)) / X.dtype.type(frames)
        blur = rng.uniform(0.5, 1.5, chosen.shape) * mean[:, None]
        self.n_features_in_ = X.shape[1]
        self.components_ = np.ascontiguousarray(normalised_atoms((chosen + blur).astype(X.dtype)).T)
        self._gradient = np.zeros((2, *self.components_.shape), X.dtype)

    def _updates(self, X: np.ndarray) -> BlockUpdates:
        """Return the updates at unit level: D_β falls by level^β there, so the same minimum has μ level^(1−β)."""
        components = self.components_.astype(X.dtype, copy=False)
        return BlockUpdates(components, self.beta, self.sparsity * self._level ** (1 - self.beta), len(X))

    def _infer(self, updates: BlockUpdates, X: np.ndarray, H: np.ndarray, iterations: int) -> None:
        """Fill the activations of a block at unit level; initially each atom has an equal part of a frame."""
        H[:] = (X.sum(axis=1) / updates.components.sum())[:, None]
        for _ in range(iterations):
            updates.update_activations(X, H)

    def _iterate(
        self,
        updates: BlockUpdates,
        X: np.ndarray,
        H: np.ndarray,
        first: bool,
        checked: bool,
        momentum: Extrapolation | None,
    ) -> None:
        """Update activations, then components; note the objective before if `first`, between the two if `checked`."""
        before, between = self._update(updates, X, H, first, checked or momentum is not None)
        if momentum is not None and not momentum.accepts(between):
            updates.components = momentum.step_back(H)
            before, between = self._update(updates, X, H, first, True)
            momentum.accepts(between)
        noted = [value for value, wanted in ((before, first), (between, checked)) if wanted]
        self.objective_ += [value * self._level**self.beta for value in noted]

    def _update(
        self, updates: BlockUpdates, X: np.ndarray, H: np.ndarray, before: bool, between: bool
    ) -> tuple[float, float]:
        """Update activations, then components; return the objectives `before` and `between`, those wanted."""
        gradient = np.zeros((2, *updates.components.shape), X.dtype)
        above, below = gradient
        objectives = np.zeros(2)
        for block in blocks(X):
            objectives[0] += updates.update_activations(X[block], H[block], before)
            objectives[1] += updates.add_gradient(X[block], H[block], above, below, between)
        above, below = self._partition.sum(gradient)
        updates.components = stepped_components(updates.components, above, below, self.beta)
        first, second = (self._partition.sum(objectives) if before or between else objectives).tolist()
        return first, second

    def _extrapolate(self, momentum: Extrapolation, updates: BlockUpdates, H: np.ndarray, restart: bool) -> None:
        """Move to where the next update starts; after a search for dead atoms without momentum."""
        if restart:
            momentum.restart(H, updates.components)
        else:
            updates.components = momentum.extrapolate(H, updates.components)

    def _has_converged(self) -> bool:
        first, before, now = self.objective_[0], *self.objective_[-2:]
        return before - now < self.tol * first

    def _finish(self, updates: BlockUpdates, X: np.ndarray, H: np.ndarray) -> None:
        self.components_ = updates.components
        self.objective_.append(self._objective(updates, X, H))
        sparsity = self.sparsity * self._level * self._partition.total(H.sum(dtype=np.float64))
        self.reconstruction_err_ = float(np.sqrt(2 * max(self.objective_[-1] - sparsity, 0)))

    def _objective(self, updates: BlockUpdates, X: np.ndarray, H: np.ndarray) -> float:
        own = sum(updates.objective(X[block], H[block]) for block in blocks(X))
        return self._partition.total(own) * self._level**self.beta

    def _revive(self, updates: BlockUpdates, X: np.ndarray, H: np.ndarray) -> None:
        """Reinitialise dead atoms with the worst-modelled frames, unless that raises the objective."""
        usage = self._partition.sum(H.sum(axis=0))
        dead = np.flatnonzero(usage < DEAD_SHARE * usage.mean())
        if not len(dead):
            return
        before, components, activations = self._objective(updates, X, H), updates.components, H[:, dead]
        errors = [np.square(X[block] - updates.model(H[block])).sum(axis=1) for block in blocks(X)]
        worst = np.argsort(self._partition.gathered(joined(errors, X.dtype)))[-len(dead) :]
        revived = components.copy()
        revived[dead[: len(worst)]] = normalised_atoms(self._partition.rows(X, worst).T + epsilon(X)).T
        updates.components = revived
        H[:, dead] = DEAD_SHARE * usage.mean() / self._partition.count(len(H))
        if self._objective(updates, X, H) > before:  # atoms removed by sparsity stay at zero
            updates.components, H[:, dead] = components, activations


def stepped_components(components: np.ndarray, above: np.ndarray, below: np.ndarray, beta: float) -> np.ndarray:
    """Return components ``(R, F)`` after the step of the normalised objective, A = `above` and B = `below`."""
    C = components
    ratio, denominator = C * row_dots(C, below), C * row_dots(C, above)  # in place: temporaries would leave the cache
    ratio += above
    denominator += below
    denominator += epsilon(C) * C.shape[1]
    ratio /= denominator
    if (exponent := mu_exponent(beta)) != 1:
        power_into(ratio, exponent, ratio)
    ratio *= C
    peak = ratio.max(axis=1, keepdims=True)
    ratio[peak[:, 0] == 0] = 1  # a row of zeros becomes flat
    ratio /= np.where(peak > 0, peak, 1)  # so that no square underflows
    ratio /= np.sqrt(row_dots(ratio, ratio))
    return ratio


def row_dots(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the scalar products of the rows of two matrices, ``(R, 1)``."""
    return np.einsum("rf,rf->r", A, B)[:, None]


def normalised_atoms(W: np.ndarray) -> np.ndarray:
    """Scale each column of `W` to unit L2 norm; a column of zeros becomes flat."""
    peak = W.max(axis=0)
    W = np.where(peak > 0, W / np.where(peak > 0, peak, 1), 1).astype(W.dtype)  # so that no square underflows
    return W / np.sqrt(np.square(W).sum(axis=0))


def active_frames(X: np.ndarray, below_peak_db: float = 60.0, partition: Partition = WHOLE) -> np.ndarray:
    """Return which frames of ``(N, F)`` have an energy within `below_peak_db` of the loudest, ``(N,)``, bool.

    The loudest is that of all parts of the data.

    Raises
    ------
    InputError
        If every frame is silent.
    """
    peak = X.dtype.type(partition.highest(X.ravel()))
    if peak == 0:
        raise InputError("cannot learn a dictionary from silence: no frame has any energy")
    scaled = (X[block] / peak for block in blocks(X))
    energy = joined([np.einsum("nf,nf->n", part, part) for part in scaled], np.float64)
    return np.asarray(energy > partition.highest(energy) * 10 ** (-below_peak_db / 10))


def joined(parts: list[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    """Return vectors joined, also if there are none."""
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)


def _level(X: np.ndarray, partition: Partition = WHOLE) -> float:
    """Return the mean of the data, bounded below so that division by it is safe in the data's precision."""
    mean = partition.total(X.mean(axis=1).sum(dtype=np.float64)) / partition.count(len(X))
    return max(mean, float(np.finfo(X.dtype).tiny))
