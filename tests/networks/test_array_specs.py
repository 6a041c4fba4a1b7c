"""The description of each kind's arrays fits the arrays of every network that can be trained, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from deepnmf.artifacts.schema import Shapes, check_numbers, check_shapes
from deepnmf.errors import DeepnmfError
from deepnmf.model import KINDS
from deepnmf.networks.base import Network
from helpers.networks import F, untrained


def check(network: Network, hyperparameters: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    check_numbers(network.HYPERPARAMETERS, hyperparameters, "network")
    check_shapes(type(network).array_specs(hyperparameters, F, Shapes(shapes)), shapes)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("network", [{}, {"layers": 1}, {"tied": True}, {"recurrent_layers": 2}])
def test_what_can_be_trained_fits_its_description(kind: str, network: dict[str, Any]) -> None:
    built = untrained(kind, **network)
    assert isinstance(built, KINDS[kind])
    shapes = {name: array.shape for name, array in built.arrays().items()}
    check(built, built.hyperparameters(), shapes)
    for name, shape in shapes.items():
        for other in (shape[:-1], (*shape, 1), (*shape[:-1], shape[-1] + 1), (0,) * len(shape)):
            with pytest.raises(DeepnmfError, match=r"array|rows|sets|grid|atoms"):
                check(built, built.hyperparameters(), {**shapes, name: other})
        with pytest.raises(DeepnmfError, match=r"missing|sets"):
            check(built, built.hyperparameters(), {key: value for key, value in shapes.items() if key != name})
    with pytest.raises(DeepnmfError, match="extra"):
        check(built, built.hyperparameters(), {**shapes, "extra": (1,)})


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("value", [-1, 10**9, 10**4000, 0.5, float("nan"), float("inf"), "4", True, None, [], [[]], {}])
def test_a_hyperparameter_out_of_its_range_is_named(kind: str, value: Any) -> None:
    built = untrained(kind)
    for name, spec in built.HYPERPARAMETERS.items():
        if value == 0.5 and not spec.integer:
            continue
        for wrong in (value, [value]) if spec.listed else (value,):
            with pytest.raises(DeepnmfError, match=name) as caught:
                check_numbers(built.HYPERPARAMETERS, {**built.hyperparameters(), name: wrong}, "network")
            assert len(str(caught.value)) < 200
