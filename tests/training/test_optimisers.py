"""Multiplicative updates on autograd's gradient, against the paper's parts carried backwards; schedules; states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deepnmf.networks.kinds import KINDS, configuration
from deepnmf.networks.unfolded.deep_nmf import DeepNMF
from deepnmf.training import optimisers
from deepnmf.training.losses import beta_loss
from deepnmf.training.modules import FramewiseModule
from deepnmf.training.multiplicative import backpropagate, resplit
from deepnmf.training.optimisers import SMOOTHING, MultiplicativeUpdate, Schedule
from deepnmf.training.step import Diverged, TrainingStep
from helpers.networks import FEATURES, F, deep_nmf
from helpers.training import batch, small

BINS, T, FRAMES = 7, 3, 11


def problem(beta: float, tied: bool = False, seed: int = 0) -> tuple[DeepNMF, Tensor, Tensor]:
    """Return a network of 4 layers, mixtures ``(T·F, N)`` and targets ``(F, N)`` in float64."""
    rng = np.random.default_rng(seed)
    speech, noise = rng.random((BINS * T, 3)), rng.random((BINS * T, 2))
    network = deep_nmf(speech, noise, BINS, beta=beta, layers=4, tied=tied)
    return network, torch.tensor(rng.random((BINS * T, FRAMES))), torch.tensor(rng.random((BINS, FRAMES)))


def module_and_rule(network: DeepNMF, lr: float, **settings: float) -> tuple[FramewiseModule, MultiplicativeUpdate]:
    module = FramewiseModule(network, list(network.arrays()), logarithmic=False)
    return module, MultiplicativeUpdate(module.weights.nonnegative, lr, **settings)


def parts_of(module: FramewiseModule, m: Tensor, s: Tensor) -> list[tuple[Tensor, Tensor]]:
    network: Any = module.network()
    with torch.no_grad():
        found = backpropagate(network, m, s, 5)
    return [*(found.dictionaries[index] for index in range(len(network.dictionaries))), found.output]


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("tied", [False, True])
def test_the_rule_on_autograds_gradient_is_the_rule_on_the_difference_of_the_papers_parts(
    beta: float, tied: bool
) -> None:
    network, m, s = problem(beta, tied)
    by_gradient, gradient_rule = module_and_rule(network, 0.05)
    by_parts, parts_rule = module_and_rule(network, 0.05)
    for _ in range(10):
        gradient_rule.zero_grad()
        torch.autograd.backward(beta_loss(s, by_gradient(m[None])[0] * m[-BINS:], 2.0))
        gradient_rule.step()
        for W, parts in zip(by_parts.weights.nonnegative, parts_of(by_parts, m, s), strict=True):
            plus, minus = resplit(parts)
            parts_rule.add_parts(W, (W.detach() * plus, W.detach() * minus))
        parts_rule.step()
    for found, expected in zip(by_gradient.weights.nonnegative, by_parts.weights.nonnegative, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    assert not np.allclose(by_gradient.to_numpy().arrays()["output"], network.output, rtol=1e-3)


def test_the_papers_rule_multiplies_by_the_ratio_of_its_parts_in_whatever_pieces_they_come() -> None:
    network, m, s = problem(1.0)
    module, rule = module_and_rule(network, 1.0, gradient_decay=0.0, smoothing=0.0)
    before, whole = module.weights.arrays()["output"].clone(), parts_of(module, m, s)[-1]
    for a, b in ((0, 4), (4, FRAMES)):
        for W, parts in zip(module.weights.nonnegative, parts_of(module, m[:, a:b], s[:, a:b]), strict=True):
            rule.add_parts(W, parts)
    rule.step()
    floor = np.finfo(float).eps ** 0.5 * (whole[0].mean() + whole[1].mean())
    expected = before * ((whole[1] + floor) / (whole[0] + floor)).clip(0.5, 2)
    torch.testing.assert_close(module.weights.arrays()["output"], expected.detach(), rtol=1e-10, atol=0)


def test_a_weight_whose_gradient_keeps_its_sign_moves_by_a_full_step_and_one_that_changes_it_stays() -> None:
    W = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    rule = MultiplicativeUpdate([W], lr=0.1)
    for sign in (1, -1) * 50:
        W.grad = torch.tensor([1.0, sign], dtype=torch.float64)
        rule.step()
    full = 0.1 * np.log((1 + SMOOTHING) / SMOOTHING)
    assert float(W[0].detach().log()) == pytest.approx(-100 * full, rel=1e-3)
    assert abs(float(W[1].detach().log())) < 0.05 * 100 * full


def test_zeros_stay_zeros_and_no_weight_more_than_doubles() -> None:
    W = torch.nn.Parameter(torch.tensor([0.0, 1.0, 1.0]))
    rule = MultiplicativeUpdate([W], lr=1.0, smoothing=0.0)
    W.grad = torch.tensor([-1.0, -1e30, 1e30])
    rule.step()
    assert W.tolist() == pytest.approx([0, 2, 0.5])


def test_a_batch_of_silence_leaves_the_weights() -> None:
    W = torch.nn.Parameter(torch.tensor([0.0, 0.5, 2.0]))
    W.grad = torch.zeros(3)
    MultiplicativeUpdate([W], lr=0.5).step()
    assert W.tolist() == [0, 0.5, 2]


def test_weights_are_updated_in_pieces_as_they_are_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, found = np.random.default_rng(0), []
    gradients = torch.tensor(rng.normal(size=(3, 7, 5)))
    for size in (35, 4):
        monkeypatch.setattr(optimisers, "PIECE", size)
        W = torch.nn.Parameter(torch.ones(7, 5, dtype=torch.float64))
        rule = MultiplicativeUpdate([W], lr=0.1)
        for W.grad in gradients:
            rule.step()
        found.append(W.detach())
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert float((found[0] - 1).abs().min()) > 0


def test_the_rule_does_not_depend_on_the_scale_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    W = [torch.nn.Parameter(torch.full((5,), scale, dtype=torch.float64)) for scale in (1.0, 1e6)]
    rule = MultiplicativeUpdate(W, lr=0.1)
    for _ in range(30):
        gradient = torch.tensor(rng.normal(size=5))
        for parameter, scale in zip(W, (1.0, 1e6), strict=True):
            parameter.grad = gradient / scale
        rule.step()
    torch.testing.assert_close(W[1] / 1e6, W[0], rtol=1e-12, atol=0)
    assert float((W[0] - 1).detach().abs().max()) > 0.1


def test_weights_that_decay_stay_normal_numbers() -> None:
    W = torch.nn.Parameter(torch.ones(3))
    rule = MultiplicativeUpdate([W], lr=1.0)
    for _ in range(300):
        W.grad = 1 / W.detach()
        rule.step()
    assert (10 * torch.finfo().tiny <= W).all()


CASES = [
    *((kind, {}) for kind in KINDS),
    ("ista", {"optimiser": "multiplicative"}),
    ("deep-nmf", {"optimiser": "adam"}),
]
CASES += [("recurrent-deep-nmf", {"optimiser": "multiplicative"}), ("deep-nmf", {"split_at": "none", "eta": 1.0})]
CASES += [("deep-nmf", {"split_at": "activations"})]


@pytest.mark.parametrize(("kind", "train"), CASES)
def test_one_step_trains_every_kind_and_its_state_can_be_taken_up(kind: str, train: dict[str, Any]) -> None:
    network, config = small(kind, **train)
    step = TrainingStep(network, config, updates=60)
    errors = [step.step(batch(kind))[0] for _ in range(20)]
    other = TrainingStep(network, config, updates=60)
    other.load_state_dict(step.state_dict())
    for one in (step, other):
        errors += [one.step(batch(kind, seed))[0] for seed in range(5)]
    for name, W in step.to_numpy().arrays().items():
        np.testing.assert_array_equal(W, other.to_numpy().arrays()[name])
        assert name.partition(".")[0] not in network.NONNEGATIVE or (W >= 0).all()
    assert errors[19] < errors[0]
    assert errors[20:25] == errors[25:]


def test_25_trained_layers_have_the_gradient_of_the_first_in_single_precision() -> None:
    """Parts carried backwards through every layer lose it; the default rule takes autograd's."""
    rng = np.random.default_rng(0)
    speech, noise = rng.exponential(1, (2, 257, 40))
    network = deep_nmf(speech, noise, 257, sparsity=3.0, layers=25)
    config = configuration({"network": {"kind": "deep-nmf", "layers": 25}})
    m, s = torch.tensor(rng.exponential(1, (257, 200))), torch.tensor(rng.exponential(1, (257, 200)))
    gradients = []
    for dtype in (torch.float32, torch.float64):
        arrays = {name: torch.tensor(np.asarray(W)).to(dtype) for name, W in network.arrays().items()}
        single = network.with_arrays({name: W.numpy() for name, W in arrays.items()})
        module = FramewiseModule(single, list(network.trained_arrays(config.network)), logarithmic=False)
        torch.autograd.backward(beta_loss(s.to(dtype), module(m.to(dtype)[None])[0] * m.to(dtype), 2.0))
        gradients.append(
            next(W.grad for W in module.weights.nonnegative if module.weights.name_of(W) == "dictionary.0")
        )
    similarity = torch.nn.functional.cosine_similarity(*(g.double().flatten() for g in gradients), dim=0)  # type: ignore[union-attr]
    assert similarity > 0.99
    assert TrainingStep(single, config, updates=10)._paper_rule is None


