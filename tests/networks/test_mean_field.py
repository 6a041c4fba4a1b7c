"""Mean field: its fixed point, its free energy, and the sigmoid network that it is on a layered graph."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from deepnmf.dsp.arrays import sigmoid
from deepnmf.errors import DeepnmfError
from deepnmf.networks.unfolded.graph import Graph, grid
from deepnmf.networks.unfolded.mean_field import free_energy, update, update_in_order, update_units
from deepnmf.networks.unfolded.unfold import unfold
from helpers.markov_fields import enumerated, field, lattice, tree


@pytest.mark.parametrize("seed", range(10))
def test_free_energy_never_rises_in_order_and_stays_above_the_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = lattice(3, 3)
    graph, b, couplings, table = field(9, edges, rng, strength=4.0)
    A = graph.matrix(table)
    _, log_z = enumerated(b, couplings, edges)
    q = rng.random(b.shape)
    energies = [free_energy(q, b, A)]
    for _ in range(3):
        for i in range(len(q)):
            q = update_units(q, b, A, [i])
            energies.append(free_energy(q, b, A))
    assert (np.diff(energies, axis=0) <= 1e-12).all()
    assert (energies[-1] < energies[0] - 1).all()
    assert (np.array(energies) >= -log_z - 1e-12).all()


@pytest.mark.parametrize("seed", range(5))
def test_in_order_it_reaches_a_fixed_point_of_both_schedules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, b, _, table = field(9, lattice(3, 3), rng)
    A = graph.matrix(table)
    start = np.full_like(b, 0.5)
    q = unfold(lambda q, _: update_in_order(q, b, A), range(300), start)
    assert np.abs(q - start).max() > 0.1
    np.testing.assert_allclose(update(q, b, A), q, atol=1e-12)
    np.testing.assert_allclose(update_in_order(q, b, A), q, atol=1e-12)


def test_weak_couplings_leave_one_fixed_point_which_all_units_at_once_reach_too() -> None:
    rng = np.random.default_rng(0)
    graph, b, _, table = field(9, lattice(3, 3), rng, strength=0.3)
    A = graph.matrix(table)
    ends = [unfold(lambda q, _: update(q, b, A), range(200), rng.random(b.shape)) for _ in range(3)]
    in_order = unfold(lambda q, _: update_in_order(q, b, A), range(200), rng.random(b.shape))
    for q in ends:
        np.testing.assert_allclose(q, in_order, atol=1e-12)


def test_without_couplings_it_is_exact() -> None:
    rng = np.random.default_rng(0)
    edges = tree(6, rng)
    graph, b, couplings, table = field(6, edges, rng, strength=0.0)
    A = graph.matrix(table)
    marginals, log_z = enumerated(b, couplings, edges)
    q = update(rng.random(b.shape), b, A)
    np.testing.assert_allclose(q, marginals, atol=1e-12)
    np.testing.assert_allclose(free_energy(q, b, A), -log_z, atol=1e-12)


SIZES = (4, 5, 3)


def layered() -> tuple[list[range], Graph, list[tuple[int, int]]]:
    """Return layers of units, fully coupled from layer to layer."""
    ends = np.cumsum((0, *SIZES))
    layers = [range(a, b) for a, b in itertools.pairwise(ends.tolist())]
    edges = [pair for low, high in itertools.pairwise(layers) for pair in itertools.product(low, high)]
    return layers, Graph.of(sum(SIZES), edges), edges


def sigmoid_network(
    b: np.ndarray, couplings: np.ndarray, layers: list[range], edges: list[tuple[int, int]]
) -> list[np.ndarray]:
    """Return the activations of each layer of a plain sigmoid network with these weights and biases."""
    dense = np.zeros((len(b), len(b)))
    for (i, j), weight in zip(edges, couplings, strict=True):
        dense[j, i] = weight
    x = [sigmoid(b[layers[0]])]
    for low, high in itertools.pairwise(layers):
        x.append(sigmoid(dense[np.ix_(high, low)] @ x[-1] + b[high]))
    return x


def test_one_pass_over_a_layered_graph_is_a_sigmoid_network() -> None:
    rng = np.random.default_rng(0)
    layers, graph, edges = layered()
    b, couplings = rng.standard_normal((sum(SIZES), 4)), rng.standard_normal(len(edges))
    A = graph.matrix(graph.table(couplings))
    q = unfold(lambda q, units: update_units(q, b, A, units), layers, np.zeros_like(b))
    for units, x in zip(layers, sigmoid_network(b, couplings, layers, edges), strict=True):
        np.testing.assert_allclose(q[units], x, rtol=0, atol=1e-12)


def test_untied_each_step_is_the_layer_of_its_own_parameters() -> None:
    rng = np.random.default_rng(0)
    layers, graph, edges = layered()
    sets = [(rng.standard_normal((sum(SIZES), 4)), rng.standard_normal(len(edges))) for _ in layers]
    steps = [
        (units, b, graph.matrix(graph.table(couplings))) for units, (b, couplings) in zip(layers, sets, strict=True)
    ]
    q = unfold(lambda q, s: update_units(q, s[1], s[2], s[0]), steps, np.zeros_like(sets[0][0]))
    b = np.concatenate([own[units] for units, (own, _) in zip(layers, sets, strict=True)])
    owner = [next(k for k, units in enumerate(layers) if j in units) for _, j in edges]
    couplings = np.array([sets[k][1][edge] for edge, k in enumerate(owner)])
    for units, x in zip(layers, sigmoid_network(b, couplings, layers, edges), strict=True):
        np.testing.assert_allclose(q[units], x, rtol=0, atol=1e-12)


def test_torch_agrees_and_its_gradients_are_finite() -> None:
    graph, b, _, table = field(9, lattice(3, 3), np.random.default_rng(0), strength=30.0)
    A = graph.matrix(table)
    q = np.full_like(b, 0.5)
    tensors = [torch.tensor(x, requires_grad=True) for x in (b, A)]
    for step in (update, update_in_order):
        found = step(step(torch.tensor(q), *tensors), *tensors)
        np.testing.assert_allclose(found.detach().numpy(), step(step(q, b, A), b, A), atol=1e-12)
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(found.sum(), tensors))
    energy = free_energy(found, *tensors)
    np.testing.assert_allclose(energy.detach().numpy(), free_energy(found.detach().numpy(), b, A), atol=1e-9)


@pytest.mark.parametrize("units", [5, 16, 50, 256])
def test_the_grid_is_regular_and_its_slots_lead_back(units: int) -> None:
    graph = grid(units)
    n = np.arange(units)[:, None]
    assert graph.neighbours.shape == (units, 4)
    assert all(len({i, *row}) == 5 for i, row in enumerate(graph.neighbours.tolist()))
    np.testing.assert_array_equal(graph.neighbours.ravel()[graph.reverse], np.broadcast_to(n, (units, 4)))
    np.testing.assert_array_equal(graph.edges.ravel()[graph.reverse], graph.edges)
    np.testing.assert_array_equal(np.bincount(graph.edges.ravel()), 2)


def test_a_grid_of_too_few_units_is_refused() -> None:
    with pytest.raises(DeepnmfError, match="at least 5 units, not 4"):
        grid(4)
