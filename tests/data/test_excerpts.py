"""Excerpts of recordings: from where they should be, of one speaker, rare groups drawn, past what cannot be read."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.data.excerpts import ExcerptSampler
from deepnmf.data.manifest import MixtureEntry
from deepnmf.errors import DeepnmfError

RATE_HZ = 8000
STEP = 1e-4
"""Of a ramp, by whose values a sample's place in its recording is known."""


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


def of_speech(tmp_path: Path, paths: dict[str, str]) -> ExcerptSampler:
    return ExcerptSampler(rows(paths, {write(tmp_path / "noise.wav", ramp()): ""}), RATE_HZ, tmp_path / "decoded")


def of_noise(tmp_path: Path, paths: dict[str, str]) -> ExcerptSampler:
    return ExcerptSampler(rows({write(tmp_path / "speech.wav", ramp()): ""}, paths), RATE_HZ, tmp_path / "decoded")


def drawn(found: ExcerptSampler, kind: str, samples: int, count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return [found.noise(samples, rng) for _ in range(count)]
    return [found.speech(samples, RATE_HZ // 2, rng) for _ in range(count)]


def share(found: list[np.ndarray], value: float) -> float:
    """Return the share of excerpts that begin with a value, of recordings that are constant."""
    return float(np.mean([np.isclose(excerpt[0], value, rtol=1e-3) for excerpt in found]))


def test_an_excerpt_is_consecutive_and_starts_anywhere(tmp_path: Path) -> None:
    found = drawn(of_speech(tmp_path, {write(tmp_path / "a.wav", ramp()): "a"}), "speech", 1000, 200)
    for excerpt in found:
        assert excerpt.shape == (1000,)
        assert excerpt.dtype == np.float32
        np.testing.assert_allclose(excerpt - excerpt[0], STEP * np.arange(1000), atol=STEP)
    starts = np.array([excerpt[0] for excerpt in found]) / STEP
    assert starts.min() < 500
    assert 6500 < starts.max() <= 7002
    assert 3000 < starts.mean() < 4000


def test_draws_depend_on_the_generator_only(tmp_path: Path) -> None:
    paths = {write(tmp_path / f"{index}.wav", ramp(0.3 + index)): f"{index}" for index in range(3)}
    first, again = of_speech(tmp_path, paths), of_speech(tmp_path, paths)
    drawn(first, "speech", 300, 3, seed=5)
    np.testing.assert_array_equal(drawn(first, "speech", 4000, 20), drawn(again, "speech", 4000, 20))


def test_utterances_of_one_speaker_follow_each_other_with_pauses(tmp_path: Path) -> None:
    speakers = {"a": (0.25, 0.5), "b": (0.625, 0.75)}
    paths = {
        write(tmp_path / f"{value}.wav", constant(value, 0.2)): speaker
        for speaker, values in speakers.items()
        for value in values
    }
    found = drawn(of_speech(tmp_path, paths), "speech", 2 * RATE_HZ, 40)
    drawn_values = [set(np.unique(excerpt.round(4)).tolist()) for excerpt in found]
    rounded = {speaker: set(np.float32(values).round(4).tolist()) for speaker, values in speakers.items()}
    assert all(any(values <= {0.0, *own} for own in rounded.values()) for values in drawn_values)
    assert {value for values in drawn_values for value in values} == {0.0}.union(*rounded.values())


def test_without_speakers_an_utterance_follows_itself(tmp_path: Path) -> None:
    paths = {write(tmp_path / f"{value}.wav", constant(value, 0.2)): "" for value in (0.25, 0.5)}
    for excerpt in drawn(of_speech(tmp_path, paths), "speech", RATE_HZ, 20):
        assert len(set(np.unique(excerpt).tolist()) - {0.0}) == 1


def test_a_longer_utterance_of_a_speaker_is_more_likely(tmp_path: Path) -> None:
    paths = {write(tmp_path / f"{v}.wav", constant(v, seconds)): "a" for v, seconds in ((0.25, 0.5), (0.5, 1.5))}
    assert 0.68 < share(drawn(of_speech(tmp_path, paths), "speech", 10, 400), 0.5) < 0.82


@pytest.mark.parametrize("kind", ["speech", "noise"])
def test_groups_are_drawn_by_the_square_root_of_their_length(kind: str, tmp_path: Path) -> None:
    much = {write(tmp_path / f"{index}.wav", constant(0.25, 0.1)): "much" for index in range(9)}
    paths = {**much, write(tmp_path / "one.wav", constant(0.5, 0.1)): "little"}
    found = of_speech(tmp_path, paths) if kind == "speech" else of_noise(tmp_path, paths)
    assert 0.18 < share(drawn(found, kind, 10, 400), 0.5) < 0.32  # 1 to 3


def test_short_noise_comes_without_its_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "n.wav", np.concatenate([constant(0.25, 0.1), constant(0.0, 0.5), constant(0.5, 0.1)]))
    (found,) = drawn(of_noise(tmp_path, {path: ""}), "noise", 2 * RATE_HZ, 1)
    np.testing.assert_allclose(found, np.repeat([0.25, 0.5], 800), rtol=1e-4)


def test_silent_noise_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "n.wav", constant(0.0, 1.0))
    with pytest.raises(DeepnmfError, match=r"n\.wav: the noise is silent"):
        drawn(of_noise(tmp_path, {path: ""}), "noise", 100, 1)


def test_the_noise_of_a_pair_is_the_difference(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean.wav", ramp())
    noisy = write(tmp_path / "noisy.wav", ramp() + constant(0.25, 1.0))
    pair = ExcerptSampler([MixtureEntry("p", "train", clean, noisy=noisy)], RATE_HZ, tmp_path)
    np.testing.assert_allclose(pair.noise(1000, np.random.default_rng(0)), 0.25, atol=1e-4)


@pytest.mark.parametrize("kind", ["speech", "noise"])
def test_what_cannot_be_read_is_not_drawn(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    bad, good = str(tmp_path / "bad.wav"), write(tmp_path / "good.wav", ramp())
    opened = of_speech if kind == "speech" else of_noise
    assert len(drawn(opened(tmp_path, {bad: "a", good: "b"}), kind, 100, 50)) == 50
    with pytest.raises(DeepnmfError, match=rf"^no {kind} can be read: .*bad\.wav"):
        opened(tmp_path, {bad: "a", str(tmp_path / "gone.wav"): "b"})


def test_voices_at_once_are_of_different_speakers(tmp_path: Path) -> None:
    values = {0.25: "a", 0.5: "b", 0.625: "c"}
    paths = {write(tmp_path / f"{v}.wav", constant(v, 0.5)): speaker for v, speaker in values.items()}
    sampler, rng = of_speech(tmp_path, paths), np.random.default_rng(0)
    for _ in range(20):
        voices = sampler.voices([100, 2 * RATE_HZ], 10, rng)
        assert [len(voice) for voice in voices] == [100, 2 * RATE_HZ]
        assert voices[0].max() != pytest.approx(voices[1].max(), abs=1e-3)
    with pytest.raises(DeepnmfError, match="speakers"):
        sampler.voices([10] * 4, 10, rng)