def test_the_papers_rule_stays_stable_in_mini_batches() -> None:
    """Parts kept from other weights would share a factor that every update applies again."""
    network, config = small("deep-nmf", split_at="none", eta=1.0)
    step = TrainingStep(network, config, updates=10**6)
    errors = [step.step(batch("deep-nmf", seed))[0] for seed in range(300)]
    assert max(errors[250:]) < max(errors[:5])
    assert max(W.max() for W in step.to_numpy().arrays().values()) < 1e3


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_no_longer_finite_are_named(kind: str) -> None:
    network, config = small(kind)
    step = TrainingStep(network, config, updates=10)
    with torch.no_grad():
        next(iter(step.module.parameters()))[..., :1] = np.nan
    with pytest.raises(Diverged, match="no longer finite"):
        step.step(batch(kind))


def test_a_non_finite_example_is_a_divergence_too() -> None:
    network, config = small("gru")
    example = batch("gru")[0]
    example.speech[0, 0, 5] = np.inf
    with pytest.raises(Diverged):
        TrainingStep(network, config, updates=10).step([example])


def test_steps_have_a_linear_warm_up_and_a_cosine_decay() -> None:
    W = torch.nn.Parameter(torch.ones(1))
    adam = torch.optim.Adam([W], lr=2.0)
    schedule = Schedule([adam], updates=1000, warm_up=100)
    rates = []
    for done in range(1000):
        schedule.set_rates(done)
        rates.append(adam.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.02)
    assert np.argmax(rates) == 99
    assert (np.diff(rates[99:]) < 0).all()
    assert rates[-1] < 1e-4


def test_features_of_the_helpers_are_those_of_the_networks() -> None:
    assert FEATURES.stft.bins == F
