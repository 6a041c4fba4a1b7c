"""The codec of the input is kept where its container and an encoder allow; otherwise one line names both."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.audio import files as audio
from deepnmf.audio.codecs import codec_of
from deepnmf.audio.formats import AudioFormat
from deepnmf.audio.reader import AudioReader
from deepnmf.enhancement.encodings import codec_notes
from deepnmf.enhancement.files import FileOptions, enhance_file
from helpers.enhance_models import small_model
from helpers.signals import voice

av: Any = pytest.importorskip("av")
RATE_HZ = 48000
UNCHANGED = FileOptions(max_attenuation_db=0)
SOUND = audio.resample(voice(110, 700, 1, 1.0)[None], 16000, RATE_HZ)


def record(path: Path, encoder: str, width: str = "s16", pictures: bool = False, layout: str = "mono") -> Path:
    """Write one second of sound, the same in all channels, beside moving pictures."""
    samples = (
        np.rint(SOUND * 2**15).astype(np.int16) if width == "s16" else np.rint(SOUND * 2**23).astype(np.int32) << 8
    )
    with av.open(str(path), "w") as out:
        film = out.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=25) if pictures else None
        track = out.add_stream(encoder, rate=RATE_HZ, layout=layout)
        formats = [each.name for each in track.codec_context.codec.audio_formats]
        track.codec_context.format = next((name for name in formats if name.startswith(width)), formats[0])
        out.metadata["title"] = "A talk"
        if film is not None:
            film.width, film.height, film.pix_fmt = 16, 16, "yuv420p"
            for index in range(25):
                out.mux(film.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 9 * index, np.uint8))))
            out.mux(film.encode(None))
        interleaved = np.repeat(samples, track.codec_context.layout.nb_channels)[None]
        frame = av.AudioFrame.from_ndarray(interleaved, width, layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def codec(path: Path) -> str:
    with AudioReader(path) as reader:
        return codec_of(reader.encoding)


@pytest.mark.parametrize("width", ["s16", "s32"])
@pytest.mark.parametrize(
    ("name", "encoder", "target"),
    [
        ("x.oga", "flac", "y.oga"), ("x.ogg", "flac", "y.oga"), ("x.m4a", "alac", "y.m4a"), ("x.mkv", "flac", "y.mkv"),
        ("x.mp4", "flac", "y.mp4"), ("x.mkv", "alac", "y.mov"), ("x.mkv", "pcm", "y.mkv"), ("x.mov", "pcm", "y.mov"),
    ],
)  # fmt: skip
def test_lossless_codecs_keep_every_sample(name: str, encoder: str, target: str, width: str, tmp_path: Path) -> None:
    pcm = "pcm_s16le" if width == "s16" else "pcm_s24le"
    moving = Path(name).suffix in (".mkv", ".mp4", ".mov")
    source = record(tmp_path / name, pcm if encoder == "pcm" else encoder, width, moving)
    assert enhance_file(source, tmp_path / target, small_model(), UNCHANGED) == []
    assert codec(tmp_path / target) == encoder
    difference = np.abs(audio.read(tmp_path / target)[0] - audio.read(source)[0]).max()
    assert difference <= (0 if width == "s16" else 2**-22)  # float32 has no more bits on the way
    with av.open(str(tmp_path / target)) as written:
        tags = {name.lower(): text for each in (*written.streams, written) for name, text in each.metadata.items()}
        assert tags["title"] == "A talk"


@pytest.mark.parametrize(
    ("name", "encoder", "kept"),
    [
        ("x.mkv", "libopus", "opus"),
        ("x.webm", "libopus", "opus"),
        ("x.mkv", "ac3", "ac3"),
        ("x.mp4", "libmp3lame", "mp3"),
    ],
)
def test_lossy_codecs_are_kept_in_time(name: str, encoder: str, kept: str, tmp_path: Path) -> None:
    source, target = record(tmp_path / name, encoder, pictures=True), tmp_path / f"y{Path(name).suffix}"
    assert enhance_file(source, target, small_model(), UNCHANGED) == []
    assert codec(target) == kept
    found, expected = (audio.read(path)[0][0, 9600:28800] for path in (target, source))
    assert abs(int(np.correlate(found, expected, "full").argmax()) - 19199) <= 48  # Matroska rounds times to 1 ms


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_every_packet_of_pcm_has_the_time_of_its_samples(suffix: str, tmp_path: Path) -> None:
    source, target = record(tmp_path / f"x{suffix}", "pcm_s16le", pictures=True), tmp_path / f"y{suffix}"
    enhance_file(source, target, small_model(), UNCHANGED)
    with av.open(str(target)) as written:
        frames = list(written.decode(audio=0))
    starts = np.cumsum([0, *(frame.samples for frame in frames)])[:-1]
    assert [round(frame.pts * frame.time_base * RATE_HZ) for frame in frames] == starts.tolist()
    assert len(frames) >= 25


@pytest.mark.parametrize(
    ("name", "encoder", "layout", "channels"),
    [
        ("x.m4a", "alac", "7.1(wide)", 8), ("x.mov", "pcm_s16le", "hexadecagonal", 16), ("x.mkv", "flac", "7.1", 8),
        ("x.mkv", "pcm_s16le", "22.2", 24),
    ],
)  # fmt: skip
def test_channels_beyond_those_of_a_frame_of_pyav_are_kept(
    name: str, encoder: str, layout: str, channels: int, tmp_path: Path
) -> None:
    source = record(tmp_path / name, encoder, pictures=name != "x.m4a", layout=layout)
    target = tmp_path / f"y{Path(name).suffix}"
    assert enhance_file(source, target, small_model(), UNCHANGED) == []
    found = audio.read(target)[0]
    assert found.shape[0] == channels
    assert np.array_equal(found, audio.read(source)[0])


@pytest.mark.parametrize(
    ("name", "encoder", "target", "written", "words"),
    [
        ("x.mkv", "libopus", "y.mov", "aac", ("AAC", "Opus", ".mkv")),
        ("x.mkv", "wavpack", "y.mkv", "flac", ("FLAC", "WavPack", "without loss")),
        ("x.mov", "pcm_s16le", "y.mp4", "flac", ("FLAC", "PCM", "without loss")),
        ("x.mov", "pcm_f32le", "y.mp4", "flac", ("FLAC", "PCM", "24 bits")),
        ("x.mov", "pcm_alaw", "y.mov", "aac", ("AAC", "A-law", ".flac")),
        ("x.mkv", "mp2", "y.mp4", "aac", ("AAC", "MP2", ".flac")),
        ("x.wav", "adpcm_yamaha", "y.wav", "pcm", ("PCM", "ADPCM", "without loss")),
    ],
)
def test_one_line_names_another_codec(
    name: str, encoder: str, target: str, written: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    source = record(tmp_path / name, encoder, pictures=Path(name).suffix in (".mkv", ".mov"))
    (note,) = enhance_file(source, tmp_path / target, small_model(), UNCHANGED)
    assert codec(tmp_path / target) == written
    assert all(word in note for word in (target, *words))


@pytest.mark.parametrize(
    ("container", "subtype", "own", "source", "target", "noted"),
    [
        ("ogg", "PCM_16", "speex", "x.oga", "y.ogg", True),
        ("ogg", "PCM_16", "speex", "-", "y.oga", True),
        ("ogg", "PCM_16", "speex", "x.ogg", "y.opus", False),
        ("ogg", "PCM_16", "vorbis", "x.ogg", "y.ogg", False),
        ("FLAC", "PCM_16", "", "x.flac", "y.ogg", False),
        ("asf", "PCM_16", "wmav2", "x.wma", "y.wav", False),
        ("mov,mp4,m4a", "PCM_24", "alac", "x.m4a", "y.wav", False),
    ],
)
def test_a_name_that_asks_for_another_format_is_not_commented(
    container: str, subtype: str, own: str, source: str, target: str, noted: bool
) -> None:
    like = AudioFormat(16000, 1, None, container, subtype, codec=own)
    form, coded = {".ogg": ("OGG", "VORBIS"), ".oga": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS")}.get(
        Path(target).suffix, ("WAV", "PCM_24")
    )
    notes = codec_notes(Path(target), AudioFormat(16000, 1, None, form, coded), like, Path(source))
    assert bool(notes) == noted


def test_a_subtype_that_is_asked_for_is_not_commented(tmp_path: Path) -> None:
    source = record(tmp_path / "x.oga", "flac")
    assert enhance_file(source, tmp_path / "y.oga", small_model(), UNCHANGED._replace(subtype="VORBIS")) == []
    assert codec(tmp_path / "y.oga") == "vorbis"
