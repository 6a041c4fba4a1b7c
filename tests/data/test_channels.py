"""What channels do: smooth equalisers, narrow resonances, band limits, jumps of level, clipping."""

from __future__ import annotations

import numpy as np

from deepnmf.data.channels import (
    CLIPPED_SHARE,
    JUMP_DB,
    RESONANCE_DB,
    RESONANCES,
    band_limits,
    clipping,
    colour,
    level_jump,
    resonances,
)

HERTZ = np.linspace(0, 8000, 257)


def test_equalisers_are_smooth_and_about_flat_on_average() -> None:
    rng = np.random.default_rng(0)
    decibels = np.stack([20 * np.log10(colour(HERTZ, 3.0, rng)[:, 0]) for _ in range(300)])
    assert np.abs(np.diff(decibels)).max() < 1
    assert np.abs(decibels.mean(0)).max() < 1.5
    assert 2 < decibels.std() < 5


def test_band_limits_pass_speech_and_stop_what_is_beyond() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        decibels = 20 * np.log10(band_limits(HERTZ, rng)[:, 0])
        assert np.abs(decibels[(HERTZ > 300) & (HERTZ < 3300)]).max() < 1e-4
        assert decibels.min() >= -60.01
        assert (np.diff(decibels[HERTZ > 300]) < 1e-5).all()
    assert band_limits(HERTZ, rng).dtype == np.float32


def test_a_level_jumps_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        gains = level_jump(100, rng)
        assert (np.diff(gains) != 0).sum() <= 1
        assert np.abs(20 * np.log10(gains)).max() <= JUMP_DB
    assert level_jump(1, rng).shape == (1,)


def test_clipping_takes_the_loudest_samples_down() -> None:
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(10000).astype(np.float32)
    for _ in range(20):
        added = clipping(samples, rng)
        assert added.dtype == np.float32
        assert CLIPPED_SHARE[0] / 2 < np.mean(added != 0) < 1.1 * CLIPPED_SHARE[1]
        assert np.abs(samples + added).max() <= np.abs(samples)[added == 0].max() * 1.01


def test_resonances_are_a_few_narrow_peaks_and_notches() -> None:
    impulse = np.zeros(16000, np.float32)
    impulse[0] = 1
    found = []
    for seed in range(50):
        response = resonances(impulse, 16000, np.random.default_rng(seed))
        assert response.dtype == np.float32
        assert np.square(response[8000:]).sum() < 1e-3  # they have rung off
        found.append(20 * np.log10(np.abs(np.fft.rfft(response))))
    decibels = np.stack(found)
    assert np.abs(decibels).max() <= RESONANCES[1] * RESONANCE_DB[1]
    assert decibels.max() > 9
    assert decibels.min() < -9
    assert 0.4 < (np.abs(decibels) < 1).mean() < 0.95
    assert np.abs(decibels[:, [0, -1]]).max() < 0.1


def test_resonances_at_low_rates_stay_below_half_of_it() -> None:
    samples = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for rate_hz in (100, 8000):
        for seed in range(20):
            assert np.isfinite(resonances(samples, rate_hz, np.random.default_rng(seed))).all()
