"""Noise of segments: unit power, steady or in bursts, short recordings not only looped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.data import babble, cross_synthesis, noise_scenes
from deepnmf.data.babble import Babble
from deepnmf.data.excerpts import ExcerptSampler
from deepnmf.data.manifest import MixtureEntry
from deepnmf.data.noise_scenes import NoiseScenes
from deepnmf.data.rooms import Rooms
from deepnmf.data.waveforms import at_some_speed, faded

RATE_HZ = 8000
SAMPLES = RATE_HZ


def scenes(folder: Path, noises: dict[str, np.ndarray]) -> NoiseScenes:
    """Return scenes of noises by type."""
    rows = []
    soundfile.write(folder / "speech.wav", np.full(RATE_HZ, 0.1), RATE_HZ)
    for kind, samples in noises.items():
        soundfile.write(folder / f"{kind}.wav", samples, RATE_HZ, "FLOAT")
        paths = str(folder / "speech.wav"), str(folder / f"{kind}.wav")
        rows.append(MixtureEntry(kind, "train", *paths, snr_db=0, noise_type=kind))
    excerpts = ExcerptSampler(rows, RATE_HZ, folder / "decoded")
    return NoiseScenes(excerpts, Babble(excerpts, Rooms(folder / "none", RATE_HZ), SAMPLES, RATE_HZ), SAMPLES, RATE_HZ)


@pytest.fixture
def hiss() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(3 * SAMPLES)


@pytest.fixture
def click() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(RATE_HZ // 8)


def drawn(found: NoiseScenes, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [found.draw(rng) for _ in range(count)]


def only(monkeypatch: pytest.MonkeyPatch, **shares: float) -> None:
    """Switch off all that is drawn by a share, but for `shares`."""
    names = [
        name
        for name in vars(noise_scenes)
        if name.endswith("_SHARE") and isinstance(getattr(noise_scenes, name), float)
    ]
    for name in names:
        monkeypatch.setattr(noise_scenes, name, shares.get(name, 0.0))


def burstiness(noise: np.ndarray) -> float:
    """Return by how many dB the loudest tenth of blocks of 20 ms is above their median."""
    power = np.square(noise[: len(noise) // 160 * 160].reshape(-1, 160)).mean(1) + 1e-9
    return float(10 * np.log10(np.quantile(power, 0.9) / np.median(power)))


def test_noise_is_as_long_as_a_segment_and_at_unit_power(hiss: np.ndarray, click: np.ndarray, tmp_path: Path) -> None:
    for noise in drawn(scenes(tmp_path, {"hiss": hiss, "click": click}), 100):
        assert noise.shape == (SAMPLES,)
        assert noise.dtype == np.float32
        assert np.square(noise).mean() == pytest.approx(1, rel=1e-3)


def test_draws_depend_on_the_generator_only(hiss: np.ndarray, click: np.ndarray, tmp_path: Path) -> None:
    first, again = (scenes(tmp_path, {"hiss": hiss, "click": click}) for _ in range(2))
    drawn(first, 3)
    np.testing.assert_array_equal(drawn(first, 20), drawn(again, 20))


def test_steady_noise_stays_steady(hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    assert max(map(burstiness, drawn(scenes(tmp_path, {"hiss": hiss}), 20))) < 2


def test_short_noise_comes_and_goes_over_a_steady_one(
    hiss: np.ndarray, click: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch)
    monkeypatch.setattr(noise_scenes, "BED_DB", (-30.0, -30.0))
    found = scenes(tmp_path, {"hiss": hiss, "click": np.tile(click, 2)})
    bursts = [noise for noise in drawn(found, 120) if burstiness(noise) > 2 or np.square(noise).max() > 30]
    assert len(bursts) > 10
    for noise in bursts:
        power = np.square(noise.reshape(-1, 160)).mean(1)
        assert power.min() > 0  # the bed
        assert power.max() > 100 * power.min()


def test_short_noise_alone_is_looped_in_its_share(
    click: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, LOOPED_SHARE=1.0)
    period = 160 * -(-len(click) // 160)  # whole blocks
    for noise in drawn(scenes(tmp_path, {"click": click}), 5):
        np.testing.assert_allclose(noise[:period], noise[period : 2 * period])


def test_bursts_stand_out_of_steady_noise(hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, EVENTS_SHARE=1.0)
    monkeypatch.setattr(noise_scenes, "EVENTS_DB", (20.0, 20.0))
    found = scenes(tmp_path, {"hiss": hiss, "hum": hiss[::-1]})
    powers = [10 * np.log10(np.square(noise.reshape(-1, 160)).mean(1)) for noise in drawn(found, 40)]
    assert np.mean([power.max() - power.min() > 12 for power in powers]) > 0.9  # a few begin as the segment ends


def test_a_recording_at_another_speed_has_another_pitch() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE_HZ) / RATE_HZ).astype(np.float32)
    rng = np.random.default_rng(0)
    pitches = []
    for _ in range(50):
        played = at_some_speed(lambda n: tone[:n], RATE_HZ, RATE_HZ, 0.5, (0.5, 2.0), rng)
        assert abs(len(played) - RATE_HZ) <= 2
        pitches.append(np.argmax(np.abs(np.fft.rfft(played, RATE_HZ))))
    assert 450 < min(pitches) < 800
    assert 1300 < max(pitches) < 2050
    assert 10 < sum(pitch == 1000 for pitch in pitches) < 40


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_fading_what_is_shorter_than_the_fades(length: int) -> None:
    assert len(faded(np.ones(length, np.float32), 4)) == length


@pytest.mark.parametrize("share", ["SYNTHETIC_SHARE", "SYNTHETIC_BURSTS_SHARE"])
def test_synthetic_events_stand_out_of_steady_noise(
    share: str, hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, **{share: 1.0, "EVENTS_SHARE": float(share == "SYNTHETIC_BURSTS_SHARE")})
    monkeypatch.setattr(noise_scenes, "EVENTS_DB", (20.0, 20.0))
    monkeypatch.setattr(noise_scenes, "BED_DB", (-20.0, -20.0))
    found = drawn(scenes(tmp_path, {"hiss": hiss}), 60)
    powers = [10 * np.log10(np.square(noise.reshape(-1, 160)).mean(axis=1)) for noise in found]
    assert np.mean([power.max() - power.min() > 12 for power in powers]) > 0.7  # some go on for the whole segment


def test_crossed_sounds_keep_the_rhythm_of_one_of_them(
    hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, CROSSED_SHARE=1.0)
    monkeypatch.setattr(cross_synthesis, "SMOOTHING_SECONDS", (0.02, 0.02))
    beats = hiss * np.where(np.arange(len(hiss)) // 2000 % 2, 1, 0.03)
    assert min(map(burstiness, drawn(scenes(tmp_path, {"beats": beats}), 10))) > 2


def test_the_level_of_steady_noise_fluctuates(
    hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, FLUCTUATING_SHARE=1.0)
    monkeypatch.setattr(noise_scenes, "FLUCTUATIONS_HZ", (6.0, 6.0))
    monkeypatch.setattr(noise_scenes, "FLUCTUATIONS_DB", (8.0, 8.0))
    assert min(map(burstiness, drawn(scenes(tmp_path, {"hiss": hiss}), 20))) > 2


def test_resonances_change_the_spectrum(hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spreads = []
    for share in (0.0, 1.0):
        only(monkeypatch, RESONANT_SHARE=share)
        bands = [
            np.square(np.abs(np.fft.rfft(noise)))[1:].reshape(40, -1).mean(axis=1)
            for noise in drawn(scenes(tmp_path, {"hiss": hiss}), 20)
        ]
        spreads.append(np.log(bands).std())
    assert spreads[1] > 2 * spreads[0]


def test_babble_is_of_the_speech_of_many_speakers(
    hiss: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, BABBLE_SHARE=1.0)
    found = scenes(tmp_path, {"hiss": hiss})  # of one speaker, whose samples are constant
    assert min(noise.std() for noise in drawn(found, 5)) > 0.9
    for name, value in {"LEAST_SPEAKERS": 1, "ROOM_SHARE": 0.0, "SPEED_SHARE": 0.0}.items():
        monkeypatch.setattr(babble, name, value)
    np.testing.assert_allclose(drawn(found, 5), 1, rtol=1e-5)
    monkeypatch.setattr(babble, "ROOM_SHARE", 1.0)
    for noise in drawn(found, 5):
        assert noise.shape == (SAMPLES,)
        assert np.square(noise).mean() == pytest.approx(1, rel=1e-3)
        assert noise.std() > 0.01
