"""Odd recordings: the data count and not the header, the contents and not the name, a file and a stream alike."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio.files import duration_seconds, read
from deepnmf.audio.formats import AudioFormat
from deepnmf.audio.reader import AudioReader
from deepnmf.audio.window import Window
from deepnmf.errors import DeepnmfError
from helpers.odd_audio import FORMAT, FRAMES, INFO, ODD_WAV, RATE, chunk, encoded, ffmpeg, pcm, riff, stereo, wav_format


def samples_of(source: Path | str, **options: bool) -> np.ndarray:
    with AudioReader(source, **options) as reader:
        return np.concatenate(list(reader.blocks()), axis=1)


def from_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> np.ndarray:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return samples_of("-")


@contextmanager
def fifo(path: Path, data: bytes) -> Iterator[Path]:
    """A FIFO that a program writes `data` to."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield path
    writer.join()


@pytest.mark.parametrize("name", ODD_WAV)
def test_odd_files_hold_the_same_sound_as_files_and_from_streams(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ODD_WAV[name]()
    path = tmp_path / "named.mp3"  # the name means nothing
    path.write_bytes(data)
    found = samples_of(path)
    assert found.shape == (2, FRAMES)
    assert np.abs(found - stereo()).max() < 2**-22
    assert duration_seconds(path) == FRAMES / RATE
    assert np.array_equal(from_stdin(monkeypatch, data), found)
    if hasattr(os, "mkfifo"):
        with fifo(tmp_path / "fifo", data) as stream:
            assert np.array_equal(samples_of(stream), found)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "MS_ADPCM", "IMA_ADPCM", "PCM_U8"])
