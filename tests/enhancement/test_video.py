"""`deepnmf enhance` from video to video: new sound in time beside pictures copied byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.audio import codecs
from deepnmf.audio import files as audio
from deepnmf.audio.formats import VIDEO_EXTENSIONS
from deepnmf.enhancement.files import FileOptions, enhance_file
from deepnmf.enhancement.plan import plan_outputs
from deepnmf.errors import DeepnmfError
from helpers.enhance_cli import leftovers
from helpers.enhance_models import small_model
from helpers.signals import voice

av: Any = pytest.importorskip("av")
RATE_HZ = 48000
UNCHANGED = FileOptions(max_attenuation_db=0)
"""Gains of one: what comes back has passed everything but the model."""
SOUND = audio.resample(np.stack([voice(110, 700, 1, 2.0), voice(160, 900, 2, 2.0)]), 16000, RATE_HZ)


def add_sound(out: Any, samples: np.ndarray, start: float) -> Callable[[], None]:
    """Add a track; return what writes the samples, from a time in seconds on."""
    track = out.add_stream("libopus" if "webm" in out.format.name else "aac", rate=RATE_HZ, layout="stereo")

    def write() -> None:
        for at in range(0, samples.shape[1], 960):
            frame = av.AudioFrame.from_ndarray(samples[:, at : at + 960].copy(), "fltp", "stereo")
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = round(start * RATE_HZ) + at
            out.mux(track.encode(frame))
        out.mux(track.encode(None))

    return write


def make_video(path: Path, start: float = 0.0, tracks: int = 1, picture: bool = True) -> Path:
    """Write two seconds of moving pictures with B-frames where the codec has them, a title and two chapters."""
    with av.open(str(path), "w") as out:
        codec = "libvpx" if path.suffix == ".webm" else "mpeg4"
        pictures = out.add_stream(codec, rate=25, width=32, height=32, pix_fmt="yuv420p") if picture else None
        if pictures is not None and codec == "mpeg4":
            pictures.codec_context.max_b_frames = 2
        writers = [add_sound(out, SOUND[:, ::-1] if index else SOUND, start) for index in range(tracks)]
        out.metadata["title"] = "A talk"
        second = {"start": 1000, "end": 2000, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}, "id": 2}
        out.set_chapters([{**second, "start": 0, "end": 1000, "metadata": {"title": "One"}, "id": 1}, second])
        for index in range(50 if pictures is not None else 0):
            image = np.full((32, 32, 3), 5 * index, np.uint8)
            image[index % 32] = 255
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(image)))  # type: ignore[union-attr]
        if pictures is not None:
            out.mux(pictures.encode(None))
        for write in writers:
            write()
    return path


def packets(path: Path, kind: str, index: int = 0) -> list[tuple[bytes, float | None]]:
    with av.open(str(path)) as source:
        found = [packet for packet in source.demux(**{kind: index}) if packet.size]
        return [(bytes(p), None if p.pts is None else round(float(p.pts * p.time_base), 3)) for p in found]


def sound(path: Path, index: int = 0) -> np.ndarray:
    """Return three seconds of the first channel of a track, from time zero on, as a player places it."""
    placed = np.zeros(3 * RATE_HZ, np.float32)
    with av.open(str(path)) as source:
        for frame in source.decode(audio=index):
            at = round(float(frame.pts * frame.time_base) * RATE_HZ)
            part = frame.to_ndarray().reshape(2, -1)[0] if frame.format.is_planar else frame.to_ndarray()[0, ::2]
            placed[max(at, 0) : at + len(part)] = part[max(0, -at) : len(placed) - at]
    return placed


def lag(found: np.ndarray, expected: np.ndarray) -> int:
    """Return by how many samples `found` is late."""
    size = 2 * len(expected)
    correlation = np.fft.irfft(np.fft.rfft(found, size) * np.fft.rfft(expected, size).conj())
    at = int(np.argmax(correlation))
    return at - size if at > size // 2 else at


@pytest.mark.parametrize("start", [0.0, 0.3])
@pytest.mark.parametrize("suffix", VIDEO_EXTENSIONS)
def test_pictures_are_copied_and_the_sound_stays_in_time(suffix: str, start: float, tmp_path: Path) -> None:
    source, target = make_video(tmp_path / f"talk{suffix}", start), tmp_path / f"clean{suffix}"
    assert enhance_file(source, target, small_model(), UNCHANGED) == []
    assert packets(target, "video") == packets(source, "video")
    assert len(packets(source, "video")) >= 49
    late = lag(sound(target), sound(source))
    assert abs(late) <= 48 if suffix in (".mkv", ".webm") else late == 0  # Matroska rounds times to 1 ms
    assert np.corrcoef(np.roll(sound(target), -late), sound(source))[0, 1] > 0.95
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.metadata["title"] == "A talk"
        assert [chapter["metadata"] for chapter in after.chapters()] == [{"title": "One"}, {"title": "Two"}]
        assert abs(after.duration - before.duration) < 0.05e6
        assert after.streams.audio[0].codec_context.name == ("opus" if suffix == ".webm" else "aac")


def test_the_model_is_applied(tmp_path: Path) -> None:
    source = make_video(tmp_path / "talk.mp4")
    enhance_file(source, tmp_path / "clean.mp4", small_model())
    enhance_file(source, tmp_path / "clean.wav", small_model())
    expected = audio.read(tmp_path / "clean.wav")[0][0][: 2 * RATE_HZ]
    found = sound(tmp_path / "clean.mp4")[: len(expected)]
    like_enhanced, like_source = np.corrcoef([found, expected, sound(source)[: len(expected)]])[0, 1:]
    assert like_enhanced > max(0.98, like_source)


def test_rotation_is_kept(tmp_path: Path) -> None:
    source = make_video(tmp_path / "talk.mov")
    data = bytearray(source.read_bytes())
    at = data.index(struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), data.index(b"tkhd"))
    data[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 32 << 16, 0, 1 << 30)
    source.write_bytes(data)
    enhance_file(source, tmp_path / "clean.mp4", small_model())
    for path in (source, tmp_path / "clean.mp4"):
        with av.open(str(path)) as video:
            assert abs(next(video.decode(video=0)).rotation) == 90


@pytest.mark.parametrize("track", [1, 2])
def test_one_of_several_audio_tracks_is_enhanced_and_named(track: int, tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "talk.mkv", tracks=2), tmp_path / "clean.mkv"
    options = UNCHANGED._replace(track=track)
    notes = enhance_file(source, target, small_model(), options)
    assert len(notes) == 1
    assert f"audio track {track} of 2" in notes[0]
    assert packets(target, "audio", 2 - track) == packets(source, "audio", 2 - track)
    assert packets(target, "audio", track - 1) != packets(source, "audio", track - 1)
    assert abs(lag(sound(target, track - 1), sound(source, track - 1))) <= 48


def test_gaps_of_the_recording_stay(tmp_path: Path) -> None:
    whole, source = make_video(tmp_path / "whole.mkv"), tmp_path / "talk.mkv"
    with av.open(str(whole)) as before, av.open(str(source), "w") as after:  # without packets from 0.5 to 1 s
        tracks = [after.add_stream_from_template(stream, opaque=True) for stream in before.streams]
        for packet in before.demux():
            if packet.size and not (packet.stream.type == "audio" and 0.5 < packet.pts * packet.time_base < 1):
                packet.dts = packet.pts if packet.dts is None else packet.dts
                packet.stream = tracks[packet.stream.index]
                after.mux(packet)
    enhance_file(source, tmp_path / "clean.mp4", small_model(), UNCHANGED)
    found, expected = sound(tmp_path / "clean.mp4"), sound(source)
    late = slice(round(1.1 * RATE_HZ), round(1.8 * RATE_HZ))
    assert np.abs(found[round(0.6 * RATE_HZ) : round(0.9 * RATE_HZ)]).max() < 0.01
    assert abs(lag(found[late], expected[late])) <= 96


def test_a_cut_video_is_refused_or_salvaged(tmp_path: Path) -> None:
    source = make_video(tmp_path / "talk.mkv")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(DeepnmfError, match=r"talk\.mkv: truncated"):
        enhance_file(source, tmp_path / "clean.mp4", small_model())
    assert not leftovers(tmp_path)
    notes = enhance_file(source, tmp_path / "clean.mp4", small_model(), FileOptions(salvage=True))
    assert any("truncated" in line for line in notes)
    assert packets(tmp_path / "clean.mp4", "video")


@pytest.mark.parametrize(
    ("source", "target", "options", "words"),
    [
        ("talk.mp4", "clean.webm", FileOptions(), r"cannot hold pictures in mpeg4; choose \.mkv"),
        ("talk.mp4", "clean.mp4", FileOptions(subtype="PCM_16"), "sample format"),
        ("talk.mp4", "clean.mp4", FileOptions(track=2), "no audio track 2"),
        ("noisy.wav", "clean.mp4", FileOptions(), "no picture"),
        ("noisy.wav", "clean.wav", FileOptions(track=2), "no audio track 2"),
        ("silent.mp4", "clean.mp4", FileOptions(), "no audio track"),
    ],
)
def test_one_line_says_why_there_is_no_video(
    source: str, target: str, options: FileOptions, words: str, tmp_path: Path
) -> None:
    audio.write(tmp_path / "noisy.wav", SOUND, RATE_HZ)
    make_video(tmp_path / "talk.mp4")
    make_video(tmp_path / "silent.mp4", tracks=0)
    with pytest.raises(DeepnmfError, match=words):
        enhance_file(tmp_path / source, tmp_path / target, small_model(), options)
    assert not (tmp_path / target).exists()
    assert not leftovers(tmp_path)


def test_without_an_encoder_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_video(tmp_path / "talk.mp4")
    monkeypatch.setitem(codecs.ENCODERS, "aac", "no_such_encoder")
    with pytest.raises(DeepnmfError, match=r"no encoder of AAC.* extra formats"):
        enhance_file(source, tmp_path / "clean.mp4", small_model())
    assert not leftovers(tmp_path)


def test_videos_stay_videos_by_default_and_sound_alone_too(tmp_path: Path) -> None:
    make_video(tmp_path / "film.mp4")
    make_video(tmp_path / "call.mp4", picture=False)
    plan = plan_outputs([str(tmp_path)])
    assert {job.target.name for job in plan.jobs} == {"film.mp4", "call.mp4"}
    enhance_file(tmp_path / "call.mp4", tmp_path / "clean.mp4", small_model(), UNCHANGED)
    assert lag(sound(tmp_path / "clean.mp4"), sound(tmp_path / "call.mp4")) == 0
