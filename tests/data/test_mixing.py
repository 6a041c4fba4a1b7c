"""Mixing: the SNR asked for, the parts that add up, and clear words for what cannot be mixed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.audio.files import read_mono
from deepnmf.data import recordings
from deepnmf.data.manifest import MixtureEntry
from deepnmf.data.mixing import PEAK, Mixture, load_mixture
from deepnmf.data.recordings import without_silence
from deepnmf.errors import DeepnmfError
from helpers.signals import TinyCorpus

RATE_HZ = 16000


def snr_db(mixture: Mixture) -> float:
    speech, noise = (np.square(x, dtype=np.float64).sum() for x in (mixture.speech, mixture.noise))
    return float(10 * np.log10(speech / noise))


def signals(seed: int, loudness: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    speech, noise = np.random.default_rng(seed).standard_normal((2, 4000)).astype(np.float32)
    return speech * np.float32(loudness), noise


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> Mixture:
    """Mix signals ``(samples,)`` as those of a manifest are: from files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{name}.wav") for name in ("speech", "noise")}
        for path, samples in zip(paths.values(), (speech, noise), strict=True):
            soundfile.write(path, samples, RATE_HZ, "FLOAT")
        return load_mixture(MixtureEntry(id="x", split="train", snr_db=snr_db, **paths), RATE_HZ)


@given(seed=st.integers(0, 99), wanted=st.floats(-20, 30), loudness=st.floats(1e-3, 3))
def test_the_snr_is_the_one_asked_for_and_the_parts_add_up(seed: int, wanted: float, loudness: float) -> None:
    mixture = mix(*signals(seed, loudness), wanted)
    assert snr_db(mixture) == pytest.approx(wanted, abs=1e-3)
    assert np.allclose(mixture.noisy, mixture.speech + mixture.noise, atol=1e-6)
    assert np.abs(mixture.noisy).max() <= PEAK * (1 + 1e-6)
    assert all(x.dtype == np.float32 for x in (mixture.noisy, mixture.speech, mixture.noise))


def test_speech_is_left_as_it_is_unless_the_mixture_would_clip() -> None:
    speech, noise = signals(0, 0.01)
    assert np.array_equal(mix(speech, noise, 0.0).speech, speech)
    loud = mix(100 * speech, noise, 0.0)
    assert np.abs(loud.noisy).max() == pytest.approx(PEAK)
    assert np.allclose(loud.speech / loud.speech[0], speech / speech[0], rtol=1e-4)


def row_of(corpus: TinyCorpus, **values: object) -> MixtureEntry:
    row = {"noise": str(corpus.noise / "hum" / "hum.wav"), "snr_db": 3.0, **values}
    return MixtureEntry(id="x", split="train", speech=str(corpus.speech / "speaker0" / "clip0.wav"), **row)  # type: ignore[arg-type]


def test_a_manifest_row_is_mixed(tiny_corpus: TinyCorpus) -> None:
    mixture = load_mixture(row_of(tiny_corpus), RATE_HZ)
    speech = read_mono(tiny_corpus.speech / "speaker0" / "clip0.wav", RATE_HZ)
    assert np.array_equal(mixture.speech, speech)
    assert mixture.noisy.shape == mixture.noise.shape == speech.shape
    assert snr_db(mixture) == pytest.approx(3, abs=1e-3)
    assert mixture.rate_hz == RATE_HZ


@pytest.mark.parametrize("start", [0.0, 0.5, 0.9, 1.0])
def test_the_excerpt_starts_where_the_row_says_and_wraps(tiny_corpus: TinyCorpus, start: float) -> None:
    noise = read_mono(tiny_corpus.noise / "hum" / "hum.wav", RATE_HZ)
    mixture = load_mixture(row_of(tiny_corpus, noise_start=start), RATE_HZ)
    expected = np.roll(noise, -int(start * len(noise)))[: len(mixture.noise)]
    assert np.allclose(mixture.noise / np.linalg.norm(mixture.noise), expected / np.linalg.norm(expected), atol=1e-6)


def test_another_rate_keeps_the_snr(tiny_corpus: TinyCorpus) -> None:
    mixture = load_mixture(row_of(tiny_corpus), 8000)
    assert mixture.rate_hz == 8000
    assert len(mixture.noisy) == 12000
    assert snr_db(mixture) == pytest.approx(3, abs=1e-3)


def test_a_recorded_pair_gives_its_noise_by_difference(tmp_path: Path) -> None:
    speech, noise = (0.1 * x for x in signals(1, 1.0))
    for name, samples in (("s", speech), ("m", speech + noise)):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE_HZ, "FLOAT")
    row = MixtureEntry(id="p", split="test", speech=str(tmp_path / "s.wav"), noisy=str(tmp_path / "m.wav"))
    mixture = load_mixture(row, RATE_HZ)
    assert np.allclose(mixture.noise, noise, atol=1e-6)
    assert np.array_equal(mixture.noisy - mixture.speech, mixture.noise)


def test_a_pair_of_different_lengths_is_refused(tmp_path: Path) -> None:
    for name, length in (("s", 100), ("m", 101)):
        soundfile.write(tmp_path / f"{name}.wav", np.ones(length) / 2, RATE_HZ)
    row = MixtureEntry(id="p", split="test", speech=str(tmp_path / "s.wav"), noisy=str(tmp_path / "m.wav"))
    with pytest.raises(DeepnmfError, match=r"m\.wav: 101 samples, but its clean file .*s\.wav has 100"):
        load_mixture(row, RATE_HZ)


