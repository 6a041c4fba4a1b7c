"""Excerpts of recordings: from where they should be, of one speaker, within memory, past what cannot be read."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.data import excerpts
from deepnmf.data.excerpts import Excerpts
from deepnmf.data.manifest import MixtureEntry
from deepnmf.errors import DeepnmfError

RATE_HZ = 8000
STEP = 1e-4
"""Of a ramp, by whose values a sample's place in its recording is known; 16-bit floats tell some steps apart."""


def ramp(seconds: float = 1.0) -> np.ndarray:
    return STEP * np.arange(1, 1 + int(seconds * RATE_HZ))


def constant(value: float, seconds: float) -> np.ndarray:
    return np.full(int(seconds * RATE_HZ), value)


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> str:
    soundfile.write(path, samples, rate_hz, "FLOAT")
    return str(path)


def rows(speech: dict[str, str], noise: dict[str, str]) -> list[MixtureEntry]:
    """Return mixtures of each speech file (with its speaker) and each noise file (with its type)."""
    return [
        MixtureEntry(f"{s}-{n}", "train", s, n, snr_db=0, speaker=speaker, noise_type=kind)
        for (s, speaker), (n, kind) in itertools.product(speech.items(), noise.items())
    ]


def of_speech(paths: dict[str, str]) -> Excerpts:
    return Excerpts(rows(paths, {"unused.wav": ""}), RATE_HZ)


def of_noise(tmp_path: Path, paths: dict[str, str]) -> Excerpts:
    return Excerpts(rows({write(tmp_path / "speech.wav", ramp()): ""}, paths), RATE_HZ)


def drawn(found: Excerpts, kind: str, samples: int, count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return [found.noise(samples, rng) for _ in range(count)]
    return [found.speech(samples, RATE_HZ // 2, rng) for _ in range(count)]


def test_an_excerpt_is_consecutive_and_starts_anywhere(tmp_path: Path) -> None:
    found = drawn(of_speech({write(tmp_path / "a.wav", ramp()): "a"}), "speech", 1000, 200)
    for excerpt in found:
        assert excerpt.shape == (1000,)
        assert excerpt.dtype == np.float32
        np.testing.assert_allclose(excerpt - excerpt[0], STEP * np.arange(1000), atol=1e-3)
    starts = np.array([excerpt[0] for excerpt in found]) / STEP
    assert starts.min() < 500
    assert 6500 < starts.max() <= 7001 * 1.001
    assert 3000 < starts.mean() < 4000


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2 * RATE_HZ, 11025])
def test_long_recordings_are_read_in_part_and_give_the_same_excerpts(
    rate_hz: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = ramp()[-1] * np.arange(1, 1 + rate_hz) / rate_hz  # the same second at another rate
    paths = {write(tmp_path / "a.wav", np.stack([0.5 * slow, 1.5 * slow], axis=1), rate_hz): "a"}
    held = drawn(of_speech(paths), "speech", 1000, 20)
    monkeypatch.setattr(excerpts, "LONGEST_HELD_SECONDS", 0.5)
    found = of_speech(paths)
    for whole, part in zip(held, drawn(found, "speech", 1000, 20), strict=True):
        assert part.shape == (1000,)
        inner = slice(50, -50)  # away from the ends, where resampling rings
        np.testing.assert_allclose(part[inner], whole[inner], atol=3 * STEP + 1e-3)
    assert not found._held


def test_utterances_of_one_speaker_follow_each_other_with_pauses(tmp_path: Path) -> None:
    speakers = {"a": (0.25, 0.5), "b": (0.625, 0.75)}
    paths = {
        write(tmp_path / f"{value}.wav", constant(value, 0.2)): speaker
        for speaker, values in speakers.items()
        for value in values
    }
    heard = [set(np.unique(excerpt).tolist()) for excerpt in drawn(of_speech(paths), "speech", 2 * RATE_HZ, 40)]
    assert all(any(values <= {0.0, *own} for own in speakers.values()) for values in heard)
    assert {value for values in heard for value in values} == {0.0, 0.25, 0.5, 0.625, 0.75}


def test_without_speakers_an_utterance_follows_itself(tmp_path: Path) -> None:
    paths = {write(tmp_path / f"{value}.wav", constant(value, 0.2)): "" for value in (0.25, 0.5)}
    for excerpt in drawn(of_speech(paths), "speech", RATE_HZ, 20):
        assert len(set(np.unique(excerpt).tolist()) - {0.0}) == 1


def test_speech_is_drawn_by_its_length_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {write(tmp_path / f"{v}.wav", constant(v, seconds)): "" for v, seconds in ((0.25, 0.5), (0.5, 1.5))}
    longer = np.mean([excerpt[0] == 0.5 for excerpt in drawn(of_speech(paths), "speech", 10, 400)])
    assert 0.68 < longer < 0.82
    monkeypatch.setattr(excerpts, "WEIGHT_SECONDS", 0.5)
    assert 0.43 < np.mean([excerpt[0] == 0.5 for excerpt in drawn(of_speech(paths), "speech", 10, 400)]) < 0.57


def test_types_of_noise_are_as_likely_however_many_recordings_they_have(tmp_path: Path) -> None:
    many = {write(tmp_path / f"{index}.wav", constant(0.25, 0.1)): "many" for index in range(9)}
    found = of_noise(tmp_path, {**many, write(tmp_path / "one.wav", constant(0.5, 0.1)): "one"})
    assert 0.43 < np.mean([excerpt[0] == 0.5 for excerpt in drawn(found, "noise", 10, 400)]) < 0.57


def test_short_noise_goes_round_without_its_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "n.wav", np.concatenate([constant(0.25, 0.1), constant(0.0, 0.5), constant(0.5, 0.1)]))
    (found,) = drawn(of_noise(tmp_path, {path: ""}), "noise", 2 * RATE_HZ, 1)
    np.testing.assert_array_equal(found, np.tile(np.repeat(np.float32([0.25, 0.5]), 800), 10))


def test_silent_noise_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "n.wav", constant(0.0, 1.0))
    with pytest.raises(DeepnmfError, match=r"n\.wav: the noise is silent"):
        drawn(of_noise(tmp_path, {path: ""}), "noise", 100, 1)


