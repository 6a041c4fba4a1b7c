"""Tags and other metadata are kept, or named as lost."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio.formats import encoding_for
from deepnmf.audio.reader import AudioReader
from deepnmf.audio.writer import AudioWriter
from helpers.odd_audio import (
    FRAMES,
    INFO,
    ODD_WAV,
    chunk,
    encoded,
    extensible,
    ffmpeg,
    pcm,
    rf64,
    riff,
    stereo,
    wav_format,
)

BEXT = (b"bext", b"recorder".ljust(603, b"\0"))  # an odd length
CHUNKS = (BEXT, (b"iXML", b"<BWFXML/>"), (b"cue ", bytes(4)))


def copied(source: Path, target: Path) -> tuple[AudioReader, list[str]]:
    """Write a recording as `enhance` does; return the reader of the copy and the notes."""
    with AudioReader(source) as reader:
        like = reader.encoding
        encoding = encoding_for(target, like.rate_hz, like.channels, like.frames, like=like)
        with AudioWriter(target, encoding, reader.tags) as writer:
            for block in reader.blocks():
                writer.write(block)
    return AudioReader(target), writer.notes


@pytest.mark.parametrize("make", [riff, lambda *chunks: rf64(*chunks[2:])])
def test_chunks_and_tags_of_wav_are_kept(make: Callable[..., bytes], tmp_path: Path) -> None:
    chunks = [chunk(name, body) for name, body in CHUNKS]
    data = make(chunk(b"fmt ", wav_format()), chunk(b"data", pcm()), *chunks, INFO)
    (tmp_path / "x.wav").write_bytes(data)
    copy, notes = copied(tmp_path / "x.wav", tmp_path / "y.wav")
    assert copy.tags.chunks == CHUNKS
    assert (copy.tags.text["title"], copy.tags.text["artist"]) == ("Title", "Somebody")
    assert copy.encoding.frames == FRAMES
    assert not notes
    size = (tmp_path / "y.wav").stat().st_size - 8
    head = (tmp_path / "y.wav").read_bytes()[:28]
    assert size == (struct.unpack_from("<I", head, 4)[0] if head[:4] == b"RIFF" else struct.unpack("<20xQ", head)[0])
    assert np.array_equal(soundfile.read(tmp_path / "y.wav", dtype="float32")[0].T, stereo())


def test_what_the_target_cannot_keep_is_one_line(tmp_path: Path) -> None:
    data = riff(extensible(16, 16, 4, mask=0x600), INFO, chunk(*BEXT), chunk(b"data", pcm()))
    (tmp_path / "x.wav").write_bytes(data)
    _, notes = copied(tmp_path / "x.wav", tmp_path / "y.au")
    assert len(notes) == 1
    for word in ("title", "bext", "layout 0x600"):
        assert word in notes[0]


def test_a_cover_is_named_as_lost(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "plain.flac", stereo().T, 16000)
    flac = (tmp_path / "plain.flac").read_bytes()
    picture = bytes([6]) + (32).to_bytes(3, "big") + bytes(32)  # an empty one; it follows the first block, of 34 bytes
    (tmp_path / "x.flac").write_bytes(flac[:42] + picture + flac[42:])
    frame = b"APIC" + (100).to_bytes(4, "big") + bytes(102)
    soundfile.write(tmp_path / "plain.mp3", stereo().T, 16000)
    (tmp_path / "x.mp3").write_bytes(
        b"ID3\3\0\0\0\0\0" + bytes([len(frame)]) + frame + (tmp_path / "plain.mp3").read_bytes()
    )
    for name, covers in {"x.flac": 1, "x.mp3": 1, "plain.flac": 0, "plain.mp3": 0}.items():
        _, notes = copied(tmp_path / name, tmp_path / "y.flac")
        assert sum("cover" in line for line in notes) == covers, name


@pytest.mark.parametrize(("channels", "mask"), [(4, 0x107), (3, 0xB), (4, 0x33), (6, 0x60F)])  # 4.0, 2.1, quad, 5.1
def test_channel_layouts_of_wav_are_kept(channels: int, mask: int, tmp_path: Path) -> None:
    header = extensible(16, 16, 2 * channels, mask, channels)
    (tmp_path / "x.wav").write_bytes(riff(header, chunk(b"data", bytes(2 * channels * 500))))
    copy, notes = copied(tmp_path / "x.wav", tmp_path / "y.wav")
    assert copy.encoding.channel_mask == mask
    assert not notes
    _, notes = copied(tmp_path / "x.wav", tmp_path / "y.flac")
    assert bool(notes) == (mask in (0x107, 0xB))


def test_tags_of_mp3_come_from_both_kinds_of_id3(tmp_path: Path) -> None:
    frames = b"TIT2\0\0\0\x07\0\0\x03Title\0" + b"TPE1\0\0\0\x0b\0\0\x01\xff\xfeN\0a\0m\0e\0"
    sound = encoded(np.tile(stereo(), 8), "MP3")
    (tmp_path / "a.mp3").write_bytes(b"ID3\4\0\0" + bytes([0, 0, 0, len(frames)]) + frames + sound)
    (tmp_path / "b.mp3").write_bytes(sound + b"TAG" + b"Title".ljust(30, b"\0") + b"Name".ljust(95, b"\0"))
    for name in ("a.mp3", "b.mp3"):
        with AudioReader(tmp_path / name) as reader:
            assert (reader.tags.text["title"], reader.tags.text["artist"]) == ("Title", "Name")


def test_m4a_keeps_its_tags_its_24_bits_and_its_layout(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "x.wav").write_bytes(ODD_WAV["24 bits"]())
    tags = ("-metadata", "title=Title", "-metadata", "artist=Somebody")
    if not ffmpeg("-i", tmp_path / "x.wav", "-c:a", "alac", "-sample_fmt", "s32p", *tags, tmp_path / "x.m4a"):
        pytest.skip("no ffmpeg")
    copy, _ = copied(tmp_path / "x.m4a", tmp_path / "y.wav")
    assert (copy.tags.text["title"], copy.tags.text["artist"]) == ("Title", "Somebody")
    assert copy.encoding.subtype == "PCM_24"
    assert ffmpeg(
        "-f", "lavfi", "-i", "anoisesrc=duration=0.5", "-af", "pan=4.0|c0=c0|c1=c0|c2=c0|c3=c0", tmp_path / "z.m4a"
    )
    copy, notes = copied(tmp_path / "z.m4a", tmp_path / "z.wav")
    assert copy.encoding.channel_mask == 0x107
    assert not notes