@pytest.mark.parametrize("silent", ["speech", "noise"])
def test_silence_cannot_be_mixed(tiny_corpus: TinyCorpus, tmp_path: Path, silent: str) -> None:
    soundfile.write(tmp_path / "zeros.wav", np.zeros(8000), RATE_HZ)
    paths = {
        "speech": row_of(tiny_corpus).speech,
        "noise": row_of(tiny_corpus).noise,
        silent: str(tmp_path / "zeros.wav"),
    }
    with pytest.raises(DeepnmfError, match=rf"zeros\.wav: the {silent} is silent"):
        load_mixture(MixtureEntry(id="x", split="train", snr_db=0.0, **paths), RATE_HZ)  # type: ignore[arg-type]


def test_a_missing_file_is_named(tiny_corpus: TinyCorpus) -> None:
    with pytest.raises(DeepnmfError, match=r"none\.wav: no such file"):
        load_mixture(row_of(tiny_corpus, noise="/none.wav"), RATE_HZ)


def test_digital_silence_is_cut_out_of_noise() -> None:
    block = int(0.02 * RATE_HZ)
    sound = np.random.default_rng(0).standard_normal(2 * block).astype(np.float32)
    padded = np.concatenate([np.zeros(3 * block), sound[:block], np.zeros(5 * block), sound[block:], np.zeros(7)])
    assert np.array_equal(without_silence(padded.astype(np.float32), RATE_HZ), sound)
    assert without_silence(np.zeros(1000, np.float32), RATE_HZ).size == 0
    assert without_silence(np.zeros(0, np.float32), RATE_HZ).size == 0


def test_quiet_parts_of_noise_are_kept() -> None:
    sound = np.random.default_rng(0).standard_normal(3200).astype(np.float32)
    sound[1600:] *= np.float32(0.003)
    assert len(without_silence(sound, RATE_HZ)) == 3200


def long_noise(seconds: float) -> np.ndarray:
    """Return noise with a stretch of digital silence in every second."""
    sound = np.random.default_rng(1).standard_normal(int(seconds * RATE_HZ)).astype(np.float32) / 10
    sound[np.arange(len(sound)) % RATE_HZ < 3333] = 0
    return sound


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
@pytest.mark.parametrize("noise_seconds", [0.3, 5.7, 30.0])
def test_long_recordings_are_mixed_in_blocks_as_short_ones_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int, noise_seconds: float
) -> None:
    speech = np.random.default_rng(0).standard_normal(9 * RATE_HZ).astype(np.float32) / 5
    noise = long_noise(noise_seconds)
    for name, samples in (("s", speech), ("n", noise)):
        soundfile.write(tmp_path / f"{name}.wav", samples, rate_hz, "FLOAT")
    entry = MixtureEntry("x", "train", str(tmp_path / "s.wav"), str(tmp_path / "n.wav"), snr_db=-3.0, noise_start=0.7)
    held = load_mixture(entry, RATE_HZ)
    monkeypatch.setattr(recordings, "HELD_SECONDS", 0.0)
    streamed = load_mixture(entry, RATE_HZ)
    np.testing.assert_array_equal(streamed.noisy, held.noisy)
    speech, noise = (read_mono(tmp_path / f"{name}.wav", RATE_HZ) for name in "sn")
    active = without_silence(noise, RATE_HZ)
    excerpt = np.take(active, np.arange(len(speech)) + int(0.7 * len(active)), mode="wrap")
    louder = excerpt * 10 ** (3 / 20)
    expected = speech + louder * np.sqrt(np.square(speech, dtype=float).sum() / np.square(excerpt, dtype=float).sum())
    expected *= min(1, PEAK / np.abs(expected).max())
    np.testing.assert_allclose(held.noisy, expected, atol=1e-6)
    assert snr_db(held) == pytest.approx(-3, abs=1e-3)


@pytest.mark.parametrize("silent", ["clean", "noisy"])
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-7])
def test_a_silent_side_of_a_pair_is_refused_by_name(tmp_path: Path, silent: str, level: float) -> None:
    for name in ("clean", "noisy"):
        samples = signals(0)[0] if name != silent else level * signals(0)[0]
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE_HZ, "FLOAT")
    entry = MixtureEntry("p", "dev", str(tmp_path / "clean.wav"), noisy=str(tmp_path / "noisy.wav"))
    with pytest.raises(DeepnmfError, match=rf"{silent}\.wav.*silent"):
        load_mixture(entry, RATE_HZ)


@pytest.mark.parametrize("loud", ["clean", "noisy"])
def test_samples_that_are_no_audio_are_refused_by_name(tmp_path: Path, loud: str) -> None:
    for name in ("clean", "noisy"):
        soundfile.write(tmp_path / f"{name}.wav", (1e30 if name == loud else 1) * signals(0)[0], RATE_HZ, "FLOAT")
    entry = MixtureEntry("p", "dev", str(tmp_path / "clean.wav"), noisy=str(tmp_path / "noisy.wav"))
    with pytest.raises(DeepnmfError, match=rf"{loud}\.wav.*full scale"):
        load_mixture(entry, RATE_HZ)


@pytest.mark.parametrize("loudness", [1e5, 1e-12])
def test_noise_of_any_level_is_mixed(tiny_corpus: TinyCorpus, tmp_path: Path, loudness: float) -> None:
    soundfile.write(tmp_path / "n.wav", np.float32(loudness) * signals(1)[1], RATE_HZ, "FLOAT")
    mixture = load_mixture(row_of(tiny_corpus, noise=str(tmp_path / "n.wav")), RATE_HZ)
    assert snr_db(mixture) == pytest.approx(3, abs=1e-3)
