"""β-divergence against its definition, and its gradient against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.dsp.arrays import epsilon, fast_pow
from deepnmf.nmf.divergence import beta_divergence, gradient_parts, mu_exponent
from helpers.examples import at_rate

BETAS = [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
positive = st.floats(0.01, 100)


def scalar_divergence(x: float, y: float, beta: float) -> float:
    """Write out the definition of Févotte & Idier for one entry."""
    if beta == 0:
        return x / y - math.log(x / y) - 1
    if beta == 1:
        return x * math.log(x / y) - x + y
    return (x**beta + (beta - 1) * y**beta - beta * x * y ** (beta - 1)) / (beta * (beta - 1))


@pytest.mark.parametrize("beta", BETAS)
def test_it_is_the_sum_of_the_definition(beta: float) -> None:
    x, y = np.random.default_rng(0).uniform(0.1, 3, (2, 4, 5))
    expected = sum(scalar_divergence(float(a), float(b), beta) for a, b in zip(x.flat, y.flat, strict=True))
    assert beta_divergence(x, y, beta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("beta", BETAS)
@given(x=positive, y=positive)
@at_rate(40)
def test_it_is_zero_only_where_both_agree(x: float, y: float, beta: float) -> None:
    target, estimate = np.array([x]), np.array([y])
    size = x**beta + y**beta
    assert beta_divergence(target, target, beta) == pytest.approx(0, abs=1e-12 * size)
    assert beta_divergence(target, estimate, beta) >= -1e-12 * size
    if abs(x - y) > 0.01 * max(x, y):
        assert beta_divergence(target, estimate, beta) > 0


@pytest.mark.parametrize("beta", [0.9999999, 1.0000001, 1e-7, -1e-7])
def test_it_is_continuous_in_beta(beta: float) -> None:
    x, y = np.random.default_rng(1).uniform(0.1, 3, (2, 20))
    assert beta_divergence(x, y, beta) == pytest.approx(beta_divergence(x, y, round(beta)), rel=1e-4)


@pytest.mark.parametrize("beta", BETAS)
def test_scaling_both_scales_it_by_the_power_beta(beta: float) -> None:
    x, y = np.random.default_rng(2).uniform(0.1, 3, (2, 20))
    assert beta_divergence(5 * x, 5 * y, beta) == pytest.approx(5**beta * beta_divergence(x, y, beta), rel=1e-10)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_a_zero_target_has_its_limit(beta: float) -> None:
    limit = scalar_divergence(1e-300, 2.0, beta)
    assert beta_divergence(np.zeros(1), np.full(1, 2.0), beta) == pytest.approx(limit, rel=1e-10)


@pytest.mark.parametrize("beta", [-1.0, 0.0])
def test_a_floor_keeps_a_zero_target_finite(beta: float) -> None:
    assert np.isfinite(beta_divergence(np.zeros(3), np.ones(3), beta, floor=1e-7))


@pytest.mark.parametrize("beta", BETAS)
def test_gradient_parts_match_finite_differences(beta: float) -> None:
    x, y = np.random.default_rng(3).uniform(0.3, 2, (2, 6))
    plus, minus = gradient_parts(x, y, beta)
    assert (np.asarray(plus) >= 0).all()
    assert (np.asarray(minus) >= 0).all()
    step = 1e-6
    for index in range(6):
        shift = step * (np.arange(6) == index)
        slope = (beta_divergence(x, y + shift, beta) - beta_divergence(x, y - shift, beta)) / (2 * step)
        assert (plus - minus)[index] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    ("beta", "exponent"), [(0, 1 / 2), (0.5, 1 / 1.5), (1, 1), (1.5, 1), (2, 1), (3, 1 / 2), (-1, 1 / 3)]
)
def test_exponent_of_the_update(beta: float, exponent: float) -> None:
    assert mu_exponent(beta) == pytest.approx(exponent)


@pytest.mark.parametrize("exponent", [-3, -2, -1, -0.5, 0, 0.5, 1, 2])
def test_power_is_power(exponent: float) -> None:
    x = np.random.default_rng(4).uniform(0.1, 3, 10)
    assert np.allclose(fast_pow(x, exponent) * np.ones(10), x**exponent, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_guard_follows_precision_and_level(dtype: type) -> None:
    x = np.zeros(1, dtype)
    assert epsilon(x) ** 2 == pytest.approx(np.finfo(dtype).eps)
    assert epsilon(x, 8.0) == 8 * epsilon(x)


def test_guard_is_the_same_for_torch() -> None:
    torch = pytest.importorskip("torch")
    assert epsilon(torch.zeros(1)) == epsilon(np.zeros(1, np.float32))
    assert epsilon(torch.zeros(1, dtype=torch.float64)) == epsilon(np.zeros(1))
