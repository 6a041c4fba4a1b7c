"""Belief propagation: exact on trees, and what is known of it on graphs with loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepnmf.dsp.arrays import softplus
from deepnmf.networks.unfolded import mean_field as mf
from deepnmf.networks.unfolded.belief_propagation import beliefs, cavity_logits, initial_messages, logits, update
from deepnmf.networks.unfolded.graph import Graph
from deepnmf.networks.unfolded.unfold import unfold
from helpers.markov_fields import enumerated, field, lattice, tree


def messages(b: np.ndarray, A: np.ndarray, graph: Graph, steps: int) -> np.ndarray:
    return unfold(lambda M, _: update(M, b, A, graph), range(steps), initial_messages(b, graph))


def bethe_free_energy(M: np.ndarray, b: np.ndarray, graph: Graph) -> np.ndarray:
    """Return the Bethe free energy ``(N,)`` at a fixed point of `update`; on a tree it is −log Z.

    Unit i contributes ``Z_i = 1 + e^(logit_i)`` and edge (i, j) ``Z_ij / (Z_i Z_j)``, which at a fixed point is
    ``(1 + e^(u_j)) / Z_j``, from either end.
    """
    units = softplus(logits(M, b))
    edges = softplus(cavity_logits(M, b, graph)) - units[graph.neighbours]
    return -units.sum(0) - edges.sum(0).sum(0) / 2


@pytest.mark.parametrize("seed", range(30))
def test_it_is_exact_on_trees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units = int(rng.integers(2, 13))
    edges = tree(units, rng)
    graph, b, couplings, A = field(units, edges, rng, strength=3.0)
    marginals, log_z = enumerated(b, couplings, edges)
    M = messages(b, A, graph, units - 1)  # as many as the longest path has edges, at most
    np.testing.assert_allclose(beliefs(M, b), marginals, atol=1e-10)
    np.testing.assert_allclose(bethe_free_energy(M, b, graph), -log_z, atol=1e-10)
    np.testing.assert_allclose(update(M, b, A, graph), M, atol=1e-12)


def test_it_needs_the_messages_of_the_whole_tree() -> None:
    edges = [(i, i + 1) for i in range(5)]
    graph, b, couplings, A = field(6, edges, np.random.default_rng(0), strength=3.0)
    marginals, _ = enumerated(b, couplings, edges)
    assert np.abs(beliefs(messages(b, A, graph, 3), b) - marginals).max() > 1e-4
    np.testing.assert_allclose(beliefs(messages(b, A, graph, 5), b), marginals, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_with_loops_and_weak_couplings_it_is_close_and_closer_than_mean_field(seed: int) -> None:
    edges = lattice(3, 4)
    graph, b, couplings, A = field(12, edges, np.random.default_rng(seed), strength=0.5)
    marginals, _ = enumerated(b, couplings, edges)
    M = messages(b, A, graph, 100)
    np.testing.assert_allclose(update(M, b, A, graph), M, atol=1e-12)
    q = unfold(lambda q, _: mf.update(q, b, graph.matrix(A)), range(100), np.full_like(b, 0.5))
    error, of_mean_field = (np.abs(x - marginals).max() for x in (beliefs(M, b), q))
    assert 1e-6 < error < 0.02  # a loop is not a tree
    assert error < of_mean_field / 3


@pytest.mark.parametrize("coupling", [6.0, 8.0])
def test_with_loops_and_strong_attraction_it_is_overconfident(coupling: float) -> None:
    """Evidence that goes round a loop is counted again; where messages start decides between two fixed points."""
    edges = lattice(3, 4)
    graph = Graph.of(12, edges)
    couplings = np.full(len(edges), coupling)
    A = graph.table(couplings)
    lean = 0.02 * np.random.default_rng(0).random((12, 4))
    b = lean - A.sum(1)[:, None] / 2  # without the lean, 0 and 1 would be alike
    marginals, _ = enumerated(b, couplings, edges)
    even = initial_messages(b, graph) + A[:, :, None] / 2  # favours neither
    for start, side in ((even, 1), (initial_messages(b, graph), 0)):
        M = unfold(lambda M, _: update(M, b, A, graph), range(300), start)
        np.testing.assert_allclose(update(M, b, A, graph), M, atol=1e-9)
        assert (np.abs(beliefs(M, b) - side) < 0.01).all()
    assert ((marginals > 0.5) & (marginals < 0.6)).all()


def test_without_couplings_messages_are_zero() -> None:
    graph, b, _, A = field(9, lattice(3, 3), np.random.default_rng(0), strength=0.0)
    assert not update(initial_messages(b, graph) + 1, b, A, graph).any()


def test_torch_agrees_and_huge_couplings_stay_finite() -> None:
    graph, b, _, A = field(9, lattice(3, 3), np.random.default_rng(0), strength=500.0)
    for dtype in (np.float64, np.float32):
        b, A = b.astype(dtype), A.astype(dtype)
        tensors = [torch.tensor(x, requires_grad=True) for x in (b, A)]
        M = initial_messages(tensors[0], graph)
        for _ in range(10):
            M = update(M, *tensors, graph)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            expected = messages(b, A, graph, 10)
        assert expected.dtype == dtype
        np.testing.assert_allclose(M.detach().numpy(), expected, rtol=1e-5, atol=np.finfo(dtype).eps * 1e4)
        gradients = torch.autograd.grad(beliefs(M, tensors[0]).sum(), tensors)
        assert all(torch.isfinite(g).all() for g in gradients)
