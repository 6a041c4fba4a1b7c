"""Non-negative sparse coding: it goes down, it stays non-negative, it ends where multiplicative updates end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepnmf.networks.unfolded.ista import update
from deepnmf.networks.unfolded.unfold import unfold
from deepnmf.nmf.sparse_nmf import normalised_atoms
from deepnmf.nmf.updates import update_activations

SPARSITY = 0.05


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mixtures, a dictionary of unit atoms, and the longest safe step."""
    rng = np.random.default_rng(seed)
    W = normalised_atoms(rng.random((12, 5)) ** 3)
    return rng.random((12, 6)), W, 1 / np.linalg.norm(W, 2) ** 2


def objective(m: np.ndarray, W: np.ndarray, h: np.ndarray) -> float:
    return float(0.5 * np.square(m - W @ h).sum() + SPARSITY * h.sum())


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_short_steps_go_down_and_stay_non_negative(seed: int, share: float) -> None:
    m, W, longest = problem(seed)
    h, step = np.random.default_rng(seed).random((5, 6)), share * longest
    objectives = [objective(m, W, h)]
    for _ in range(50):
        h = update(h, m, W, step, step * SPARSITY)
        assert (h >= 0).all()
        objectives.append(objective(m, W, h))
    assert (np.diff(objectives) <= 1e-12).all()
    assert objectives[-1] < 0.9 * objectives[0]


def test_longer_steps_can_go_up() -> None:
    m, W, longest = problem(0)
    h, step, objectives = np.zeros((5, 6)), 3 * longest, []
    for _ in range(20):
        h = update(h, m, W, step, step * SPARSITY)
        objectives.append(objective(m, W, h))
    assert max(np.diff(objectives)) > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_it_ends_where_multiplicative_updates_end(seed: int) -> None:
    m, W, step = problem(seed)
    h = unfold(lambda h, _: update(h, m, W, step, step * SPARSITY), range(3000), np.zeros((5, 6)))
    multiplicative = np.ones((5, 6))
    for _ in range(20000):
        multiplicative = update_activations(m, W, multiplicative, SPARSITY, 2.0, floor=1e-15)
    np.testing.assert_allclose(update(h, m, W, step, step * SPARSITY), h, atol=1e-12)
    np.testing.assert_allclose(objective(m, W, h), objective(m, W, multiplicative), rtol=1e-6)
    np.testing.assert_allclose(multiplicative, h, atol=1e-3)
    assert (h > 0.1).any()


def test_torch_agrees_and_its_gradients_are_finite() -> None:
    m, W, step = problem(0)
    h = np.random.default_rng(0).random((5, 6))
    tensors = [torch.tensor(x, requires_grad=True) for x in (h, m, W)]
    found = update(*tensors, step, step * SPARSITY)
    np.testing.assert_allclose(found.detach().numpy(), update(h, m, W, step, step * SPARSITY), rtol=1e-12)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(found.sum(), tensors))
