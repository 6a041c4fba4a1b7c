"""WAV and raw samples through stdin: read as they arrive, with the same result as from a file."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio.files import read
from deepnmf.audio.formats import AudioFormat
from deepnmf.audio.pipes import WAV_TAGS, PipeWriter, wav_header
from deepnmf.audio.reader import AudioReader
from deepnmf.audio.samples import BYTES, RAW_FORMATS, SampleFormat, packed, unpacked
from deepnmf.errors import DeepnmfError

RATE = 16000


def noise(channels: int = 1, samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


class Dripping(io.BytesIO):
    """A pipe that delivers three bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(size or 3, 3))


def reader_of(monkeypatch: pytest.MonkeyPatch, data: bytes, raw: AudioFormat | None = None) -> AudioReader:
    """Return the reader of stdin with these bytes in it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Dripping(data)))
    return AudioReader("-", raw)


@pytest.mark.parametrize("layout", RAW_FORMATS.values(), ids=RAW_FORMATS)
def test_samples_survive_packing(layout: SampleFormat) -> None:
    samples = np.concatenate([noise(3), np.array([[1, -1, 0]] * 3, np.float32)], axis=1)
    again = unpacked(packed(samples, layout), layout, 3)
    tolerance = {1: 2**-5, 2: 2**-15}.get(BYTES[layout.subtype], 1e-6)
    assert np.abs(again - samples).max() <= tolerance


@pytest.mark.parametrize("name", RAW_FORMATS)
def test_raw_samples_mean_what_libsndfile_takes_them_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = RAW_FORMATS[name]
    endian = "BIG" if layout.big_endian else "LITTLE"
    data = packed(noise(2, 500), layout)
    kind = {"format": "RAW", "subtype": layout.subtype, "endian": endian, "samplerate": RATE, "channels": 2}
    expected = soundfile.read(io.BytesIO(data), dtype="float32", **kind)[0]
    reader = reader_of(monkeypatch, data, AudioFormat(RATE, 2, None, "RAW", layout.subtype, endian))
    assert np.array_equal(np.concatenate(list(reader.blocks()), axis=1), expected.T)


@pytest.mark.parametrize("subtype", [s for s in BYTES if s != "PCM_S8"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_wav_of_other_programs_is_understood_and_ours_by_them(
    subtype: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    soundfile.write(file, noise(2, 2000).T, RATE, subtype, format=container)
    reader = reader_of(monkeypatch, file.getvalue())
    assert (reader.encoding.rate_hz, reader.encoding.channels, reader.encoding.frames) == (RATE, 2, 2000)
    samples = np.concatenate(list(reader.blocks()), axis=1)
    file.seek(0)
    assert np.abs(samples - soundfile.read(file, dtype="float32")[0].T).max() < 1e-7
    ours = io.BytesIO()
    PipeWriter(ours, reader.encoding).write(samples)
    ours.seek(0)
    found, rate_hz = soundfile.read(ours, dtype="float32")
    assert rate_hz == RATE
    assert np.abs(found.T - samples).max() <= 1e-7
    assert subtype in WAV_TAGS


def test_a_stream_of_unknown_length_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = AudioFormat(RATE, 2, None, "WAV", "PCM_16")
    reader = reader_of(monkeypatch, wav_header(unknown) + packed(noise(2, 999), SampleFormat("PCM_16")))
    assert reader.encoding == unknown
    assert sum(block.shape[1] for block in reader.blocks()) == 999


def test_samples_that_arrive_in_pieces_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    data = wav_header(AudioFormat(RATE, 2, 100, "WAV", "PCM_24")) + packed(noise(2, 100), SampleFormat("PCM_24"))
    blocks = list(reader_of(monkeypatch, data).blocks())
    assert len(blocks) == 100
    assert np.abs(np.concatenate(blocks, axis=1) - noise(2, 100)).max() < 1e-6


HEADER = wav_header(AudioFormat(RATE, 1, 10, "WAV", "PCM_16"))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "empty"),
        (b"fLaC" + bytes(100), "not readable"),
        (b"RIF", "not readable"),
        (HEADER[:30], "cut short"),
        (HEADER[:38], "cut short"),
        (HEADER + bytes(10), "truncated"),
        (wav_header(AudioFormat(RATE, 1, 0, "WAV", "PCM_16")), "no samples"),
        (wav_header(AudioFormat(RATE, 65535, 10, "WAV", "PCM_U8")) + bytes(655350), "65535 channels"),
        (wav_header(AudioFormat(RATE, 0, 10, "WAV", "PCM_16")), "0 channels"),
        (wav_header(AudioFormat(0, 1, 10, "WAV", "PCM_16")) + bytes(20), "rate"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt \xf0\xff\xff\xff" + bytes(100), "cut short"),
        (HEADER[:16] + b"\x0a\0\0\0" + HEADER[20:30] + HEADER[36:] + bytes(20), "too short"),
    ],
)
def test_streams_that_make_no_sense_are_refused(data: bytes, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeepnmfError, match=fault):
        list(reader_of(monkeypatch, data).blocks())


def test_closed_stdin_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DeepnmfError, match="closed"):
        AudioReader("-")


def test_other_formats_come_through_stdin_as_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("flac", "ogg", "mp3", "aiff", "w64"):
        path = tmp_path / f"x.{suffix}"
        soundfile.write(path, noise(2).T, RATE)
        samples = np.concatenate(list(reader_of(monkeypatch, path.read_bytes()).blocks()), axis=1)
        assert np.array_equal(samples, read(path)[0])


def test_blocks_of_wav_come_as_soon_as_samples_do(monkeypatch: pytest.MonkeyPatch) -> None:
    output, program = os.pipe()
    with os.fdopen(output) as stdin, os.fdopen(program, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)
        pipe.write(wav_header(AudioFormat(RATE, 1, None, "WAV", "PCM_16")))
        blocks = AudioReader("-").blocks()
        for count in (100, 7):
            pipe.write(packed(noise(1, count), SampleFormat("PCM_16")))
            assert next(blocks).shape == (1, count)  # while the pipe is open
        pipe.close()
        assert not list(blocks)
