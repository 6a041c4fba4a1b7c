"""Cross-synthesis: band powers over time are those of the envelope, the fine structure is that of the texture."""

from __future__ import annotations

import numpy as np
import pytest

from deepnmf.data import cross_synthesis
from deepnmf.data.cross_synthesis import crossed

RATE_HZ = 8000
SECONDS = np.arange(2 * RATE_HZ) / RATE_HZ


def hiss(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(len(SECONDS)).astype(np.float32)


def rise_db(samples: np.ndarray) -> float:
    """Return the level of the last quarter relative to the first."""
    first, _, _, last = np.square(samples.reshape(4, -1)).mean(axis=1)
    return float(10 * np.log10(last / first))


def test_levels_over_time_are_those_of_the_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_synthesis, "SMOOTHING_SECONDS", (0.02, 0.1))
    louder = hiss(1) * np.where(SECONDS < 1, 1, 10).astype(np.float32)
    softer = hiss(2) * np.where(SECONDS < 1, 10, 1).astype(np.float32)
    found = crossed(softer, louder, RATE_HZ, np.random.default_rng(0))
    assert rise_db(found) == pytest.approx(20, abs=1.5)
    assert np.square(found).mean() == pytest.approx(np.square(louder).mean(), rel=0.2)


def test_bands_are_those_of_the_envelope() -> None:
    low = np.convolve(hiss(1), np.ones(8) / 8, "same").astype(np.float32)
    found = crossed(hiss(2), low, RATE_HZ, np.random.default_rng(0))
    powers = [np.square(np.abs(np.fft.rfft(samples)))[:8000].reshape(4, -1).sum(axis=1) for samples in (found, low)]
    np.testing.assert_allclose(10 * np.log10(powers[0] / powers[1]), 0, atol=2)


def test_the_fine_structure_is_that_of_the_texture() -> None:
    tones = sum(np.sin(2 * np.pi * 200 * k * SECONDS) for k in range(1, 19)).astype(np.float32)
    found = np.abs(np.fft.rfft(crossed(tones, hiss(), RATE_HZ, np.random.default_rng(0))))
    tonal = np.zeros(len(found), bool)
    for k in range(1, 19):
        tonal[400 * k - 40 : 400 * k + 40] = True
    assert np.square(found[tonal]).sum() > 20 * np.square(found[~tonal]).sum()


@pytest.mark.parametrize("rate_hz", [100, 8000, 44100])
@pytest.mark.parametrize("samples", [1, 50, 7777])
def test_it_is_finite_and_repeatable_at_any_rate_and_length(samples: int, rate_hz: int) -> None:
    texture, envelope = hiss()[:samples], hiss(1)[:samples]
    found = crossed(texture, envelope, rate_hz, np.random.default_rng(1))
    assert found.shape == (samples,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, crossed(texture, envelope, rate_hz, np.random.default_rng(1)))


def test_silence_of_either_does_not_become_noise() -> None:
    texture = (hiss() * (SECONDS < 1)).astype(np.float32)
    rng = np.random.default_rng(0)
    assert np.abs(crossed(texture, np.zeros_like(texture), RATE_HZ, rng)).max() < 1e-9
    assert not crossed(np.zeros_like(texture), hiss(), RATE_HZ, rng).any()
    found = crossed(texture, hiss(1), RATE_HZ, rng)
    assert np.isfinite(found).all()
    assert not found[len(found) // 2 + 400 :].any()
