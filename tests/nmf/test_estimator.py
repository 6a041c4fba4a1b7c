"""`SparseNMF` as an estimator: scikit-learn's own checks, librosa's use of it, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from deepnmf.errors import DeepnmfError
from deepnmf.nmf.sparse_nmf import SparseNMF


@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
@pytest.mark.parametrize("parameters", [{}, {"beta": 2.0, "sparsity": 0.0}, {"beta": 0.5, "n_components": 3}])
def test_the_checks_of_scikit_learn_pass(parameters: dict[str, Any]) -> None:
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    results = checks.check_estimator(SparseNMF(**parameters, random_state=0), on_skip=None, on_fail=None)
    passed = [result["check_name"] for result in results if result["status"] == "passed"]
    assert [result for result in results if result["status"] == "failed"] == []
    assert {"check_n_features_in_after_fitting", "check_transformer_general", "check_fit_idempotent"} <= set(passed)


def test_it_clones_and_works_in_a_pipeline() -> None:
    base = pytest.importorskip("sklearn.base")
    pipeline = pytest.importorskip("sklearn.pipeline")
    snmf = SparseNMF(3, random_state=np.random.RandomState(0))
    assert base.clone(snmf).get_params()["n_components"] == 3
    model = pipeline.make_pipeline(snmf)
    assert model.fit_transform(np.random.default_rng(0).random((20, 6))).shape == (20, 3)


def test_librosa_decomposes_with_it() -> None:
    decompose = pytest.importorskip("librosa.decompose").decompose
    rng = np.random.default_rng(0)
    S = rng.random((20, 3)) ** 4 @ rng.random((3, 60)) ** 2
    transformer = SparseNMF(3, sparsity=0, max_iter=1000, tol=0, random_state=0)
    components, activations = decompose(S, transformer=transformer)
    assert (components.shape, activations.shape) == ((20, 3), (3, 60))
    assert np.abs(components @ activations - S).max() < 0.02 * S.max()
    same, again = decompose(S, transformer=transformer, fit=False, sort=True)
    assert same.argmax(axis=0).tolist() == sorted(components.argmax(axis=0).tolist())
    assert np.allclose(same @ again, components @ activations)


def test_parameters_are_read_set_and_shown() -> None:
    snmf = SparseNMF(4, beta=2.0)
    assert snmf.set_params(sparsity=1.5, tol=0) is snmf
    assert snmf.get_params()["sparsity"] == snmf.sparsity == 1.5
    assert repr(snmf) == "SparseNMF(n_components=4, beta=2.0, sparsity=1.5, tol=0)"
    with pytest.raises(ValueError, match="atoms"):
        snmf.set_params(atoms=3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[-1.0]], "[Nn]egative"),
        ([[np.nan]], "finite"),
        ([[1.0, np.inf]], "finite"),
        (np.ones(3), "shape"),
        (np.ones((1, 2, 3)), "shape"),
        (np.ones((0, 3)), r"0 sample\(s\)"),
        (np.ones((3, 0)), r"0 feature\(s\)"),
        ([[1 + 1j]], "[Cc]omplex"),
        ([["loud"]], "could not convert"),
    ],
)
def test_bad_data_is_refused(data: Any, words: str) -> None:
    fitted = SparseNMF(2).fit(np.ones((3, 1)))
    for method in (SparseNMF(2).fit, SparseNMF(2).partial_fit, SparseNMF(2).fit_transform, fitted.transform):
        with pytest.raises(ValueError, match=words):
            method(data)


def test_other_features_and_a_missing_fit_are_refused() -> None:
    fitted = SparseNMF(2, max_iter=3).fit(np.ones((4, 3)))
    for method in (fitted.transform, fitted.partial_fit):
        with pytest.raises(DeepnmfError, match="2 features"):
            method(np.ones((4, 2)))
    for unfitted in (SparseNMF(2).transform, SparseNMF(2).inverse_transform):
        with pytest.raises(DeepnmfError, match="fit"):
            unfitted(np.ones((4, 2)))


@pytest.mark.parametrize(
    "parameters",
    [{"n_components": 0}, {"sparsity": -0.1}, {"sparsity": np.nan}, {"max_iter": 0}, {"tol": -1.0}],
)
def test_impossible_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(DeepnmfError, match="n_components ≥ 1"):
        SparseNMF(**parameters).fit(np.ones((3, 3)))


def test_it_works_without_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\nimport numpy as np; from deepnmf.nmf.sparse_nmf import SparseNMF\n"
        "print(SparseNMF(2, max_iter=2).fit_transform(np.ones((3, 4))).shape)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "(3, 2)\n"
