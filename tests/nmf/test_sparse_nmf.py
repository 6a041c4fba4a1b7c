"""Sparse NMF: every fact of MODEL.md §1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnmf.dsp.arrays import epsilon
from deepnmf.errors import DeepnmfError
from deepnmf.nmf.divergence import beta_divergence, mu_exponent
from deepnmf.nmf.sparse_nmf import DEAD_SHARE, SparseNMF, active_frames, checked, normalised_atoms
from deepnmf.nmf.updates import update_activations

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
    """Write the update (MU) of MODEL.md §1 out entry by entry, with the guard added to Λ and to the denominator."""
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
@settings(max_examples=15, deadline=None)
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


@pytest.mark.parametrize("beta", BETAS)
@given(seed=st.integers(0, 10_000), sparsity=st.sampled_from([0.0, 0.1, 1.0]), zeros=st.sampled_from([0.0, 0.3]))
@settings(max_examples=10, deadline=None)
def test_a_whole_fit_never_raises_its_objective(beta: float, seed: int, sparsity: float, zeros: float) -> None:
    snmf = SparseNMF(6, beta, sparsity, 50, seed).fit(problem(seed, zeros)[0])
    assert len(snmf.objective_) == 51
    assert not rises(snmf.objective_)
    assert snmf.objective_[-1] < snmf.objective_[0]


@pytest.mark.parametrize("beta", BETAS)
def test_dictionary_and_activations_are_non_negative_and_atoms_have_unit_norm(beta: float) -> None:
    snmf = SparseNMF(6, beta, 0.2, 80).fit(problem(1, 0.3)[0])
    assert (snmf.components_ >= 0).all()
    assert (snmf.activations_ >= 0).all()
    assert np.allclose(np.linalg.norm(snmf.components_, axis=0), 1, rtol=1e-12)


def test_the_objective_reported_is_that_of_the_result() -> None:
    m = problem(2)[0]
    snmf = SparseNMF(5, 1.0, 0.2, 30).fit(m)
    expected = objective(m, snmf.components_, snmf.activations_, 0.2, 1.0)
    assert snmf.objective_[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("beta", BETAS)
def test_the_step_of_the_dictionary_is_the_one_written_down(beta: float) -> None:
    m, W, h = problem(2)
    model = W @ h
    A, B = (m * model ** (beta - 2)) @ h.T, model ** (beta - 1) @ h.T
    ones = np.ones((12, 12))
    expected = W * ((A + W * (ones @ (W * B))) / (B + W * (ones @ (W * A)))) ** mu_exponent(beta)
    snmf = SparseNMF(5, beta)
    snmf.components_ = W
    snmf._step(*snmf._sums(m, h))
    assert np.allclose(snmf.components_, expected / np.linalg.norm(expected, axis=0), rtol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_the_dictionary_step_descends_the_normalised_objective(beta: float) -> None:
    # At a small exponent the step must follow the negative gradient of E(W/‖W‖, h): check its sign by differences.
    m, W, h = problem(3)
    snmf = SparseNMF(5, beta, 0.0)
    snmf.components_ = W
    snmf._step(*snmf._sums(m, h))
    move = np.log(snmf.components_ / W)
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
    snmf = SparseNMF(atoms, beta, 0.0, 600, seed).fit(W @ h)
    cosines = W.T @ snmf.components_
    partner = cosines.argmax(axis=1)
    assert sorted(partner.tolist()) == list(range(atoms))
    assert cosines.max(axis=1).min() > 0.999
    assert np.abs(snmf.activations_[partner] - h).max() < 0.05


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_transform_finds_the_activations_of_known_atoms(beta: float) -> None:
    _, W, h = problem(4)
    snmf = SparseNMF(5, beta, 0.0, 3000)
    snmf.components_ = W
    assert np.allclose(W @ snmf.transform(W @ h), W @ h, atol=0.02)


def test_sparsity_makes_activations_sparser() -> None:
    m = problem(5)[0]
    shares = []
    for sparsity in (0.0, 0.5, 2.0):
        h = SparseNMF(8, 1.0, sparsity, 200).fit(m).activations_
        shares.append(float((h > 1e-3 * h.max()).mean()))
    assert shares[0] > shares[1] > shares[2]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_start() -> None:
    m = problem(6)[0].astype(np.float32)
    first, second, other = (SparseNMF(5, iterations=10, seed=seed).fit(m) for seed in (1, 1, 2))
    assert first.components_.tobytes() == second.components_.tobytes()
    assert not np.array_equal(first.components_, other.components_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype: type) -> None:
    snmf = SparseNMF(4, iterations=3).fit(problem(7)[0].astype(dtype))
    assert snmf.components_.dtype == snmf.activations_.dtype == dtype
    assert snmf.transform(problem(8)[0].astype(dtype)).dtype == dtype


def test_partial_fit_over_a_stream_comes_near_the_whole_fit() -> None:
    rng = np.random.default_rng(9)
    W, h = rng.random((12, 4)) ** 4, rng.random((4, 600)) ** 2
    m = W @ h
    whole = SparseNMF(4, 1.0, 0.0, 200).fit(m)
    stream = SparseNMF(4, 1.0, 0.0, 200)
    start = SparseNMF(4, 1.0, 0.0, 200)
    for epoch in range(10):
        for batch in np.split(m, 6, axis=1):
            stream.partial_fit(batch)
            if epoch == 0 and not hasattr(start, "components_"):
                start.partial_fit(batch, inner_iterations=1)
    errors = [beta_divergence(m, s.components_ @ s.transform(m) + 1e-16, 1.0) for s in (start, stream, whole)]
    assert errors[1] < 0.25 * errors[0]
    assert errors[2] < errors[1]
    assert np.allclose(np.linalg.norm(stream.components_, axis=0), 1)


def test_partial_fit_with_no_memory_forgets() -> None:
    m = problem(10)[0]
    remembering, forgetting = (SparseNMF(3, seed=0).partial_fit(m[:, :10], memory=x) for x in (0.9, 0.0))
    assert np.array_equal(remembering.components_, forgetting.components_)
    remembering.partial_fit(m[:, 10:], memory=0.9)
    forgetting.partial_fit(m[:, 10:], memory=0.0)
    assert not np.array_equal(remembering.components_, forgetting.components_)


def test_a_dead_atom_is_pointed_at_what_is_modelled_worst() -> None:
    m, W, h = problem(11)
    m[:, 3] = 0
    m[5, 3] = 40.0
    snmf = SparseNMF(5)
    snmf._start(m)
    snmf.components_, h[2] = W.copy(), 0
    snmf._revive(m, h)
    assert snmf.components_[:, 2].argmax() == 5
    assert np.array_equal(np.delete(snmf.components_, 2, axis=1), np.delete(W, 2, axis=1))
    assert (h[2] > 0).all()


@pytest.mark.parametrize(("sparsity", "seed"), [(1.0, 0), (1.0, 1), (2.0, 0)])
def test_reviving_does_not_raise_the_objective_of_a_fit(
    sparsity: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    m = np.eye(12)[:, rng.integers(3, size=40)] * rng.random(40) + 1e-3 * rng.random((12, 40))
    dead = []

    def counted(snmf: SparseNMF, m: np.ndarray, h: np.ndarray) -> None:
        dead.append(int((h.sum(1) < DEAD_SHARE * h.sum(1).mean()).sum()))
        revive(snmf, m, h)

    revive = SparseNMF._revive
    monkeypatch.setattr(SparseNMF, "_revive", counted)
    snmf = SparseNMF(10, 2.0, sparsity, 400, seed).fit(m)
    assert sum(dead) > 0  # the test is about something
    assert not rises(snmf.objective_)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("sparsity", [0.1, 5.0])
def test_atoms_that_die_out_never_become_nan(beta: float, sparsity: float) -> None:
    rng = np.random.default_rng(0)
    m = (rng.random((12, 1)) @ rng.random((1, 40))).astype(np.float32)
    snmf = SparseNMF(10, beta, sparsity, 1000).fit(m)
    assert np.isfinite(snmf.components_).all()
    assert np.isfinite(snmf.objective_).all()


def test_more_atoms_than_frames_is_allowed() -> None:
    snmf = SparseNMF(10, iterations=30).fit(problem(12)[0][:, :3])
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
    m = problem(13)[0].astype(dtype)
    snmf = SparseNMF(4, beta, 0.1 * level ** (beta - 1), 20).fit(m * dtype(level))
    reference = SparseNMF(4, beta, 0.1, 20).fit(m)
    assert np.allclose(snmf.components_, reference.components_, atol=1e-3)
    assert np.allclose(snmf.activations_ / level, reference.activations_, atol=1e-2)
    assert np.allclose(snmf.transform(m * dtype(level)) / level, reference.transform(m), atol=1e-2)
    assert np.allclose(snmf.objective_, np.multiply(reference.objective_, level**beta), rtol=1e-2)


@pytest.mark.parametrize("value", [1e-45, 1e-40, 1e-30])
@pytest.mark.parametrize("beta", BETAS)
def test_inputs_near_the_end_of_float32_stay_finite(beta: float, value: float) -> None:
    m = np.full((6, 9), value, np.float32)
    m[:, 4] = 0
    snmf = SparseNMF(3, beta, 0.0, 10).fit(m)
    assert np.isfinite(snmf.components_).all()
    assert np.isfinite(snmf.transform(m)).all()


def test_silence_between_sounds_is_left_out_of_training_but_not_of_transform() -> None:
    m = problem(14)[0]
    with_silence = np.zeros((12, 40))
    with_silence[:, ::2] = m
    first, second = SparseNMF(4, iterations=20).fit(m), SparseNMF(4, iterations=20).fit(with_silence)
    assert np.array_equal(first.components_, second.components_)
    h = second.transform(with_silence)
    assert h.shape == (4, 40)
    assert not h[:, 1::2].any()


def test_active_frames_are_those_near_the_loudest() -> None:
    m = np.array([[1.0, 1e-2, 2e-3, 0.5e-3, 0.0]])
    assert active_frames(m).tolist() == [[1.0, 1e-2, 2e-3]]
    assert active_frames(m, below_peak_db=30).tolist() == [[1.0]]


@pytest.mark.parametrize("shape", [(5, 0), (5, 3)])
def test_silence_alone_cannot_be_learnt(shape: tuple[int, int]) -> None:
    with pytest.raises(DeepnmfError, match="silence"):
        SparseNMF(2).fit(np.zeros(shape))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.array([[-1.0]]), "non-negative"),
        (np.array([[np.nan]]), "finite"),
        (np.array([[np.inf]]), "finite"),
        (np.ones(3), "shape"),
        (np.ones((1, 2, 3)), "shape"),
    ],
)
def test_bad_data_is_refused(data: np.ndarray, words: str) -> None:
    for method in (SparseNMF(2).fit, SparseNMF(2).partial_fit, SparseNMF(2).transform):
        with pytest.raises(DeepnmfError, match=words):
            method(data)


def test_integers_are_taken_as_float32() -> None:
    assert checked(np.ones((2, 2), int)).dtype == np.float32


@pytest.mark.parametrize(("atoms", "sparsity"), [(0, 0.1), (3, -0.1)])
def test_impossible_settings_are_refused(atoms: int, sparsity: float) -> None:
    with pytest.raises(DeepnmfError, match=r"atoms ≥ 1 and sparsity ≥ 0"):
        SparseNMF(atoms, sparsity=sparsity)


def test_progress_is_told_of_every_iteration() -> None:
    told: list[tuple[int, float]] = []
    snmf = SparseNMF(3, iterations=4).fit(problem(15)[0], lambda iteration, value: told.append((iteration, value)))
    assert told == list(enumerate(snmf.objective_[1:]))
