"""Gains above the model's band: ones stay ones, streams equal the whole, noise is attenuated while speech is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.dsp.upper_band import UpperBand
from helpers.examples import at_rate

TOP = slice(24, 38)
FRAMES = 60


def gains(mask: np.ndarray, power: np.ndarray, edges: tuple[int, ...] = ()) -> np.ndarray:
    band, magnitudes = UpperBand(TOP, TOP.stop + len(power)), np.ones_like(mask)
    cuts = [0, *edges, mask.shape[1]]
    parts = [band.push(mask[:, a:b], magnitudes[:, a:b], power[:, a:b]) for a, b in itertools.pairwise(cuts) if b > a]
    return np.concatenate(parts, axis=1)


def noise(bins: int = 80, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(0).exponential(1, (bins, frames)).astype(np.float32)


def masks(value: float, frames: int = FRAMES) -> np.ndarray:
    return np.full((40, frames), value, np.float32)


@pytest.mark.parametrize("bins", [1, 17, 80, 530])
@pytest.mark.parametrize("level", [0.0, 1e-30, 1.0, 1e12])
def test_a_mask_of_ones_gives_ones_and_one_of_zeros_zeros(bins: int, level: float) -> None:
    power = level * noise(bins)
    np.testing.assert_allclose(gains(masks(1), power), 1, atol=1e-6)
    assert not gains(masks(0), power).any()


@given(cuts=st.lists(st.integers(0, FRAMES), max_size=5))
@at_rate(30)
def test_a_stream_equals_the_whole(cuts: list[int]) -> None:
    mask = np.random.default_rng(1).random((40, FRAMES)).astype(np.float32)
    np.testing.assert_allclose(gains(mask, noise(), tuple(sorted(cuts))), gains(mask, noise()), atol=1e-6)


def test_a_tilt_of_the_mask_is_carried_upwards_and_smoothed_over_time() -> None:
    falling = masks(1) * np.linspace(1, 0.3, 40, dtype=np.float32)[:, None]
    found = gains(falling, 0 * noise())
    assert (np.diff(found[:, -1]) <= 0).all()
    assert found[-1, -1] < 0.5 * found[0, -1]
    sudden = np.concatenate([masks(1), falling], axis=1)
    after = gains(sudden, 0 * noise(frames=2 * FRAMES))[-1]
    assert after[FRAMES] > 1.5 * after[-1]


def test_noise_is_attenuated_under_speech_that_does_not_reach_so_high() -> None:
    """A vowel has a high mask in the model's band; above it, power stays that of the noise before."""
    mask = np.concatenate([masks(0.05), masks(0.95, 5)], axis=1)
    vowel, fricative = noise(frames=FRAMES + 5), noise(frames=FRAMES + 5)
    fricative[:, FRAMES:] *= 1000
    assert gains(mask, vowel)[:, -1].mean() < 0.6
    assert gains(mask, fricative)[:, -1].mean() > 0.9


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_damaged_mask_raises_nothing(value: float) -> None:
    assert gains(masks(value), noise()).shape == (80, FRAMES)
