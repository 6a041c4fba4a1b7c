"""Sparse NMF: every fact of docs/model.md §1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.dsp.arrays import epsilon
from deepnmf.errors import DeepnmfError
from deepnmf.nmf import sparse_nmf
from deepnmf.nmf.blocks import BlockUpdates
from deepnmf.nmf.divergence import beta_divergence, mu_exponent
from deepnmf.nmf.extrapolation import Extrapolation
from deepnmf.nmf.sparse_nmf import DEAD_SHARE, SparseNMF, active_frames, normalised_atoms, stepped_components
from deepnmf.nmf.updates import update_activations
from helpers.examples import at_rate

BETAS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
ROUNDING = 1e-12
"""Relative rise of an objective that is rounding, in float64."""


def problem(seed: int, zeros: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return data (12, 20), unit-norm atoms (12, 5) and activations (5, 20)."""
    rng = np.random.default_rng(seed)
    m = rng.random((12, 20)) ** 2 * (rng.random((12, 20)) >= zeros)
    return m, normalised_atoms(rng.random((12, 5))), rng.random((5, 20))


def objective(m: np.ndarray, W: np.ndarray, h: np.ndarray, sparsity: float, beta: float) -> float:
    floor = epsilon(W)
    return beta_divergence(m, W @ h + floor, beta, floor) + sparsity * float(h.sum())


def rises(objectives: list[float]) -> list[float]:
    """Return the relative rise at each step that is one."""
    return [b / a - 1 for a, b in itertools.pairwise(objectives) if b > a + ROUNDING * abs(a)]


def update_by_hand(m: np.ndarray, W: np.ndarray, h: np.ndarray, sparsity: float, beta: float) -> np.ndarray:
    """Write the update (MU) of docs/model.md §1 out entry by entry, the guard added to Λ and to the denominator."""
    (rows, frames), floor = m.shape, epsilon(W)
    model = [[sum(W[i, r] * h[r, t] for r in range(len(h))) + floor for t in range(frames)] for i in range(rows)]
    new = np.empty_like(h)
    for r, t in itertools.product(range(len(h)), range(frames)):
        above = sum(W[i, r] * m[i, t] * model[i][t] ** (beta - 2) for i in range(rows))
        below = sum(W[i, r] * model[i][t] ** (beta - 1) for i in range(rows)) + sparsity + floor
        new[r, t] = h[r, t] * (above / below) ** mu_exponent(beta)
    return new


@pytest.mark.parametrize("sparsity", [0.0, 0.3])
@pytest.mark.parametrize("beta", BETAS)
def test_the_update_of_activations_is_the_one_written_down(beta: float, sparsity: float) -> None:
    m, W, h = problem(0)
    expected = update_by_hand(m, W, h, sparsity, beta)
    assert np.allclose(update_activations(m, W, h, sparsity, beta), expected, rtol=1e-10)


@pytest.mark.parametrize("beta", BETAS)
@given(seed=st.integers(0, 10_000), sparsity=st.sampled_from([0.0, 0.1, 2.0]), zeros=st.sampled_from([0.0, 0.4]))
@at_rate(15)
def test_with_the_dictionary_fixed_the_objective_never_rises(
    beta: float, seed: int, sparsity: float, zeros: float
) -> None:
    m, W, h = problem(seed, zeros if beta > 0 else 0.0)
    objectives = [objective(m, W, h, sparsity, beta)]
    for _ in range(30):
        h = update_activations(m, W, h, sparsity, beta)
        assert (h >= 0).all()
        objectives.append(objective(m, W, h, sparsity, beta))
    assert not rises(objectives)
    assert objectives[-1] < objectives[0]