@pytest.mark.parametrize("longest", [60.0, 0.5])
def test_the_noise_of_a_pair_is_the_difference(longest: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "LONGEST_HELD_SECONDS", longest)
    clean = write(tmp_path / "clean.wav", ramp())
    noisy = write(tmp_path / "noisy.wav", ramp() + constant(0.25, 1.0))
    (found,) = drawn(Excerpts([MixtureEntry("p", "train", clean, noisy=noisy)], RATE_HZ), "noise", 1000, 1)
    np.testing.assert_allclose(found, 0.25, atol=1e-4)
    short = write(tmp_path / "short.wav", ramp(0.9))
    unequal = Excerpts([MixtureEntry("p", "train", short, noisy=noisy)], RATE_HZ)
    with pytest.raises(DeepnmfError, match=r"noisy\.wav: not as long as its clean file .*short\.wav"):
        drawn(unequal, "noise", 1000, 1)


def test_memory_is_bounded_and_the_excerpts_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {write(tmp_path / f"{index}.wav", ramp()[::-1] / (1 + index)): "" for index in range(5)}
    unbounded = of_speech(paths)
    expected = drawn(unbounded, "speech", 500, 40)
    assert len(unbounded._held) == 5
    recording = next(iter(unbounded._held.values())).nbytes
    monkeypatch.setattr(excerpts, "HELD_BYTES", 2 * recording + 10)
    bounded = of_speech(paths)
    np.testing.assert_array_equal(drawn(bounded, "speech", 500, 40), expected)
    assert len(bounded._held) == 2


def test_speech_that_cannot_be_read_is_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    bad, good = str(tmp_path / "bad.wav"), write(tmp_path / "good.wav", ramp())
    assert len(drawn(of_speech({bad: "a", good: "b"}), "speech", 100, 50)) == 50
    with pytest.raises(DeepnmfError, match=r"bad\.wav: cannot be read, nor can any other recording of speech"):
        of_speech({bad: "a", str(tmp_path / "gone.wav"): "b"})
