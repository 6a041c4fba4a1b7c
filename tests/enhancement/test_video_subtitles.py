"""Subtitles of videos whose container changes: text stays text, at its time; what cannot be held is noted."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.enhancement.files import enhance_file
from helpers.enhance_models import small_model

av: Any = pytest.importorskip("av")

LINES = [(0.2, 0.9, "Hello <i>there</i>, you"), (1.1, 1.8, "Two lines\nof text: ü")]


def make_video(path: Path, codec: str) -> Path:
    """Write two seconds with subtitles in a codec."""
    milliseconds = Fraction(1, 1000)
    webm = path.suffix == ".webm"
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libvpx" if webm else "mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        sound = out.add_stream("libopus" if webm else "aac", rate=48000, layout="mono")
        if codec == "hdmv_pgs_subtitle":
            subtitles = out.add_mux_stream(codec)
        else:
            subtitles = out.add_stream(codec)
            subtitles.codec_context.subtitle_header = HEADER
            subtitles.codec_context.time_base = milliseconds
        subtitles.time_base = milliseconds
        subtitles.metadata["language"] = "eng"
        for _ in range(50):
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        out.mux(pictures.encode(None))
        for at in range(0, 96000, 960):
            frame = av.AudioFrame.from_ndarray(np.full((1, 960), 0.1, np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 48000, at
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
        for start, end, text in LINES:
            if codec == "hdmv_pgs_subtitle":
                packet = av.Packet(b"\x80\0\0")
            else:
                event = ("0,0,Default,,0,0,0,," + marked_up(text)).encode()
                packet = subtitles.codec_context.encode_subtitle(av.subtitles.subtitle.SubtitleSet.create(event, 0, 1))
            packet.stream, packet.time_base = subtitles, milliseconds
            packet.pts = packet.dts = round(1000 * start)
            packet.duration = round(1000 * (end - start))
            out.mux(packet)
    return path


def marked_up(text: str) -> str:
    """Return text with markup of ASS, in which subtitles are encoded."""
    return text.replace("\n", r"\N").replace("<i>", r"{\i1}").replace("</i>", r"{\i0}")


HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def lines(path: Path) -> list[tuple[float, float, str]]:
    """Return the subtitles of a video: their times and their text."""
    found = []
    with av.open(str(path)) as source:
        for packet in source.demux(source.streams.subtitles[0]):
            decoded = source.streams.subtitles[0].codec_context.decode2(packet) if packet.size else None
            for each in decoded or ():
                text = each.dialogue.decode().replace(r"\N", "\n").replace(r"{\i1}", "<i>")
                text = text.replace(r"{\i0}", "</i>").replace(r"{\r}", "</i>")  # the latter in MP4
                start = float(packet.pts * packet.time_base)
                end = float((packet.pts + packet.duration) * packet.time_base)
                found.append((round(start, 2), round(end, 2), re.sub(r"{[^}]*}", "", text).strip()))
    return found


@pytest.mark.parametrize(
    ("codec", "source", "target"),
    [
        ("srt", "a.mkv", "b.mp4"), ("ass", "a.mkv", "b.mp4"), ("srt", "a.mkv", "b.mov"), ("mov_text", "a.mp4", "b.mkv"),
        ("mov_text", "a.mov", "b.m4v"), ("webvtt", "a.webm", "b.mkv"), ("webvtt", "a.webm", "b.webm"),
        ("ass", "a.mkv", "b.mkv"),
    ],
)  # fmt: skip
def test_text_is_kept_at_its_time(codec: str, source: str, target: str, tmp_path: Path) -> None:
    video, clean = make_video(tmp_path / source, codec), tmp_path / target
    assert lines(video) == LINES
    assert enhance_file(video, clean, small_model()) == []
    assert lines(clean) == LINES
    with av.open(str(clean)) as container:
        (track,) = container.streams.subtitles
        assert track.metadata["language"] == "eng"
        assert container.streams.audio[0].codec_context.name in ("aac", "opus")


def test_pictures_of_text_are_left_out_with_a_note(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mkv", "hdmv_pgs_subtitle")
    (note,) = enhance_file(video, tmp_path / "b.mp4", small_model())
    assert "subtitle" in note
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.subtitles