@pytest.mark.parametrize("beta", [*BETAS, 0.7])
@pytest.mark.parametrize("frames", [20, 300])
def test_updates_in_blocks_are_those_of_the_equations(beta: float, frames: int) -> None:
    rng = np.random.default_rng(0)
    m, W, h = rng.random((12, frames)), normalised_atoms(rng.random((12, 5))), rng.random((5, frames))
    H, gradient = np.empty((frames, 5)), np.zeros((2, 5, 12))
    model = W @ update_activations(m, W, h, 0.2, beta) + epsilon(W)
    updates = BlockUpdates(np.ascontiguousarray(W.T), beta, 0.2)
    values = []
    for block in sparse_nmf.blocks(H):
        H[block] = h.T[block]
        updates.update_activations(m.T[block], H[block])
        values.append(updates.add_gradient(m.T[block], H[block], *gradient, measured=True))
    new = update_activations(m, W, h, 0.2, beta)
    assert np.allclose(H, new.T, rtol=1e-10)
    assert sum(values) == pytest.approx(objective(m, W, new, 0.2, beta), rel=1e-10)
    assert np.allclose(gradient[0], ((m * model ** (beta - 2)) @ new.T).T, rtol=1e-10)
    assert np.allclose(gradient[1], (model ** (beta - 1) @ new.T).T, rtol=1e-10)


@pytest.mark.parametrize("beta", BETAS)
@given(seed=st.integers(0, 10_000), sparsity=st.sampled_from([0.0, 0.1, 1.0]), zeros=st.sampled_from([0.0, 0.3]))
@at_rate(10)
def test_no_iteration_of_a_fit_raises_its_objective(beta: float, seed: int, sparsity: float, zeros: float) -> None:
    snmf = SparseNMF(6, beta=beta, sparsity=sparsity, max_iter=50, tol=0, random_state=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_nmf, "CHECK_PERIOD", 1)
        snmf.fit(problem(seed, zeros)[0].T)
    assert len(snmf.objective_) >= snmf.n_iter_
    assert not rises(snmf.objective_)
    assert snmf.objective_[-1] < snmf.objective_[0]


