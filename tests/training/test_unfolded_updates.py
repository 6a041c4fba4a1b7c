"""The layers' own derivative: equal to autograd's, whatever the blocks, and finite for any frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deepnmf.networks.unfolded.deep_nmf import DeepNMF, infer
from deepnmf.training import unfolded_updates
from deepnmf.training.modules import DeepNMFModule, FramewiseModule
from deepnmf.training.unfolded_updates import Layers
from helpers.networks import deep_nmf

F, T, R_S, R_N, N = 7, 3, 3, 2, 11
BETAS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]


def network(beta: float, layers: int = 4, dtype: Any = np.float64, **settings: Any) -> DeepNMF:
    """Return a network of distinct dictionaries, gains and sparsities."""
    rng = np.random.default_rng(0)
    plain = deep_nmf(rng.random((F * T, R_S)), rng.random((F * T, R_N)), F, 0.1, beta, layers=layers, **settings)
    arrays = {name: (W * rng.uniform(0.5, 1.5, W.shape)).astype(dtype) for name, W in plain.arrays().items()}
    return plain.with_arrays(arrays)


def gradients(module: FramewiseModule, m: Tensor) -> dict[str, Tensor]:
    """Return the gradients of a sum of squares of masked mixtures."""
    torch.autograd.backward((module(m) * m[:, -F:]).square().sum())
    weights = zip(module.weights.names["nonnegative"], module.weights.nonnegative, strict=True)
    return {name: W.grad for name, W in weights if W.grad is not None}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    assert found
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() < tolerance * gradient.abs().max(), name


def mixtures(dtype: Any = np.float64, frames: int = N) -> Tensor:
    return torch.tensor(np.random.default_rng(1).random((2, F * T, frames)).astype(dtype))


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("frames", [4, 100])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("layers", "trained", "tied"), [(1, 2, False), (4, 3, False), (4, 5, False), (4, 4, True)])
def test_gradients_are_those_of_autograd(
    beta: float,
    layers: int,
    trained: int,
    tied: bool,
    frames: int,
    logarithmic: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(unfolded_updates.BLOCK_FRAMES, "cpu", frames)
    net = network(beta, layers, trained_layers=trained, tied=tied)
    names = [f"dictionary.{index}" for index in sorted(set(net.layers[layers + 1 - trained :]))] + ["output"]
    own, plain = (kind(net, names, logarithmic) for kind in (DeepNMFModule, FramewiseModule))
    torch.testing.assert_close(own(mixtures()), plain(mixtures()), rtol=1e-11, atol=0)
    assert_equal(gradients(own, mixtures()), gradients(plain, mixtures()), 1e-10)


@pytest.mark.parametrize("layers", [4, 25])
def test_in_single_precision_they_are_those_of_autograd_to_rounding(layers: int) -> None:
    net = network(1.0, layers, np.float32)
    names = [name for name in net.arrays() if name.partition(".")[0] in DeepNMF.NONNEGATIVE]
    own, plain = (kind(net, names, False) for kind in (DeepNMFModule, FramewiseModule))
    assert_equal(gradients(own, mixtures(np.float32, 300)), gradients(plain, mixtures(np.float32, 300)), 1e-5)


@pytest.mark.parametrize("frames", [4, 100])
@pytest.mark.parametrize("beta", BETAS)
def test_the_gradient_reaches_activations_that_differ_between_frames(
    beta: float, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(unfolded_updates.BLOCK_FRAMES, "cpu", frames)
    rng = np.random.default_rng(2)
    m, h = torch.tensor(rng.random((F, N))), torch.tensor(rng.random((R_S, N)))
    dictionaries = [torch.tensor(rng.random((F, R_S))) for _ in range(3)]
    found, expected = ([x.clone().requires_grad_() for x in (h, *dictionaries)] for _ in range(2))
    layers = Layers([0.1] * 3, [None] * 3, beta)
    torch.autograd.backward(unfolded_updates.unfolded_updates(m, found[0], found[1:], layers).square().sum())
    torch.autograd.backward(infer(m, expected[1:], expected[0], 0.1, beta).square().sum())
    for own, by_autograd in zip(found, expected, strict=True):
        torch.testing.assert_close(own.grad, by_autograd.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("value", [0.0, 1e-42, 1e-30, 30.0])
def test_odd_frames_and_atoms_of_zeros_have_finite_gradients(beta: float, value: float) -> None:
    net = network(beta, 25, np.float32)
    for W in (*net.dictionaries, net.output):
        np.asarray(W)[:, 1] = 0
    m = mixtures(np.float32)
    m[:, :, :4] = value
    module = DeepNMFModule(net, [*(f"dictionary.{k}" for k in range(25)), "output"], logarithmic=False)
    found = gradients(module, m)
    assert len(found) == 26
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


def test_the_layers_of_one_block_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    net = dataclasses.replace(network(1.0))
    module = DeepNMFModule(net, ["dictionary.0", "output"], logarithmic=False)
    monkeypatch.setitem(unfolded_updates.BLOCK_FRAMES, "cpu", 5)
    run, kept = unfolded_updates.run_layers, []

    def counted(m: Tensor, *arguments: Any) -> Any:
        kept.append(m.shape[1])
        return run(m, *arguments)

    monkeypatch.setattr(unfolded_updates, "run_layers", counted)
    gradients(module, mixtures())
    assert max(kept) <= 5
    assert sum(kept) == 2 * N + (2 * N - kept[4])  # all but the last of five blocks are computed again
