"""Audio files: what is written comes back, and every kind of damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio import files as audio
from deepnmf.audio.formats import encoding_for
from deepnmf.audio.reader import AudioReader
from deepnmf.audio.writer import AudioWriter
from deepnmf.errors import DeepnmfError

RATE = 16000


def noise(channels: int = 1, samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        (".wav", "PCM_16", 2**-15),
        (".wav", "PCM_U8", 2**-7),
        (".wav", "PCM_24", 2**-23),
        (".wav", "FLOAT", 0),
        (".wav", "DOUBLE", 0),
        (".flac", "PCM_24", 2**-23),
        (".aiff", "PCM_16", 2**-15),
        (".w64", "PCM_16", 2**-15),
    ],
)
def test_written_samples_come_back_within_half_a_step(tmp_path: Path, suffix: str, subtype: str, step: float) -> None:
    path = tmp_path / f"x{suffix}"
    samples = noise(2)
    audio.write(path, samples, RATE, subtype)
    found, rate_hz = audio.read(path)
    assert rate_hz == RATE
    assert soundfile.info(str(path)).subtype == subtype
    assert np.abs(found - samples).max() <= step / 2 + 1e-8
    audio.write(tmp_path / f"again{suffix}", found, RATE, subtype)
    assert np.array_equal(audio.read(tmp_path / f"again{suffix}")[0], found)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus"])
def test_lossy_formats_keep_the_length(tmp_path: Path, suffix: str) -> None:
    audio.write(tmp_path / f"x{suffix}", noise(), RATE)
    assert audio.read(tmp_path / f"x{suffix}")[0].shape == (1, RATE)


def test_samples_above_full_scale_are_clipped_not_wrapped(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", np.array([[1.5, -1.5, 1.0]], np.float32), RATE)
    assert audio.read(tmp_path / "x.wav")[0].tolist() == [[32767 / 32768, -1, 32767 / 32768]]


def test_blocks_join_to_the_whole_and_parts_can_be_read(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(2), RATE, "FLOAT")
    with AudioReader(tmp_path / "x.wav") as reader:
        joined = np.concatenate(list(reader.blocks(0.0137)), axis=1)
    with AudioReader(tmp_path / "x.wav") as reader:
        part = np.concatenate(list(reader.blocks(0.1, start=100, stop=5000)), axis=1)
    assert np.array_equal(joined, noise(2))
    assert np.array_equal(part, noise(2)[:, 100:5000])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".au", ".caf", ".w64", ".mp3", ".ogg", ".opus"])
def test_a_file_cut_in_half_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    audio.write(path, noise(samples=4 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DeepnmfError, match=r"truncated|not readable|no samples"):
        audio.read(path)


def test_a_wav_header_of_unknown_length_is_not_taken_for_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    audio.write(path, noise(), RATE)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"  # what ffmpeg writes into a pipe
    path.write_bytes(data)
    assert audio.read(path)[0].shape == (1, RATE)


def test_a_growing_file_is_read_to_the_length_it_had(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    audio.write(path, noise(), RATE)
    with AudioReader(path) as reader:
        blocks = reader.blocks(0.1)
        first = next(blocks)
        with path.open("ab") as file:
            file.write(bytes(RATE))
        assert first.shape[1] + sum(block.shape[1] for block in blocks) == RATE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused_with_their_place(tmp_path: Path, bad: float) -> None:
    samples = noise()
    samples[0, RATE // 2] = bad
    soundfile.write(tmp_path / "x.wav", samples.T, RATE, "FLOAT")
    with pytest.raises(DeepnmfError, match=r"NaN or infinite samples, the first at 0\.500 s"):
        audio.read(tmp_path / "x.wav")


@pytest.mark.parametrize(("level", "rate_hz", "fault"), [(1e30, RATE, "full scale"), (0.1, 1, "sampling rate")])
def test_absurd_levels_and_rates_are_refused_with_the_file(
    tmp_path: Path, level: float, rate_hz: int, fault: str
) -> None:
    soundfile.write(tmp_path / "x.wav", level * noise().T, rate_hz, "FLOAT")
    with pytest.raises(DeepnmfError, match=rf"x\.wav: .*{fault}"):
        audio.read(tmp_path / "x.wav")


def test_files_that_are_no_audio_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), RATE)
    for name, fault in {
        "text.wav": "not readable as audio",
        "empty.wav": "empty",
        "folder.wav": "a folder",
        "none.wav": "no samples",
        "missing.wav": "no such file",
    }.items():
        with pytest.raises(DeepnmfError, match=fault) as raised:
            audio.read(tmp_path / name)
        assert str(raised.value).startswith(str(tmp_path / name))
        assert "\n" not in str(raised.value)


def test_impossible_encodings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"shape \(channels, samples\)"):
        audio.write(tmp_path / "x.wav", noise()[0], RATE)
    with pytest.raises(DeepnmfError, match="unknown audio format"):
        audio.write(tmp_path / "x.docx", noise(), RATE)
    with pytest.raises(DeepnmfError, match="FLAC cannot hold subtype 'FLOAT'"):
        audio.write(tmp_path / "x.flac", noise(), RATE, "FLOAT")
    assert not list(tmp_path.iterdir())


def test_wav_files_beyond_four_gigabytes_become_rf64(tmp_path: Path) -> None:
    hours = 3600 * 96000
    assert encoding_for(tmp_path / "x.wav", 96000, 2, 4 * hours, subtype="PCM_24").container == "RF64"
    assert encoding_for(tmp_path / "x.wav", 96000, 2, hours, subtype="PCM_24").container == "WAV"


def test_a_stream_that_outgrows_wav_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepnmf.audio.formats.LARGEST_WAV_BYTES", 4 * RATE)
    encoding = encoding_for(tmp_path / "x.wav", RATE, 1, None, subtype="PCM_16")
    with AudioWriter(tmp_path / "x.wav", encoding) as writer:
        writer.write(noise())
        with pytest.raises(DeepnmfError, match=r"more than 4 GB"):
            writer.write(noise(samples=2 * RATE))


def test_find_audio_leaves_out_what_is_not_audio(tmp_path: Path) -> None:
    for name in ("b.wav", "a/ü x.FLAC", ".b-12.part.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "dir.wav").mkdir()
    assert audio.find_audio(tmp_path) == [tmp_path / "a/ü x.FLAC", tmp_path / "b.wav"]
    with pytest.raises(DeepnmfError, match="no audio files"):
        audio.find_audio(tmp_path / "dir.wav")


def test_read_mono_averages_channels_and_resamples(tmp_path: Path) -> None:
    seconds = np.arange(48000) / 48000
    tone = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    audio.write(tmp_path / "x.wav", np.stack([tone, np.zeros_like(tone)]), 48000, "FLOAT")
    mono = audio.read_mono(tmp_path / "x.wav", 16000)
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(mono - expected)[100:-100].max() < 1e-4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_not_written(tmp_path: Path, value: float) -> None:
    samples = np.array([[0.1, value, 0.2]], np.float32)
    for subtype in ("PCM_16", "FLOAT"):
        with pytest.raises(DeepnmfError, match="NaN"):
            audio.write(tmp_path / "x.wav", samples, 16000, subtype)
    assert not list(tmp_path.iterdir())


def test_an_input_that_cannot_be_opened_is_not_called_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.write(tmp_path / "x.wav", np.zeros((1, 100), np.float32), 16000)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DeepnmfError, match=r"x\.wav: cannot read \(Permission denied\)"):
        audio.read(tmp_path / "x.wav")