@pytest.mark.parametrize("beta", BETAS)
def test_dictionary_and_activations_are_non_negative_and_atoms_have_unit_norm(beta: float) -> None:
    snmf = SparseNMF(6, beta=beta, sparsity=0.2, max_iter=80, random_state=0)
    assert (snmf.fit_transform(problem(1, 0.3)[0].T) >= 0).all()
    assert (snmf.components_ >= 0).all()
    assert np.allclose(np.linalg.norm(snmf.components_, axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_objective_and_the_error_reported_are_those_of_the_result(beta: float) -> None:
    X = problem(2)[0].T
    snmf = SparseNMF(5, beta=beta, sparsity=0.2, max_iter=5000, tol=1e-9, random_state=0).fit(X)
    H = snmf.transform(X)
    expected = objective(X, H, snmf.components_, 0.0, beta)
    assert snmf.reconstruction_err_ == pytest.approx(np.sqrt(2 * expected), rel=1e-3)
    assert snmf.objective_[-1] == pytest.approx(expected + 0.2 * H.sum(), rel=1e-4)


def test_the_tolerance_stops_and_no_tolerance_does_not() -> None:
    X = problem(2)[0].T
    stopped, exact = (SparseNMF(5, max_iter=300, tol=tol, random_state=0).fit(X) for tol in (1e-3, 0))
    assert stopped.n_iter_ < 100
    assert exact.n_iter_ == 300
    last = stopped.objective_[-3] - stopped.objective_[-2]
    assert last < 1e-3 * stopped.objective_[0] <= stopped.objective_[-4] - stopped.objective_[-3]


@pytest.mark.parametrize("beta", BETAS)
def test_the_step_of_the_dictionary_is_the_one_written_down(beta: float) -> None:
    m, W, h = problem(2)
    A, B = parts(m, W, h, beta)
    ones = np.ones((12, 12))
    expected = W * ((A + W * (ones @ (W * B))) / (B + W * (ones @ (W * A)))) ** mu_exponent(beta)
    stepped = stepped_components(W.T, A.T, B.T, beta).T
    assert np.allclose(stepped, expected / np.linalg.norm(expected, axis=0), rtol=1e-5)


def parts(m: np.ndarray, W: np.ndarray, h: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    model = W @ h
    return (m * model ** (beta - 2)) @ h.T, model ** (beta - 1) @ h.T


@pytest.mark.parametrize("beta", BETAS)
def test_the_dictionary_step_descends_the_normalised_objective(beta: float) -> None:
    # At a small exponent the step must follow the negative gradient of E(W/‖W‖, h): check its sign by differences.
    m, W, h = problem(3)
    A, B = parts(m, W, h, beta)
    move = np.log(stepped_components(W.T, A.T, B.T, beta).T / W)
    step = 1e-6

    def at(shift: float) -> float:
        return objective(m, normalised_atoms(W * np.exp(shift * move)), h, 0.0, beta)

    assert (at(step) - at(-step)) / (2 * step) < 0


@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_factors_are_recovered_up_to_permutation(beta: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    atoms, frames = 4, 300
    W = normalised_atoms(rng.random((24, atoms)) * np.repeat(np.eye(atoms), 6, axis=0) + 1e-3)  # nearly disjoint
    h = rng.random((atoms, frames)) * (rng.random((atoms, frames)) < 0.5)
    h[:, h.sum(axis=0) == 0] = 1
    snmf = SparseNMF(atoms, beta=beta, sparsity=0, max_iter=600, tol=0, random_state=seed)
    H = snmf.fit_transform((W @ h).T)
    cosines = W.T @ snmf.components_.T
    partner = cosines.argmax(axis=1)
    assert sorted(partner.tolist()) == list(range(atoms))
    assert cosines.max(axis=1).min() > 0.999
    assert np.abs(H.T[partner] - h).max() < 0.05


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_transform_models_what_the_components_can_model(beta: float) -> None:
    X = problem(4)[0].T
    snmf = SparseNMF(5, beta=beta, sparsity=0, max_iter=3000, random_state=0).fit(X)
    known = snmf.inverse_transform(problem(5)[2].T)
    assert np.allclose(snmf.inverse_transform(snmf.transform(known)), known, atol=0.02)


def test_sparsity_makes_activations_sparser() -> None:
    X = problem(5)[0].T
    shares = []
    for sparsity in (0.0, 0.5, 2.0):
        H = SparseNMF(8, sparsity=sparsity, tol=0, random_state=0).fit_transform(X)
        shares.append(float((H / H.max() > 1e-3).mean()))
    assert shares[0] > shares[1] > shares[2]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_start() -> None:
    X = problem(6)[0].T.astype(np.float32)
    first, second, other = (SparseNMF(5, max_iter=10, random_state=seed).fit(X) for seed in (1, 1, 2))
    assert first.components_.tobytes() == second.components_.tobytes()
    assert not np.array_equal(first.components_, other.components_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype: type) -> None:
    snmf = SparseNMF(4, max_iter=3, random_state=0).fit(problem(7)[0].T.astype(dtype))
    assert snmf.components_.dtype == dtype
    assert snmf.transform(problem(8)[0].T.astype(dtype)).dtype == dtype


def test_partial_fit_over_a_stream_comes_near_the_whole_fit() -> None:
    rng = np.random.default_rng(9)
    X = (rng.random((12, 4)) ** 4 @ rng.random((4, 600)) ** 2).T
    whole, stream, start = (SparseNMF(4, sparsity=0, tol=0, random_state=0) for _ in range(3))
    whole.fit(X)
    start.set_params(batch_iter=1).partial_fit(X[:100])
    for _ in range(10):
        for batch in np.split(X, 6):
            stream.partial_fit(batch)
    errors = [beta_divergence(X, s.inverse_transform(s.transform(X)) + 1e-16, 1.0) for s in (start, stream, whole)]
    assert errors[1] < 0.25 * errors[0]
    assert errors[2] < errors[1]
    assert np.allclose(np.linalg.norm(stream.components_, axis=1), 1)


def test_what_partial_fit_forgets_has_no_effect() -> None:
    X = problem(10)[0].T
    keeping, forgetting = (SparseNMF(3, forget_factor=x, random_state=0).partial_fit(X[:10]) for x in (0.9, 0.0))
    assert np.array_equal(keeping.components_, forgetting.components_)
    keeping.partial_fit(X[10:])
    forgetting.partial_fit(X[10:])
    assert not np.array_equal(keeping.components_, forgetting.components_)


def test_a_dead_atom_is_pointed_at_what_is_modelled_worst() -> None:
    m, W, h = problem(11)
    m[:, 3] = 0
    m[5, 3] = 40.0
    X, H, C = m.T.copy(), h.T.copy(), W.T.copy()
    snmf = SparseNMF(5, random_state=0).fit(np.ones((2, 12)))  # its level is 1
    updates, H[:, 2] = BlockUpdates(C, 1.0, 0.1), 0
    snmf._revive(updates, X, H)
    assert updates.components[2].argmax() == 5
    assert np.array_equal(np.delete(updates.components, 2, axis=0), np.delete(C, 2, axis=0))
    assert (H[:, 2] > 0).all()


@pytest.mark.parametrize(("sparsity", "seed"), [(1.0, 0), (1.0, 1), (2.0, 0)])
def test_reviving_does_not_raise_the_objective_of_a_fit(
    sparsity: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    X = np.eye(12)[rng.integers(3, size=40)] * rng.random((40, 1)) + 1e-3 * rng.random((40, 12))
    dead = []

    def counted(snmf: SparseNMF, updates: BlockUpdates, X: np.ndarray, H: np.ndarray) -> None:
        dead.append(int((H.sum(0) < DEAD_SHARE * H.sum(0).mean()).sum()))
        revive(snmf, updates, X, H)

    revive = SparseNMF._revive
    monkeypatch.setattr(SparseNMF, "_revive", counted)
    snmf = SparseNMF(10, beta=2.0, sparsity=sparsity, max_iter=400, tol=0, random_state=seed).fit(X)
    assert sum(dead) > 0  # the test is about something
    assert not rises(snmf.objective_)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("sparsity", [0.1, 5.0])
def test_atoms_that_die_out_never_become_nan(beta: float, sparsity: float) -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((40, 1)) @ rng.random((1, 12))).astype(np.float32)
    snmf = SparseNMF(10, beta=beta, sparsity=sparsity, max_iter=1000, tol=0, random_state=0).fit(X)
    assert np.isfinite(snmf.components_).all()
    assert np.isfinite(snmf.objective_).all()


def test_more_atoms_than_frames_is_allowed() -> None:
    snmf = SparseNMF(10, max_iter=30, random_state=0).fit(problem(12)[0].T[:3])
    assert np.isfinite(snmf.components_).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-45, 1e-25, 1e-3, 1.0])
def test_atoms_of_any_scale_are_normalised(scale: float) -> None:
    W = np.random.default_rng(0).random((6, 3)) * scale
    W[:, 1] = 0
    unit = normalised_atoms(W)
    assert np.allclose(np.linalg.norm(unit, axis=0), 1)
    assert np.allclose(unit[:, 1], unit[0, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("level", [1e-30, 1e-6, 1e6, 1e30])
def test_the_unit_of_the_data_does_not_matter(dtype: type, beta: float, level: float) -> None:
    X = problem(13)[0].T.astype(dtype)
    settings = {"beta": beta, "max_iter": 20, "tol": 0, "random_state": 0}
    snmf = SparseNMF(4, sparsity=0.1 * level ** (beta - 1), **settings).fit(X * dtype(level))
    reference = SparseNMF(4, sparsity=0.1, **settings).fit(X)
    assert np.allclose(snmf.components_, reference.components_, atol=1e-3)
    assert np.allclose(snmf.transform(X * dtype(level)) / level, reference.transform(X), atol=1e-2)
    assert np.allclose(snmf.objective_, np.multiply(reference.objective_, level**beta), rtol=1e-2)


@pytest.mark.parametrize("value", [1e-45, 1e-40, 1e-30])
@pytest.mark.parametrize("row", [[1, 1, 1, 1], [1, 0, 0, 0]])
@pytest.mark.parametrize("beta", BETAS)
def test_inputs_near_the_end_of_float32_stay_finite(beta: float, row: list[int], value: float) -> None:
    X = np.outer([1, 1, 0, 1, 1], row).astype(np.float32) * np.float32(value)
    snmf = SparseNMF(3, beta=beta, sparsity=0, max_iter=10, random_state=0).fit(X)
    assert np.isfinite(snmf.components_).all()
    assert np.isfinite(snmf.transform(X)).all()


def test_silence_between_sounds_is_left_out_of_training_but_not_of_transform() -> None:
    X = problem(14)[0].T
    with_silence = np.zeros((40, 12))
    with_silence[::2] = X
    first, second = (SparseNMF(4, max_iter=20, random_state=0).fit(data) for data in (X, with_silence))
    assert np.array_equal(first.components_, second.components_)
    H = second.transform(with_silence)
    assert H.shape == (40, 4)
    assert not H[1::2].any()


def test_active_frames_are_those_near_the_loudest() -> None:
    X = np.array([[1.0, 1e-2, 2e-3, 0.5e-3, 0.0]]).T
    assert active_frames(X).tolist() == [True, True, True, False, False]
    assert active_frames(X, below_peak_db=30).tolist() == [True, False, False, False, False]


def test_silence_alone_cannot_be_learnt() -> None:
    for method in (SparseNMF(2).fit, SparseNMF(2).partial_fit, SparseNMF(2).fit_transform):
        with pytest.raises(DeepnmfError, match="silence"):
            method(np.zeros((5, 3)))


def test_progress_is_told_of_every_iteration() -> None:
    calls: list[tuple[int, float]] = []
    snmf = SparseNMF(3, max_iter=12, tol=0).fit(problem(15)[0].T, progress=lambda i, value: calls.append((i, value)))
    assert [iteration for iteration, _ in calls] == list(range(1, 13))
    assert calls[0][1] == snmf.objective_[0]
    assert calls[-1][1] == snmf.objective_[1]


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("sparsity", [0.0, 0.3])
def test_extrapolated_updates_never_raise_the_objective_and_get_lower(beta: float, sparsity: float) -> None:
    rng = np.random.default_rng(3)
    X = rng.random((150, 6)) ** 4 @ rng.random((6, 30)) + 1e-3
    found = {}
    for extrapolate in (False, True):
        snmf = SparseNMF(6, beta=beta, sparsity=sparsity, max_iter=101, tol=0, random_state=0, extrapolate=extrapolate)
        objective = np.array(snmf.fit(X).objective_)
        assert (np.diff(objective) <= 1e-9 * objective[0]).all()
        assert (snmf.components_ >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(snmf.components_, axis=1), 1, rtol=1e-6)
        found[extrapolate] = objective
    assert found[True][0] == found[False][0]
    assert found[True][-1] < found[False][-1]


def test_an_update_that_raises_the_objective_is_repeated_from_before_the_extrapolation() -> None:
    H, C = np.full((3, 2), 2.0), np.array([[0.6, 0.8], [1.0, 0.0]])
    momentum = Extrapolation(H / 2, C)
    assert momentum.accepts(5.0)
    ahead = H.copy()
    components = momentum.extrapolate(ahead, C)
    assert (ahead > H).all()
    np.testing.assert_allclose(components, C)  # they did not change
    assert not momentum.accepts(6.0)
    np.testing.assert_array_equal(momentum.step_back(ahead), C)
    np.testing.assert_array_equal(ahead, H)
