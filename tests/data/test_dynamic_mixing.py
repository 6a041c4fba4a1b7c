"""Fresh mixtures: spectra at unit level, as often clean or without speech as stated, repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio.files import find_audio
from deepnmf.config import FeatureConfig, PrepareConfig, StftSpec
from deepnmf.data import dynamic_mixing
from deepnmf.data.dynamic_mixing import (
    CLEAN_SHARE,
    CLEAN_SNR_DB,
    GOOD_SHARE,
    GOOD_SNR_DB,
    NOISE_ONLY_SHARE,
    SNR_MARGIN_DB,
    DynamicMixtures,
)
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.dsp.level import LevelTracker
from deepnmf.errors import DeepnmfError
from helpers.signals import RATE_HZ, TinyCorpus, noise, voice

CONFIG, PREPARE = FeatureConfig(), PrepareConfig()
FRAMES = 40


def magnitudes(spectra: np.ndarray) -> np.ndarray:
    """Return the magnitudes ``(3, F, N)`` of mixture, speech and noise."""
    mixture, speech = spectra
    return np.abs(np.stack([mixture, speech, mixture - speech]))


def manifest(folder: Path, speech: list[Path], noises: list[Path]) -> Path:
    rows = [
        MixtureEntry(
            f"{s.parent.name}-{s.stem}-{n.stem}",
            "train",
            str(s),
            str(n),
            snr_db=0,
            speaker=s.parent.name,
            noise_type=n.parent.name,
        )
        for s in speech
        for n in noises
    ]
    write_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


@pytest.fixture(scope="module")
def tiny_manifest(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    return manifest(folder, find_audio(tiny_corpus.speech), find_audio(tiny_corpus.noise))


@pytest.fixture(scope="module")
def many(tiny_manifest: Path) -> np.ndarray:
    """Magnitudes of 200 draws ``(draws, 3, F, N)``."""
    return draws(tiny_manifest, 200)


def test_magnitudes_are_those_of_a_sum(many: np.ndarray) -> None:
    m, speech, noises = many.transpose(1, 0, 2, 3)
    slack = 1e-4 * m.max()
    assert (m <= speech + noises + slack).all()
    assert (m >= np.abs(speech - noises) - slack).all()
    assert m.mean() < 0.99 * (speech + noises).mean()  # not a sum of magnitudes


def test_the_mixture_is_at_unit_level(many: np.ndarray) -> None:
    power = np.square(many[:, 0]).mean(axis=1)
    first = power[np.arange(len(power)), np.argmax(power > 1e-2, axis=1)]
    assert np.isclose(first, 1, rtol=1e-3).mean() > 0.98  # of a few there is digital silence only
    assert 0.3 < np.sqrt(power.mean()) < 3


@pytest.mark.parametrize("frames", [3, 31, 300])
@pytest.mark.parametrize("stft", [StftSpec(), StftSpec(rate_hz=8000, fft_size=256, hop_ms=12.5)])
def test_shape(tiny_manifest: Path, frames: int, stft: StftSpec) -> None:
    draw = DynamicMixtures(tiny_manifest, FeatureConfig(stft), PREPARE, frames).draw(np.random.default_rng(0))
    assert draw.shape == (2, stft.bins, frames)
    assert draw.dtype == np.complex64
    assert draw.flags.c_contiguous  # torch would be slow otherwise


def test_draws_depend_on_the_generator_only(tiny_manifest: Path, many: np.ndarray) -> None:
    mixtures = DynamicMixtures(tiny_manifest, CONFIG, PREPARE, FRAMES)
    mixtures.draw(np.random.default_rng(5))
    rng = np.random.default_rng(0)
    for expected in many[:5]:
        np.testing.assert_array_equal(magnitudes(mixtures.draw(rng)), expected)
    assert len({float(draw.sum()) for draw in many}) == len(many)


def plain(monkeypatch: pytest.MonkeyPatch, **shares: float) -> None:
    """Leave out levels, rooms and channels, which move the SNR, but for `shares`."""
    monkeypatch.setattr(LevelTracker, "push", lambda _, m: np.ones(m.shape[1], np.float32))
    names = "ROOM_SHARE", "NOISE_ROOM_SHARE", "BAND_LIMIT_SHARE", "JUMP_SHARE", "CLIPPING_SHARE", "LATE_SHARE"
    for name in names:
        monkeypatch.setattr(dynamic_mixing, name, shares.get(name, 0.0))


def draws(manifest: Path, count: int, frames: int = FRAMES) -> np.ndarray:
    """Return the magnitudes of segments ``(draws, 3, F, N)``."""
    mixtures, rng = DynamicMixtures(manifest, CONFIG, PREPARE, frames), np.random.default_rng(0)
    return np.stack([magnitudes(mixtures.draw(rng)) for _ in range(count)])


def test_shares_are_as_stated(tiny_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch)
    mixtures, rng = DynamicMixtures(tiny_manifest, CONFIG, PREPARE, FRAMES), np.random.default_rng(0)
    powers = np.array([np.square(magnitudes(mixtures.draw(rng))).mean(axis=(1, 2)) for _ in range(600)])
    no_speech = powers[:, 1] == 0
    assert _is_share(no_speech, NOISE_ONLY_SHARE)
    snr_db = 10 * np.log10(powers[~no_speech, 1] / powers[~no_speech, 2])
    low, high = PREPARE.snr_db_low - SNR_MARGIN_DB, PREPARE.snr_db_high + SNR_MARGIN_DB
    usual = 1 - CLEAN_SHARE - GOOD_SHARE
    assert _is_share(snr_db > CLEAN_SNR_DB[0], CLEAN_SHARE)
    assert _is_share((snr_db > high) & (snr_db < GOOD_SNR_DB[1]), GOOD_SHARE)
    assert _is_share(snr_db < (low + high) / 2, usual / 2)
    assert low - 1e-3 < snr_db.min() < low + 1
    assert CLEAN_SNR_DB[1] - 5 < snr_db.max() < CLEAN_SNR_DB[1] + 1e-3


def _is_share(events: np.ndarray, share: float) -> bool:
    return abs(events.mean() - share) < 3.5 * np.sqrt(share * (1 - share) / len(events))


def test_noise_is_heard_before_late_speech(tiny_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch, LATE_SHARE=1.0)
    monkeypatch.setattr(dynamic_mixing, "NOISE_ONLY_SHARE", 0.0)
    _, speech, noises = draws(tiny_manifest, 30, frames=300).transpose(1, 0, 2, 3)
    begins = np.argmax(speech.any(1), axis=1)
    assert 15 < begins.min() < 60
    assert 100 < begins.max() < 180  # 1.5 s, and the silence at the start of an utterance
    assert all(noise[:, :10].any() for noise in noises)


def test_late_reflections_are_to_go(tiny_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch, ROOM_SHARE=1.0)
    monkeypatch.setattr(dynamic_mixing, "NOISE_ONLY_SHARE", 0.0)
    monkeypatch.setattr(dynamic_mixing, "CLEAN_SHARE", 1.0)
    monkeypatch.setattr(dynamic_mixing, "CLEAN_SNR_DB", (11.9, 11.9))
    in_rooms = np.square(draws(tiny_manifest, 30)).mean((2, 3))
    monkeypatch.setattr(dynamic_mixing, "ROOM_SHARE", 0.0)
    outside = np.square(draws(tiny_manifest, 30)).mean((2, 3))
    assert (in_rooms[:, 2] / in_rooms[:, 1]).mean() > 1.1 * (outside[:, 2] / outside[:, 1]).mean()


def test_speech_in_little_noise_keeps_the_room_it_has(tiny_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch, ROOM_SHARE=1.0)
    monkeypatch.setattr(dynamic_mixing, "CLEAN_SHARE", 1.0)
    monkeypatch.setattr(dynamic_mixing, "NOISE_ONLY_SHARE", 0.0)
    powers = np.square(draws(tiny_manifest, 20)).mean((2, 3))
    assert (powers[:, 1] > 900 * powers[:, 2]).all()


def _share_at_the_top(magnitudes: np.ndarray) -> float:
    sums = magnitudes.sum((1, 2))
    return float(np.median(magnitudes[:, -8:].sum((1, 2))[sums > 0] / sums[sums > 0]))


def test_channels_filter_speech_and_noise_alike(tiny_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch)
    before = draws(tiny_manifest, 30)
    plain(monkeypatch, BAND_LIMIT_SHARE=1.0)
    after = draws(tiny_manifest, 30)
    for source in range(2):  # the mixture, and speech where there is any
        tops = [_share_at_the_top(found[:, source]) for found in (before, after)]
        assert tops[1] < 1e-2 * tops[0]


def test_a_manifest_of_pairs_works(tmp_path: Path) -> None:
    rows = []
    for index in range(2):
        clean = 0.3 * voice(150, 800, index)
        soundfile.write(tmp_path / f"clean{index}.wav", clean, RATE_HZ)
        soundfile.write(tmp_path / f"noisy{index}.wav", clean + noise("hiss", index, 1.5), RATE_HZ)
        rows.append(MixtureEntry(f"{index}", "train", f"clean{index}.wav", noisy=f"noisy{index}.wav"))
    write_manifest(tmp_path / "manifest.jsonl", rows)
    mixtures, rng = DynamicMixtures(tmp_path / "manifest.jsonl", CONFIG, PREPARE, FRAMES), np.random.default_rng(0)
    high = []
    for _ in range(20):
        m, speech, noises = magnitudes(mixtures.draw(rng))
        assert noises.any()
        assert (m <= speech + noises + 1e-3 * m.max()).all()
        high.append(noises[129:].mean() / noises.mean())
    assert np.median(high) > 0.5  # hiss alone: the voice, which has next to nothing up there, is not in it


def test_unreadable_and_silent_recordings_are_passed_over(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    speech, noises = find_audio(tiny_corpus.speech)[:2], find_audio(tiny_corpus.noise)[:1]
    bad, silent, gone = tmp_path / "bad.wav", tmp_path / "silent.wav", tmp_path / "gone.wav"
    bad.write_bytes(b"no audio")
    soundfile.write(silent, np.zeros(RATE_HZ), RATE_HZ)
    mixtures = DynamicMixtures(
        manifest(tmp_path, [*speech, bad, silent], [*noises, bad, silent, gone]), CONFIG, PREPARE, FRAMES
    )
    rng = np.random.default_rng(0)
    assert all(np.isfinite(mixtures.draw(rng)).all() for _ in range(20))


@pytest.mark.parametrize(("silent", "reason"), [("speech", "silent"), ("noise", "the noise is silent")])
def test_if_all_are_silent_one_line_says_so(silent: str, reason: str, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    path = tmp_path / "zeros.wav"
    soundfile.write(path, np.zeros(RATE_HZ), RATE_HZ)
    speech, noises = find_audio(tiny_corpus.speech), find_audio(tiny_corpus.noise)
    made = manifest(tmp_path, [path], noises) if silent == "speech" else manifest(tmp_path, speech, [path])
    with pytest.raises(DeepnmfError, match=f"^dynamic mixing .* failed: .*{reason}$") as caught:
        DynamicMixtures(made, CONFIG, PREPARE, FRAMES).draw(np.random.default_rng(0))
    assert "\n" not in str(caught.value)


def test_if_no_noise_can_be_read_one_line_says_so(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    gone = tmp_path / "gone.wav"
    made = manifest(tmp_path, find_audio(tiny_corpus.speech), [gone])
    with pytest.raises(DeepnmfError, match=rf"^no noise can be read: {gone}: no such file$"):
        DynamicMixtures(made, CONFIG, PREPARE, FRAMES)


def test_the_snr_and_the_channels_may_be_given(tiny_manifest: Path) -> None:
    mixtures, colours = DynamicMixtures(tiny_manifest, CONFIG, PREPARE, FRAMES), np.ones((2, 257, 1), np.float32)
    dull = np.stack([colours[0], np.where(np.arange(257) < 100, 1, 1e-4)[:, None]]).astype(np.float32)
    for seed in range(10):
        sources = mixtures.sources(np.random.default_rng(seed))

        def spectra(snr_db: float, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            drawn = mixtures.spectra(sources, np.random.default_rng(seed), snr_db, colours)  # noqa: B023
            _, speech, noise = magnitudes(drawn)
            return speech, noise

        (speech, noise), (more_speech, less_noise) = spectra(14, colours), spectra(34, colours)
        np.testing.assert_allclose(10 * less_noise * speech, noise * more_speech, rtol=1e-3, atol=1e-4)
        noise = spectra(20, dull)[1]
        assert noise[110:].mean() < 1e-2 * noise[:90].mean()


def test_scenes_of_another_length(tiny_manifest: Path) -> None:
    mixtures = DynamicMixtures(tiny_manifest, CONFIG, PREPARE, FRAMES)
    assert mixtures.scenes(7000).draw(np.random.default_rng(0)).shape == (7000,)