def test_coarse_wav_is_the_same_sound_too(subtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(stereo(), "WAV", subtype)
    (tmp_path / "x.wav").write_bytes(data)
    found = samples_of(tmp_path / "x.wav")
    assert np.corrcoef(found[0, :FRAMES], stereo()[0])[0, 1] > 0.9
    assert np.array_equal(from_stdin(monkeypatch, data), found)


def test_parts_of_files_are_those_of_the_whole(tmp_path: Path) -> None:
    for name in ("24 bits", "FLAC", "FLAC of unknown length", "CAF of unknown length"):
        (tmp_path / "x").write_bytes(ODD_WAV[name]())
        with AudioReader(tmp_path / "x") as reader:
            for start in (5000, 100, 8000):  # forth and back
                part = np.concatenate(list(reader.blocks(0.01, start, start + 700)), axis=1)
                assert np.abs(part - stereo()[:, start : start + 700]).max() < 2**-22


def test_a_second_format_chunk_in_the_samples_is_sound(tmp_path: Path) -> None:
    """What looks like a chunk within the promised samples is none."""
    inner = FORMAT + chunk(b"data", bytes(8))
    (tmp_path / "x.wav").write_bytes(riff(FORMAT, chunk(b"data", inner + pcm())))
    assert samples_of(tmp_path / "x.wav").shape[1] == FRAMES + len(inner) // 4


CUTS = ["WAV", "FLAC", "AIFF", "AU", "CAF", "W64", "OGG", "MP3"]


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"])
def test_the_first_bytes_of_a_file_are_a_line_or_a_sound(container: str, tmp_path: Path) -> None:
    """No header is long enough: whatever ends within one is named."""
    data = encoded(stereo(), container)
    for count in (*range(1, 80), len(data) // 3):
        (tmp_path / "x").write_bytes(data[:count])
        for salvage in (False, True):
            with contextlib.suppress(DeepnmfError):
                samples_of(tmp_path / "x", salvage=salvage)


def test_what_precedes_the_damage_is_salvaged_to_the_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # libsndfile alone
    path = tmp_path / "x.flac"
    path.write_bytes(encoded(np.tile(stereo(), 8), "FLAC"))
    whole = soundfile.read(path, dtype="float32")[0].T
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DeepnmfError, match="truncated") as refused:
        samples_of(path)
    assert "0.000 of" not in str(refused.value)
    found = samples_of(path, salvage=True)
    assert 0.3 * whole.shape[1] < found.shape[1] < 0.7 * whole.shape[1]
    np.testing.assert_array_equal(found, whole[:, : found.shape[1]])


@pytest.mark.parametrize("container", CUTS)
@pytest.mark.parametrize("share", [0.6, 0.97])
def test_what_is_cut_short_is_refused_or_salvaged_in_any_format(
    container: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.tile(stereo(), 8)
    data = encoded(whole, container)
    data = data[: int(share * len(data))]
    (tmp_path / "x").write_bytes(data)
    for source in (lambda: samples_of(tmp_path / "x"), lambda: from_stdin(monkeypatch, data)):
        with pytest.raises(DeepnmfError, match=r"truncated|damaged"):
            source()
    with AudioReader(tmp_path / "x", salvage=True) as reader:
        found = np.concatenate(list(reader.blocks()), axis=1)
        assert len(reader.notes) == 1
    assert 0.3 * share * whole.shape[1] < found.shape[1] < whole.shape[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.m4a", ("-c:a", "aac", "-movflags", "+faststart")),
        ("x.mka", ("-c:a", "libopus")),
        ("x.webm", ("-c:a", "libopus")),
        ("x.avi", ("-c:a", "pcm_s16le")),
        ("x.wv", ("-c:a", "wavpack")),
        ("x.wma", ("-c:a", "wmav2")),
    ],
)
def test_what_ffmpeg_decodes_is_refused_or_salvaged_alike(
    name: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    (tmp_path / "x.wav").write_bytes(encoded(np.tile(stereo(), 8), "WAV"))
    if not ffmpeg("-i", tmp_path / "x.wav", *options, tmp_path / name):
        pytest.skip("no ffmpeg with this encoder")
    data = (tmp_path / name).read_bytes()
    whole = samples_of(tmp_path / name).shape[1]
    assert np.array_equal(from_stdin(monkeypatch, data), samples_of(tmp_path / name))
    (tmp_path / "cut").write_bytes(data[: int(0.7 * len(data))])
    with pytest.raises(DeepnmfError, match=r"truncated|damaged"):
        samples_of(tmp_path / "cut")
    assert 0.4 * whole < samples_of(tmp_path / "cut", salvage=True).shape[1] < whole


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_opus_in_matroska_begins_with_the_sound(rate_hz: int, tmp_path: Path) -> None:
    pytest.importorskip("av")
    click = np.zeros(rate_hz, np.float32)
    click[rate_hz // 2 :] = 0.5 * np.sin(np.arange(rate_hz // 2) * 0.2)
    soundfile.write(tmp_path / "x.wav", click, rate_hz)
    if not ffmpeg("-i", tmp_path / "x.wav", "-c:a", "libopus", "-b:a", "96k", tmp_path / "x.mka"):
        pytest.skip("no ffmpeg with this encoder")
    found = samples_of(tmp_path / "x.mka")[0]
    assert abs(len(found) - 48000) < 200
    assert abs(int(np.argmax(np.abs(found) > 0.2)) - 24000) < 100


def test_an_mp4_without_its_index_is_named_as_cut(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "x.m4a").write_bytes(b"\0\0\0\x14ftypM4A \0\0\0\0M4A \0\1\0\0mdat" + bytes(range(256)) * 20)
    for salvage in (False, True):
        with pytest.raises(DeepnmfError, match="truncated, 60"):
            samples_of(tmp_path / "x.m4a", salvage=salvage)


@pytest.mark.parametrize("container", ["OGG", "FLAC"])
def test_a_flipped_byte_in_the_middle_is_no_silent_loss(container: str, tmp_path: Path) -> None:
    data = bytearray(encoded(np.tile(stereo(), 8), container))
    data[len(data) // 2] ^= 0x55
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DeepnmfError, match=r"truncated|damaged"):
        samples_of(tmp_path / "x")


def mp3(whole: np.ndarray) -> tuple[bytes, bytes]:
    """Return an MP3 with its information frame and the same without."""
    data = encoded(whole, "MP3")
    information = data.index(b"Info" if b"Info" in data else b"Xing")
    first = data.rindex(b"\xff", 0, information)
    return data, data[data.index(data[first : first + 2], information) :]


@pytest.mark.parametrize(
    ("front", "behind"),
    [
        (b"", b""),
        (b"", b"TAG" + b"title".ljust(125, b"\0")),
        (b"", b"APETAGEX" + bytes(24) + b"\xff\xfb\x90\0"),
        (b"junk" * 500, b""),
        (bytes(3000), bytes(3000)),
        (b"ID3\4\0\0\0\0\0\x0a" + bytes(10), b""),
    ],
)
def test_mp3_without_information_is_whole(
    front: bytes, behind: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.tile(stereo(), 8)
    data, bare = mp3(whole)
    (tmp_path / "a.mp3").write_bytes(data)
    (tmp_path / "b.mp3").write_bytes(front + bare + behind)
    assert samples_of(tmp_path / "a.mp3").shape == whole.shape  # the encoder's delay is taken out
    found = samples_of(tmp_path / "b.mp3")
    assert whole.shape[1] <= found.shape[1] < whole.shape[1] + 3 * 1152
    assert np.array_equal(from_stdin(monkeypatch, front + bare + behind), found)
    assert capfd.readouterr().err == ""


def test_mp3s_one_after_the_other_are_all_read_and_libmpg123_is_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = np.tile(stereo(), 8)
    data, bare = mp3(whole)
    (tmp_path / "x.mp3").write_bytes(data + data)
    assert samples_of(tmp_path / "x.mp3").shape[1] > 1.95 * whole.shape[1]
    damaged = bytearray(bare)
    damaged[len(bare) // 2 : len(bare) // 2 + 900] = np.random.default_rng(0).bytes(900)
    (tmp_path / "y.mp3").write_bytes(damaged)
    assert samples_of(tmp_path / "y.mp3", salvage=True).shape[1] > 0.9 * whole.shape[1]
    assert capfd.readouterr().err == ""


def test_ogg_streams_one_after_the_other_are_all_read(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "x.ogg").write_bytes(2 * encoded(stereo(), "OGG"))
    assert samples_of(tmp_path / "x.ogg").shape[1] > 1.9 * FRAMES


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mka", "flac"),
        ("x.m4v", "alac"),
        ("x.m4b", "alac"),
        ("x.mov", "pcm_s24le"),
        ("x.mkv", "pcm_s16le"),
        ("x.wv", "wavpack"),
        ("x.tta", "tta"),
        ("x.oga", "flac"),
        ("x.aifc", "pcm_s16be"),
        ("x.w64", "pcm_s24le"),
        ("x.avi", "pcm_s16le"),
        ("x.voc", "pcm_s16le"),
    ],
)
def test_formats_that_libsndfile_lacks_are_decoded_whatever_they_are_called(
    name: str, codec: str, tmp_path: Path
) -> None:
    pytest.importorskip("av")
    (tmp_path / "x.wav").write_bytes(ODD_WAV["plain"]())
    if not ffmpeg("-i", tmp_path / "x.wav", "-c:a", codec, tmp_path / name):
        pytest.skip("no ffmpeg with this encoder")
    (tmp_path / name).rename(tmp_path / "renamed.wav")
    assert np.array_equal(samples_of(tmp_path / "renamed.wav"), stereo())


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (riff(FORMAT, chunk(b"data", b"")), "no samples"),
        (riff(FORMAT, chunk(b"data", b""), INFO), "no samples"),
        (riff(FORMAT), "cut short"),
        (riff(chunk(b"data", pcm()), FORMAT), "format"),
        (riff(chunk(b"fmt ", wav_format(channels=0)), chunk(b"data", pcm())), "0 channels"),
        (riff(chunk(b"fmt ", b"\1\0\2\0"), chunk(b"data", pcm())), "too short"),
        (riff(*[chunk(b"JUNK", b"")] * 5000, FORMAT, chunk(b"data", pcm())), "cut short"),
        (bytes(5000), "zeros"),
        (b"<html>" * 100, "not readable"),
        (b"\x7fELF" + np.random.default_rng(0).bytes(5000), "not readable"),
    ],
    ids=[
        "empty data",
        "tags",
        "no data",
        "data first",
        "no channels",
        "short format",
        "junk",
        "zeros",
        "page",
        "program",
    ],
)
def test_what_holds_no_sound_is_one_line(data: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(DeepnmfError, match=fault) as raised:
        read(tmp_path / "x.wav")
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_devices_and_fifos_that_nobody_writes_to_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepnmf.audio.inputs.WRITER_SECONDS", 0.1)
    os.mkfifo(tmp_path / "x.wav")
    with pytest.raises(DeepnmfError, match="FIFO"):
        AudioReader(tmp_path / "x.wav")
    with pytest.raises(DeepnmfError, match="not a regular file"):
        duration_seconds(tmp_path / "x.wav")
    with pytest.raises(DeepnmfError, match="device"):
        AudioReader("/dev/zero")


def test_a_stream_that_never_ends_and_is_no_audio_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return b"x" * (size or 1)

    monkeypatch.setattr("deepnmf.audio.reader.UNKNOWN_BYTES", 1 << 20)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Endless()))
    with pytest.raises(DeepnmfError, match="known format"):
        AudioReader("-")


