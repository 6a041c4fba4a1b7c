"""Level tracking: causal, equal for any block sizes, and proportional to the sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.dsp.level import LEVEL_FLOOR, LevelTracker
from helpers.examples import at_rate


def magnitudes(frames: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((5, frames)).astype(np.float32)


def levels(m: np.ndarray, seconds: float = 0.2) -> np.ndarray:
    return LevelTracker(seconds, 0.01).push(m)


def by_hand(m: np.ndarray, seconds: float) -> list[float]:
    """Follow the definition: a plain mean at first, an exponential one once 1/n is below the hop's share."""
    power, counted, out = 0.0, 0, []
    for frame in m.T:
        mean_square = float(np.mean(frame.astype(np.float64) ** 2))
        if mean_square > LEVEL_FLOOR**2:
            counted += 1
            weight = max(1 / counted, 0.01 / seconds)
            power = (1 - weight) * power + weight * mean_square
        out.append(max(power**0.5, LEVEL_FLOOR))
    return out


@pytest.mark.parametrize("seconds", [0.01, 0.2, 3.0])
def test_it_follows_the_definition(seconds: float) -> None:
    m = magnitudes()
    m[:, 7:12] = 0
    assert np.allclose(levels(m, seconds), by_hand(m, seconds), rtol=1e-5)


@given(cuts=st.lists(st.integers(0, 60), max_size=6))
@at_rate(50)
def test_a_stream_equals_the_whole_signal(cuts: list[int]) -> None:
    tracker = LevelTracker(0.2, 0.01)
    parts = [tracker.push(part) for part in np.split(magnitudes(), sorted(cuts), axis=1)]
    assert np.array_equal(np.concatenate(parts), levels(magnitudes()))


def test_frames_of_a_stream_have_the_level_of_the_whole_signal() -> None:
    m, tracker = magnitudes(), LevelTracker(0.2, 0.01)
    np.testing.assert_allclose([tracker.next(frame) for frame in m.T], levels(m), rtol=1e-6)


def test_a_scale_is_that_of_the_magnitudes() -> None:
    m = magnitudes()
    m[:, :20] *= 1e-7  # below the floor with the scale, above without
    found = LevelTracker(0.2, 0.01, scale=0.1).push(m * 10)
    np.testing.assert_allclose(found, levels(m), rtol=1e-6)


def test_it_is_causal() -> None:
    changed = magnitudes()
    changed[:, 30:] *= 100
    assert np.array_equal(levels(changed)[:30], levels(magnitudes())[:30])


@pytest.mark.parametrize("gain", [1e-3, 7.0, 1e6])
def test_louder_sound_has_a_proportional_level(gain: float) -> None:
    assert np.allclose(levels(magnitudes() * np.float32(gain)), gain * levels(magnitudes()), rtol=1e-5)


def test_silence_before_and_within_does_not_count() -> None:
    m = magnitudes()
    silence = np.zeros((5, 20), np.float32)
    level = levels(np.concatenate([silence, m[:, :30], silence, m[:, 30:]], axis=1))
    assert (level[:20] == np.float32(LEVEL_FLOOR)).all()
    assert np.array_equal(np.concatenate([level[20:50], level[70:]]), levels(m))
    assert (level[50:70] == level[49]).all()


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-30, 1e-7, 1.0, 1e18])
def test_dividing_by_the_level_is_always_finite(value: float) -> None:
    m = np.full((5, 10), value, np.float32)
    level = levels(m)
    assert level.dtype == np.float32
    assert np.isfinite(level).all()
    assert (level >= np.float32(LEVEL_FLOOR)).all()
    assert np.isfinite(m / level).all()


def test_no_frames_give_no_levels() -> None:
    assert levels(np.zeros((5, 0), np.float32)).shape == (0,)
