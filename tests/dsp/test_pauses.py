"""Further attenuation in pauses: speech and a network that passes all are left alone, streams equal the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.dsp.pauses import PAUSE_GAIN, Pauses
from helpers.examples import at_rate

BINS, FRAMES = 257, 280
PAUSE = slice(60, 240)


def magnitudes(frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(0).rayleigh(1, (BINS, frames)).astype(np.float32)


def masks(pause: float = 0.02, frames: int = FRAMES) -> np.ndarray:
    """Return masks of speech, of a pause in which they flicker about `pause`, and of speech."""
    mask = np.full((BINS, frames), 0.8, np.float32)
    mask[:, PAUSE] = pause * np.random.default_rng(1).exponential(1, (BINS, PAUSE.stop - PAUSE.start))
    return np.minimum(mask, 1)


def changed(mask: np.ndarray, observed: np.ndarray, edges: tuple[int, ...] = ()) -> np.ndarray:
    pauses, cuts = Pauses(BINS), [0, *edges, mask.shape[1]]
    parts = [pauses.push(mask[:, a:b], observed[:, a:b]) for a, b in itertools.pairwise(cuts)]
    return np.concatenate(parts, axis=1)


@given(cuts=st.lists(st.integers(0, FRAMES), max_size=5), pause=st.sampled_from([0.0, 0.02, 0.5]))
@at_rate(30)
def test_a_stream_equals_the_whole(cuts: list[int], pause: float) -> None:
    mask, observed = masks(pause), magnitudes()
    np.testing.assert_allclose(changed(mask, observed, tuple(sorted(cuts))), changed(mask, observed), atol=1e-6)
    np.testing.assert_allclose(changed(mask, observed, tuple(range(1, FRAMES))), changed(mask, observed), atol=1e-6)


def test_speech_is_left_as_it_is_and_a_pause_is_attenuated_further_and_steady() -> None:
    mask = masks()
    found = changed(mask, magnitudes())
    settled = slice(PAUSE.stop - 20, PAUSE.stop)
    np.testing.assert_array_equal(found[:, : PAUSE.start], mask[:, : PAUSE.start])
    np.testing.assert_array_equal(found[:, PAUSE.stop + 1 :], mask[:, PAUSE.stop + 1 :])
    level = np.sqrt(np.mean(np.square(mask[:, settled])))
    assert found[:, settled].mean() == pytest.approx(PAUSE_GAIN * level, rel=0.1)
    assert found[:, settled].std() < 0.2 * found[:, settled].mean() < mask[:, settled].std()


def test_the_shape_of_the_attenuation_over_frequency_is_kept() -> None:
    mask = masks()
    mask[128:, PAUSE] *= 4
    found = changed(mask, magnitudes())[:, PAUSE.stop - 10]
    low, high = found[:96].mean(), found[160:].mean()
    assert high == pytest.approx(4 * low, rel=0.2)


@pytest.mark.parametrize("band", [slice(0, 30), slice(120, 150), slice(230, 257)])
def test_speech_in_one_band_is_no_pause(band: slice) -> None:
    mask = masks()
    mask[band, PAUSE] = 0.9
    found = changed(mask, magnitudes())
    np.testing.assert_array_equal(found[:, PAUSE], mask[:, PAUSE])


@pytest.mark.parametrize("value", [0.0, 0.01, 0.1, 1.0])
def test_a_constant_mask_without_speech_before_is_left_as_it_is(value: float) -> None:
    """At low SNR all masks are small; then the gain is no sign of a pause unless it was higher before."""
    mask = np.full((BINS, FRAMES), value, np.float32)
    np.testing.assert_array_equal(changed(mask, magnitudes()), mask)


@pytest.mark.parametrize("level", [0.0, 1e-20, 1e12])
def test_silence_and_loud_frames_give_masks(level: float) -> None:
    observed = magnitudes()
    observed[:, 80:] *= level
    found = changed(masks(), observed)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize("bins", [3, 9, 33, 1025])
def test_any_number_of_bins_will_do(bins: int) -> None:
    pauses = Pauses(bins)
    assert np.isfinite(pauses.push(np.ones((bins, 3), np.float32), np.ones((bins, 3), np.float32))).all()
    assert pauses.push(np.full((bins, 200), 0.01, np.float32), np.ones((bins, 200), np.float32))[:, -1].max() < 0.005


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_damaged_mask_raises_nothing(value: float) -> None:
    assert changed(np.full((BINS, FRAMES), value, np.float32), magnitudes()).shape == (BINS, FRAMES)
