"""`deepnmf enhance` into .m4a: sound of any source as AAC, in time to the sample, with tags, chapters and cover."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from deepnmf.audio import files as audio
from deepnmf.enhancement.files import FileOptions, enhance_file
from deepnmf.enhancement.plan import plan_outputs
from deepnmf.errors import DeepnmfError
from helpers.enhance_models import small_model
from helpers.signals import voice

UNCHANGED = FileOptions(max_attenuation_db=0)
SOUND = voice(110, 700, 1, 2.0)[None]


def opened(path: Path) -> Any:
    return pytest.importorskip("av").open(str(path))


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"),
    [
        ("x.wav", 16000, 1), ("x.flac", 44100, 2), ("x.ogg", 8000, 1), ("x.wav", 48000, 6), ("x.au", 11025, 2),
        ("x.wav", 96000, 1),
    ],
)  # fmt: skip
def test_length_rate_and_time_are_kept(name: str, rate_hz: int, channels: int, tmp_path: Path) -> None:
    pytest.importorskip("av")
    samples = np.repeat(audio.resample(SOUND, 16000, rate_hz), channels, axis=0)[:, :-7]  # no whole milliseconds
    audio.write(tmp_path / name, samples, rate_hz)
    assert enhance_file(tmp_path / name, tmp_path / "y.m4a", small_model(), UNCHANGED) == []
    found, found_hz = audio.read(tmp_path / "y.m4a")
    assert (found_hz, found.shape) == (rate_hz, samples.shape)
    late = np.correlate(found[0, 4000:8000], samples[0, 4000:8000], "full").argmax() - 3999
    assert late == 0
    assert np.corrcoef(found[0], samples[0])[0, 1] > 0.9
    with opened(tmp_path / "y.m4a") as container:
        assert [stream.codec_context.name for stream in container.streams] == ["aac"]


def test_a_rate_that_aac_lacks_is_resampled_and_noted(tmp_path: Path) -> None:
    pytest.importorskip("av")
    audio.write(tmp_path / "x.wav", SOUND, 16001)
    (note,) = enhance_file(tmp_path / "x.wav", tmp_path / "y.m4a", small_model(), UNCHANGED)
    assert "resampled" in note
    assert audio.read(tmp_path / "y.m4a")[1] == 22050


def test_tags_of_other_formats_are_kept_and_losses_noted(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with soundfile.SoundFile(tmp_path / "x.ogg", "w", 16000, 1) as file:
        file.title, file.artist, file.tracknumber, file.license = "Talk", "Someone", "3", "CC0"
        file.write(SOUND[0])
    (note,) = enhance_file(tmp_path / "x.ogg", tmp_path / "y.m4a", small_model())
    assert "license" in note
    with opened(tmp_path / "y.m4a") as container:
        assert {name: container.metadata[name] for name in ("title", "artist", "track")} == {
            "title": "Talk", "artist": "Someone", "track": "3",
        }  # fmt: skip


def memo(path: Path, moving: bool) -> Path:
    """Write sound with a title, two chapters, and a cover or moving pictures."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format="mp4") as out:
        track = out.add_stream("aac", rate=16000, layout="mono")
        pictures = out.add_stream("mpeg4" if moving else "png", rate=25, width=16, height=16)
        pictures.pix_fmt = "yuv420p" if moving else "rgb24"
        if not moving:
            pictures.disposition = av.stream.Disposition.attached_pic
        out.metadata["title"] = "A memo"
        first = {"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
        out.set_chapters([first, {**first, "id": 2, "start": 1000, "end": 2000, "metadata": {"title": "Two"}}])
        for index in range(10 if moving else 1):
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 20 * index, np.uint8))))
        out.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(SOUND, "fltp", "mono")
        frame.sample_rate, frame.pts = 16000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


@pytest.mark.parametrize("moving", [False, True])
def test_of_a_container_tags_chapters_and_cover_are_kept(moving: bool, tmp_path: Path) -> None:
    source = memo(tmp_path / ("memo.mp4" if moving else "memo.m4a"), moving)
    assert enhance_file(source, tmp_path / "y.m4a", small_model(), UNCHANGED) == []
    with opened(tmp_path / "y.m4a") as container, opened(source) as before:
        assert container.metadata["title"] == "A memo"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
        kinds = [stream.type for stream in container.streams if stream.type != "data"]
        assert kinds == ["audio"] + ["video"] * (not moving)
        if not moving:
            covers = [
                bytes(next(p for p in each.demux(each.streams.video[0]) if p.size)) for each in (before, container)
            ]
            assert covers[0] == covers[1]
    assert audio.read(tmp_path / "y.m4a")[0].shape == audio.read(source)[0].shape


def test_it_is_written_where_it_is_named_only(tmp_path: Path) -> None:
    for name in ("a.m4a", "b.wav"):
        (tmp_path / name).touch()
    names = {job.source.name: job.target.name for job in plan_outputs([str(tmp_path)], tmp_path / "out").jobs}
    assert names == {"a.m4a": "a.wav", "b.wav": "b.wav"}
    named = plan_outputs([str(tmp_path)], tmp_path / "out", suffix=".m4a").jobs
    assert {job.target.name for job in named} == {"a.m4a", "b.m4a"}


@pytest.mark.parametrize(
    ("channels", "options", "words"), [(7, FileOptions(), "7 channels"), (1, FileOptions(subtype="PCM_24"), "PCM_24")]
)
def test_what_it_cannot_hold_is_refused(channels: int, options: FileOptions, words: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    audio.write(tmp_path / "x.wav", np.repeat(SOUND, channels, axis=0), 16000)
    with pytest.raises(DeepnmfError, match=words):
        enhance_file(tmp_path / "x.wav", tmp_path / "y.m4a", small_model(), options)
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_without_pyav_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    audio.write(tmp_path / "x.wav", SOUND, 16000)
    with pytest.raises(DeepnmfError, match="pip install av"):
        enhance_file(tmp_path / "x.wav", tmp_path / "y.m4a", small_model())
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]
