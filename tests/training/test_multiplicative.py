"""Multiplicative backpropagation: every fact of docs/model.md §3."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from deepnmf.dsp.arrays import epsilon
from deepnmf.networks.unfolded.deep_nmf import DeepNMF, trained_dictionaries
from deepnmf.training.multiplicative import Parts, Statistics, backpropagate, resplit
from helpers.examples import at_rate
from helpers.networks import deep_nmf, with_weights

F, T, R_S, R_N, N = 7, 3, 3, 2, 11
BETAS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
DEPTHS = [(1, 1, False), (1, 2, False), (4, 1, False), (4, 3, False), (4, 5, False), (4, 3, True), (4, 5, True)]
"""(K, C, tied)"""


def problem(
    beta: float = 1.0, layers: int = 4, trained: int = 5, tied: bool = False, seed: int = 0, dtype: type = np.float64
) -> tuple[DeepNMF, Tensor, Tensor]:
    """Return a network with distinct dictionaries, mixtures ``(T·F, N)`` and targets ``(F, N)``."""
    rng = np.random.default_rng(seed)
    speech, noise = rng.random((F * T, R_S)), rng.random((F * T, R_N))
    plain = deep_nmf(speech, noise, F, 0.1, beta, layers=layers, trained_layers=trained, tied=tied)
    dictionaries = (W * rng.uniform(0.8, 1.2, W.shape) for W in plain.dictionaries)
    net = with_weights(
        plain,
        tuple(torch.tensor(W.astype(dtype)) for W in dictionaries),
        output=torch.tensor(plain.output),
    )
    net = with_weights(net, net.dictionaries, net.output.to(net.dictionaries[0].dtype))
    m, s = rng.random((F * T, N)).astype(dtype), rng.random((F, N)).astype(dtype)
    return net, torch.tensor(m), torch.tensor(s)


def error(s: Tensor, estimate: Tensor, beta: float) -> Tensor:
    """Return D_β(s | ŝ) summed, by its definition."""
    if beta == 2:
        return 0.5 * ((s - estimate) ** 2).sum()
    y = estimate + epsilon(estimate)
    if beta == 1:
        return (s * torch.log(s / y) - s + y).sum()
    if beta == 0:
        return (s / y - torch.log(s / y) - 1).sum()
    return (s**beta + (beta - 1) * y**beta - beta * s * y ** (beta - 1)).sum() / (beta * (beta - 1))


def automatic(net: DeepNMF, m: Tensor, s: Tensor, error_beta: float) -> tuple[list[Tensor], Tensor]:
    """Return the gradients of every inference dictionary and of the output dictionary, by autograd."""
    dictionaries = [W.clone().requires_grad_() for W in net.dictionaries]
    output = net.output.clone().requires_grad_()
    estimate = with_weights(net, tuple(dictionaries), output).mask(m) * m[-F:]
    error(s, estimate, error_beta).backward()
    return [W.grad for W in dictionaries if W.grad is not None], output.grad  # type: ignore[return-value]


def distance(parts: Parts, gradient: Tensor) -> float:
    assert (parts[0] >= 0).all()
    assert (parts[1] >= 0).all()
    return float((parts[0] - parts[1] - gradient).abs().max() / gradient.abs().max())


@pytest.mark.parametrize("resplitting", [False, True])
@pytest.mark.parametrize("error_beta", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("layers", "trained", "tied"), DEPTHS)
def test_the_parts_difference_is_the_gradient(
    beta: float, layers: int, trained: int, tied: bool, error_beta: float, resplitting: bool
) -> None:
    net, m, s = problem(beta, layers, trained, tied)
    found = backpropagate(net, m, s, trained, error_beta, resplitting)
    gradients, output = automatic(net, m, s, error_beta)
    assert distance(found.output, output) < 1e-10
    assert sorted(found.dictionaries) == trained_dictionaries(net, trained)
    for index, parts in found.dictionaries.items():
        assert distance(parts, gradients[index]) < 1e-10


@pytest.mark.parametrize("beta", BETAS)
def test_gains_and_a_sparsity_for_each_atom_are_passed_on_the_way_back(beta: float) -> None:
    net, m, s = problem(beta)
    rng = np.random.default_rng(0)
    gains, sparsities = (torch.tensor(rng.uniform(0.2, 5, (rows, R_S + R_N))) for rows in (5, 4))
    net = dataclasses.replace(net, gains=gains, sparsities=sparsities)
    found = backpropagate(net, m, s, 5)
    gradients, output = automatic(net, m, s, 2.0)
    assert distance(found.output, output) < 1e-10
    assert all(distance(found.dictionaries[k], gradients[k]) < 1e-10 for k in range(4))
    assert torch.allclose(found.estimate, net.mask(m) * m[-F:], rtol=1e-12)


@given(seed=st.integers(0, 10_000), beta=st.floats(-0.5, 3.5), error_beta=st.sampled_from([1.0, 2.0]))
@at_rate(40)
def test_any_real_beta_will_do(seed: int, beta: float, error_beta: float) -> None:
    net, m, s = problem(beta, 2, 3, seed=seed)
    found = backpropagate(net, m, s, 3, error_beta)
    gradients, output = automatic(net, m, s, error_beta)
    assert distance(found.output, output) < 1e-9
    assert all(distance(found.dictionaries[index], gradients[index]) < 1e-9 for index in (0, 1))


def parts_by_hand(
    net: DeepNMF, m: np.ndarray, s: np.ndarray
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
    """Copy docs/model.md §3 for β = 1 and squared error, one frame at a time and without guards.

    Returns the parts of each of the K layers, and of the output.
    """
    Ws, K = [W.numpy() for W in net.dictionaries], len(net.layers)
    output = net.output.numpy()
    W_s, W_n = output[:, :R_S], output[:, R_S:]
    layers = [(np.zeros_like(Ws[0]), np.zeros_like(Ws[0])) for _ in range(K)]
    out = [np.zeros_like(output), np.zeros_like(output)]
    for t in range(m.shape[1]):
        h = [np.full(R_S + R_N, 1 / (R_S + R_N))]
        for index in net.layers:
            W = Ws[index]
            h.append(h[-1] * (W.T @ (m[:, t] / (W @ h[-1]))) / (W.sum(0) + net.sparsity))
        a, b, m_o = W_s @ h[K][:R_S], W_n @ h[K][R_S:], m[-F:, t]
        estimate = m_o * a / (a + b)
        c_a, c_b = m_o * b / (a + b) ** 2, m_o * a / (a + b) ** 2
        at_a, at_b = (estimate * c_a, s[:, t] * c_a), (s[:, t] * c_b, estimate * c_b)
        for side in (0, 1):
            out[side][:, :R_S] += np.outer(at_a[side], h[K][:R_S])
            out[side][:, R_S:] += np.outer(at_b[side], h[K][R_S:])
        g = [np.concatenate([W_s.T @ at_a[side], W_n.T @ at_b[side]]) for side in (0, 1)]
        for k in reversed(range(K)):
            W, h_k, h_next = Ws[net.layers[k]], h[k], h[k + 1]
            model = W @ h_k
            r, d = m[:, t] / model, W.sum(0) + net.sparsity
            n = W.T @ r
            u = [part * h_k / d for part in g]
            at_d = [g[1] * h_next / d, g[0] * h_next / d]
            at_r = [W @ part for part in u]
            at_model = [at_r[1] * m[:, t] / model**2, at_r[0] * m[:, t] / model**2]
            for side in (0, 1):
                layers[k][side][:] += np.outer(r, u[side]) + np.outer(at_model[side], h_k) + at_d[side]
            g = [g[side] * n / d + W.T @ at_model[side] for side in (0, 1)]
    return layers, out


def test_the_parts_are_those_written_down() -> None:
    net, m, s = problem()
    found = backpropagate(net, m, s, 5)
    layers, output = parts_by_hand(net, m.numpy(), s.numpy())
    for side in (0, 1):
        assert np.allclose(found.output[side].numpy(), output[side], rtol=1e-5)
        for k, index in enumerate(net.layers):
            assert np.allclose(found.dictionaries[index][side].numpy(), layers[k][side], rtol=1e-5)


@pytest.mark.parametrize("resplitting", [False, True])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("trained", [3, 5])
def test_tied_parts_are_the_sums_of_the_layers_parts(beta: float, trained: int, resplitting: bool) -> None:
    tied, m, s = problem(beta, 4, trained, tied=True)
    untied, _, _ = problem(beta, 4, trained)
    same = with_weights(untied, tuple(tied.dictionaries[tied.layers[k]] for k in _first_uses(untied)), tied.output)
    shared = backpropagate(tied, m, s, trained, resplitting=resplitting).dictionaries
    apart = backpropagate(same, m, s, trained, resplitting=resplitting).dictionaries
    assert len(shared) == 1
    assert len(apart) == trained - 1
    (total,) = shared.values()
    for side in (0, 1):
        assert torch.allclose(total[side], sum(parts[side] for parts in apart.values()), rtol=1e-10)  # type: ignore[arg-type]


def _first_uses(net: DeepNMF) -> list[int]:
    """Return, for each distinct dictionary, the first layer that uses it."""
    return [net.layers.index(index) for index in range(len(net.dictionaries))]


def added(first: Statistics, second: Statistics) -> Statistics:
    def both(a: Parts, b: Parts) -> Parts:
        return a[0] + b[0], a[1] + b[1]

    dictionaries = {key: both(parts, second.dictionaries[key]) for key, parts in first.dictionaries.items()}
    estimate = torch.cat([first.estimate, second.estimate], 1)
    return Statistics(dictionaries, both(first.output, second.output), estimate)


@pytest.mark.parametrize("resplitting", [False, True])
@given(cuts=st.lists(st.integers(1, N - 1), unique=True, max_size=N - 1), beta=st.sampled_from(BETAS))
@at_rate(25)
def test_any_partition_of_the_frames_adds_up_to_the_whole(cuts: list[int], beta: float, resplitting: bool) -> None:
    net, m, s = problem(beta)
    bounds = [0, *sorted(cuts), N]
    pieces = [
        backpropagate(net, m[:, a:b], s[:, a:b], 5, resplitting=resplitting) for a, b in itertools.pairwise(bounds)
    ]
    total, whole = functools.reduce(added, pieces), backpropagate(net, m, s, 5, resplitting=resplitting)
    assert torch.allclose(total.estimate, whole.estimate, rtol=1e-12)
    for side in (0, 1):
        assert torch.allclose(total.output[side], whole.output[side], rtol=1e-12)
        for index, parts in whole.dictionaries.items():
            assert torch.allclose(total.dictionaries[index][side], parts[side], rtol=1e-11)


def test_the_estimate_is_that_of_the_network() -> None:
    net, m, s = problem()
    assert torch.allclose(backpropagate(net, m, s, 1).estimate, net.mask(m) * m[-F:], rtol=1e-12)


@pytest.mark.parametrize("make", [torch.rand, torch.zeros])
def test_resplitting_keeps_the_derivative_with_the_least_parts(make: Callable[..., Tensor]) -> None:
    parts = make(5, 4, dtype=torch.float64), make(5, 4, dtype=torch.float64)
    plus, minus = resplit(parts)
    assert torch.equal(plus - minus, parts[0] - parts[1])
    assert (plus >= 0).all()
    assert (minus >= 0).all()
    assert not (plus * minus).any()


def share(parts: Parts) -> float:
    """Return how far the ratio of the parts is from one."""
    return float((parts[0] - parts[1]).abs().sum() / (parts[0] + parts[1]).sum())


def test_resplitting_mends_the_vanishing_ratio() -> None:
    net, m, s = problem()
    plain, split = (backpropagate(net, m, s, 5, resplitting=x).dictionaries for x in (False, True))
    assert [share(plain[k]) for k in range(4)] == sorted(share(plain[k]) for k in range(4))  # a known weakness
    assert all(share(split[k]) > 2 * share(plain[k]) for k in range(4))


def after_update(net: DeepNMF, m: Tensor, s: Tensor, trained: int, eta: float) -> DeepNMF:
    """Apply the update of docs/model.md §3 to every trained dictionary."""
    found = backpropagate(net, m, s, trained)

    def stepped(W: Tensor, parts: Parts) -> Tensor:
        return W * (parts[1] / parts[0]) ** eta

    dictionaries = [
        stepped(W, found.dictionaries[k]) if k in found.dictionaries else W for k, W in enumerate(net.dictionaries)
    ]
    return with_weights(net, tuple(dictionaries), stepped(net.output, found.output))


def squared_error(net: DeepNMF, m: Tensor, s: Tensor) -> float:
    return float(error(s, net.mask(m) * m[-F:], 2.0))


@pytest.mark.parametrize("seed", range(10))
def test_full_batch_updates_of_the_output_layer_descend(seed: int) -> None:
    net, m, s = problem(trained=1, seed=seed)
    errors = [squared_error(net, m, s)]
    for _ in range(50):
        net = after_update(net, m, s, trained=1, eta=1.0)
        assert (net.output >= 0).all()
        errors.append(squared_error(net, m, s))
    assert all(b <= a * (1 + 1e-9) for a, b in itertools.pairwise(errors))
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beta", BETAS)
def test_full_batch_updates_of_every_layer_descend(seed: int, beta: float) -> None:
    net, m, s = problem(beta, seed=seed)
    before = squared_error(net, m, s)
    for _ in range(10):
        net = after_update(net, m, s, trained=5, eta=0.5)
    assert squared_error(net, m, s) < before
    assert all((W >= 0).all() for W in (*net.dictionaries, net.output))


@pytest.mark.parametrize("resplitting", [False, True])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("value", [0.0, 1e-42, 1e-30, 1e-3, 30.0])
def test_odd_frames_give_finite_parts_in_float32(beta: float, value: float, resplitting: bool) -> None:
    net, m, s = problem(beta, 25, 26, dtype=np.float32)
    m[:, :4], s[:, :4] = value, value
    m[::2, 5:7] = 0
    found = backpropagate(net, m, s, 26, resplitting=resplitting)
    for plus, minus in (found.output, *found.dictionaries.values()):
        assert torch.isfinite(plus).all()
        assert torch.isfinite(minus).all()
        assert (plus >= 0).all()
        assert (minus >= 0).all()


@pytest.mark.parametrize("resplitting", [False, True])
@pytest.mark.parametrize("beta", BETAS)
def test_atoms_of_zeros_give_finite_parts(beta: float, resplitting: bool) -> None:
    net, m, s = problem(beta, dtype=np.float32)
    for W in (*net.dictionaries, net.output):
        W[:, 1] = 0
        W[2] = 0
    found = backpropagate(net, m, s, 5, resplitting=resplitting)
    assert all(torch.isfinite(part).all() for parts in (found.output, *found.dictionaries.values()) for part in parts)
