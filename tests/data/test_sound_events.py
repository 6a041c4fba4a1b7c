"""Synthetic events: finite, at their level, by seed, come and go; each kind in its bands."""

from __future__ import annotations

import numpy as np
import pytest

from deepnmf.data import sound_events as module
from deepnmf.data.sound_events import BLOCK_SECONDS, SOURCES, Source, alarm, bubble, rumble, sound_events

RATE_HZ = 16000
BLOCK = int(BLOCK_SECONDS * RATE_HZ)


def powers(samples: np.ndarray) -> np.ndarray:
    return np.square(samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)).mean(axis=1)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rate_hz", [100, 8000, 16000])
def test_events_of_each_kind_are_finite_and_at_unit_level(
    source: Source, rate_hz: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOURCES", (source,))
    block = int(BLOCK_SECONDS * rate_hz)
    for seed in range(15):
        found = sound_events(150 * block, rate_hz, np.random.default_rng(seed))
        assert found.shape == (150 * block,)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert np.square(found.reshape(-1, block)).mean(axis=1).max() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("samples", [1, 3, 500])
def test_any_length(samples: int) -> None:
    for seed in range(20):
        assert np.isfinite(sound_events(samples, RATE_HZ, np.random.default_rng(seed))).all()


def test_events_depend_on_the_generator_only() -> None:
    first, again, other = (sound_events(RATE_HZ, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("source", [source for source in SOURCES if source is not alarm])
def test_an_event_differs_from_the_next_of_its_source(source: Source) -> None:
    event = source(RATE_HZ, np.random.default_rng(0))
    first, second = event(), event()
    assert len(first) != len(second) or not np.allclose(first, second)


@pytest.mark.parametrize("source", SOURCES)
def test_events_are_events(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOURCES", (source,))
    found = [powers(sound_events(3 * RATE_HZ, RATE_HZ, np.random.default_rng(seed))) for seed in range(30)]
    assert np.mean([power.min() < 0.1 * power.max() for power in found]) > 0.8


def low_share(samples: np.ndarray, hertz: float) -> float:
    spectrum = np.square(np.abs(np.fft.rfft(samples)))
    return float(spectrum[: int(hertz * len(samples) / RATE_HZ)].sum() / spectrum.sum())


def test_thunder_is_low() -> None:
    shares = [low_share(rumble(RATE_HZ, np.random.default_rng(seed))(), 800) for seed in range(30)]
    assert np.median(shares) > 0.8


@pytest.mark.parametrize("source", [alarm, bubble])
def test_tones_are_not_aliased(source: Source) -> None:
    for seed in range(30):
        assert low_share(source(RATE_HZ, np.random.default_rng(seed))(), 0.48 * RATE_HZ) > 0.99
