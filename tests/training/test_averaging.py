"""The mean of the weights over the last updates: what it is a mean of, what takes it, and its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from deepnmf.networks.kinds import KINDS
from deepnmf.training.averaging import AveragedWeights
from deepnmf.training.step import TrainingStep
from helpers.training import batch, small

CASES: list[tuple[str, dict[str, Any]]] = [
    ("recurrent-deep-nmf", {}),
    ("recurrent-deep-nmf", {"optimiser": "multiplicative"}),
    ("deep-nmf", {}),
    ("deep-nmf", {"split_at": "none", "eta": 1.0}),
    ("dr-nmf", {}),
    ("gru", {}),
]


def step_of(kind: str, share: float, **train: Any) -> TrainingStep:
    return TrainingStep(*small(kind, **train, average_share=share), updates=60)


def parameters(module: torch.nn.Module) -> np.ndarray:
    return np.concatenate([W.detach().numpy().ravel() for W in module.parameters()])


def test_the_mean_of_constant_weights_is_these_weights() -> None:
    module = step_of("gru", 0.0).module
    averaged = AveragedWeights(module, 0.1)
    for update in range(1, 30):
        averaged.add(update)
    np.testing.assert_array_equal(parameters(averaged.module), parameters(module))


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_the_mean_follows_the_share_of_the_updates_so_far_whatever_their_number(share: float) -> None:
    """Of weights that grow by 1 at each update, the mean is that of share / (1 + share) of the updates before."""
    module = step_of("gru", 0.0).module
    averaged, start = AveragedWeights(module, share), parameters(module)
    for update in range(1, 401):
        with torch.no_grad():
            for W in module.parameters():
                W += 1
        averaged.add(update)
        if update in (100, 400):
            behind = start + update - parameters(averaged.module)
            np.testing.assert_allclose(behind, update * share / (1 + share), rtol=0.02, atol=0.05)


@pytest.mark.parametrize(("kind", "train"), CASES)
def test_the_mean_is_scored_and_stored_and_training_goes_on_as_without_it(kind: str, train: dict[str, Any]) -> None:
    with_mean, without = step_of(kind, 0.5, **train), step_of(kind, 0.0, **train)
    passed = []
    for seed in range(6):
        assert with_mean.step(batch(kind, seed)) == without.step(batch(kind, seed))
        passed.append(parameters(without.module))
    assert np.array_equal(parameters(with_mean.module), passed[-1])
    mean = parameters(with_mean.scored)
    rounding = 1e-5 * np.abs(passed).max(0)
    assert (np.min(passed, 0) - rounding <= mean).all()
    assert (mean <= np.max(passed, 0) + rounding).all()
    arrays, last = with_mean.to_numpy().arrays(), without.to_numpy().arrays()
    assert any(not np.array_equal(arrays[name], last[name]) for name in last)
    assert all((W >= 0).all() for name, W in arrays.items() if name.partition(".")[0] in KINDS[kind].NONNEGATIVE)


@pytest.mark.parametrize(("kind", "train"), CASES)
def test_the_mean_is_taken_up_with_the_state(kind: str, train: dict[str, Any]) -> None:
    step, other = (step_of(kind, 0.3, **train) for _ in range(2))
    for seed in range(4):
        step.step(batch(kind, seed))
    other.load_state_dict(step.state_dict())
    for one in (step, other):
        one.step(batch(kind, 9))
    for name, value in step.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name])
    for name, W in step.to_numpy().arrays().items():
        np.testing.assert_array_equal(W, other.to_numpy().arrays()[name])