def test_blocks_are_bounded_however_many_channels_there_are(tmp_path: Path) -> None:
    header = chunk(b"fmt ", wav_format(channels=200, bits=8, align=200))
    (tmp_path / "x.wav").write_bytes(riff(header, chunk(b"data", bytes(200 * RATE * 4))))
    with AudioReader(tmp_path / "x.wav", AudioFormat(768000, 250, None, "RAW", "PCM_U8")) as reader:
        assert max(block.size for block in reader.blocks(60.0)) <= 1 << 22


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no such device on this system")
def test_devices_of_stdin_are_read_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(ODD_WAV["plain"]())
    code = (
        "from deepnmf.audio.files import duration_seconds, read\n"
        "print(duration_seconds('/dev/stdin'), read('/dev/stdin')[0].shape[1])"
    )
    with (tmp_path / "x.wav").open("rb") as file:
        command = [sys.executable, "-c", code]
        found = subprocess.run(command, stdin=file, capture_output=True, text=True, check=True).stdout
    assert found.split() == [str(FRAMES / RATE), str(FRAMES)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("name", ["AIFF", "FLAC"])
def test_an_interrupt_reaches_the_program_and_not_a_callback(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """libsndfile reads by callbacks into Python, where an exception would be printed and dropped."""
    (tmp_path / "x").write_bytes(ODD_WAV[name]())
    plain = Window.read

    def interrupted(window: Window, count: int = -1) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        return plain(window, count)

    monkeypatch.setattr(Window, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        samples_of(tmp_path / "x")
    assert capfd.readouterr().err == ""
