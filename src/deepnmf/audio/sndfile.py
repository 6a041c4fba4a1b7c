"""Formats that libsndfile decodes, from a file: FLAC, Ogg, MP3, AIFF, AU, CAF, Wave64 and old ones."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from .caf import find_odd_caf
from .covers import HEAD_BYTES, has_cover
from .formats import AudioFormat, NotOurs, Tags, library_reason
from .id3 import read_id3
from .inputs import ByteStream
from .mpeg import MpegAudio, after_id3, find_mpeg_audio
from .ogg import OggPages, scan_ogg
from .quiet import quiet_mpg123
from .signatures import SIGNATURE_BYTES, is_mpeg_audio, signature
from .wav import placeholder
from .window import Window

SALVAGE_STEP = 1024
"""Samples per read in a damaged part."""
UNKNOWN_FRAMES = 2**62
"""libsndfile's length of a file without one in its header is the largest integer."""


def open_sndfile(stream: ByteStream) -> SndfileDecoder:
    """Return a decoder of a file in a format that libsndfile supports.

    Raises
    ------
    NotOurs
        If libsndfile does not support it.
    """
    cover = has_cover(stream.peek(HEAD_BYTES))
    decoder = _open_sndfile(stream)
    decoder.tags = dataclasses.replace(decoder.tags, cover=cover)
    return decoder


def _open_sndfile(stream: ByteStream) -> SndfileDecoder:
    head = stream.peek(SIGNATURE_BYTES)
    if head.startswith(b"OggS"):
        return _open_ogg(stream, scan_ogg(stream))
    if head.startswith(b"Creative Voice File") or head[8:12] == b"8SVX":
        raise NotOurs("libsndfile misreads VOC and 8SVX")
    if head.startswith(b"caff"):
        return _open_caf(stream)
    if head.startswith(b"ID3") or is_mpeg_audio(head) or not signature(head):
        if (mpeg := find_mpeg_audio(stream)) is not None:
            return MpegDecoder(stream, mpeg)
        stream.seek(after_id3(head, stream.tell()))
    return _open_other(stream)


def _open_other(stream: ByteStream) -> SndfileDecoder:
    origin = stream.tell()
    with _signals_deferred(), quiet_mpg123():
        decoder = SndfileDecoder(stream.name, Window(stream.file, origin, stream.size or 0))
    if not decoder.encoding.subtype.startswith("MPEG"):
        return decoder
    stream.seek(origin)  # MP3 in WAV; libsndfile estimates its length
    if (mpeg := find_mpeg_audio(stream)) is None:
        raise NotOurs("no sequence of MPEG frames")
    return MpegDecoder(stream, mpeg)


def _open_ogg(stream: ByteStream, pages: OggPages) -> SndfileDecoder:
    if pages.chained:
        raise NotOurs("several streams one after the other", pages.lost)
    try:
        decoder = SndfileDecoder(stream.name, Window(stream.file, stream.tell(), pages.stop))
    except NotOurs as reason:
        raise NotOurs(str(reason), pages.lost) from None
    decoder.lost = pages.lost
    return decoder


def _open_caf(stream: ByteStream) -> SndfileDecoder:
    window = Window(stream.file, stream.tell(), stream.size or 0)
    odd = find_odd_caf(stream)
    if odd is not None:
        window.patch = (odd.size_at - stream.tell(), struct.pack(">q", odd.found))
    decoder = SndfileDecoder(stream.name, window)
    if odd is not None and odd.promised > 0:
        decoder.lost = f"truncated, its header claims {odd.promised} bytes of audio, the file has {odd.found}"
    return decoder


class SndfileDecoder:
    """Audio decoded by libsndfile."""

    def __init__(self, name: str, window: Window) -> None:
        self._name, self._window = name, window
        self._file = file = _open(window)
        frames = file.frames if file.frames < UNKNOWN_FRAMES else None
        self.encoding = AudioFormat(file.samplerate, file.channels, frames, file.format, file.subtype, file.endian)
        self.tags = Tags(file.copy_metadata())
        self.notes: list[str] = []
        self.lost = ""
        self._position = 0
        promised = _promised_bytes(file.extra_info)
        if promised is not None:
            self.lost = f"truncated, its header claims {promised} bytes of audio, the file has {window.length}"

    def read(self, count: int) -> np.ndarray:
        """Return up to `count` samples of each channel; none at the end."""
        import soundfile

        reason = ""
        try:
            with _signals_deferred():
                block = self._file.read(count, dtype="float32", always_2d=True).T
        except (soundfile.SoundFileError, OSError) as error:
            reason = library_reason(error)
            block = self._read_up_to_damage(count)
        self._position += block.shape[1]
        if block.shape[1] < count:
            self._end(reason)
        return np.ascontiguousarray(block)

    def _read_up_to_damage(self, count: int) -> np.ndarray:
        """Return the samples before the damage, ``(channels, n)``: a failed read returns none of them."""
        import soundfile

        pieces = [np.zeros((0, self.encoding.channels), np.float32)]
        with contextlib.suppress(soundfile.SoundFileError, OSError), _signals_deferred():
            self._file.seek(self._position)
            for _ in range(0, count, SALVAGE_STEP):
                pieces.append(self._file.read(SALVAGE_STEP, dtype="float32", always_2d=True))
        return np.concatenate(pieces)[:count].T

    def seek(self, frame: int) -> bool:
        """Seek to a sample; return whether that is possible."""
        import soundfile

        if self.encoding.frames is None:
            return False
        try:
            with _signals_deferred():
                self._position = self._file.seek(min(frame, self.encoding.frames))
        except soundfile.SoundFileError:
            return False
        return True

    def _end(self, reason: str) -> None:
        """Set `lost` at the end of the decodable part."""
        if self._window.failure is not None:
            raise InputError(f"{self._name}: cannot read ({self._window.failure.strerror})")
        rate_hz, frames = self.encoding.rate_hz, self.encoding.frames
        if frames is not None and self._position < frames and not self.lost:
            self.lost = f"truncated, {self._position / rate_hz:.3f} of {frames / rate_hz:.3f} s are present"
        elif reason and not self.lost:
            self.lost = f"damaged after {self._position / rate_hz:.3f} s ({reason})"


class MpegDecoder(SndfileDecoder):
    """MP3, MP2 and MP1 with counted frames: only the frames are passed to libsndfile."""

    def __init__(self, stream: ByteStream, mpeg: MpegAudio) -> None:
        text = read_id3(stream)
        with _signals_deferred(), quiet_mpg123():
            super().__init__(stream.name, Window(stream.file, mpeg.start, mpeg.stop, endless=True))
        self._mpeg, self.lost, self.tags = mpeg, "", Tags(text)
        encoding = self.encoding
        self.encoding = AudioFormat(
            encoding.rate_hz, encoding.channels, mpeg.frames, encoding.container, encoding.subtype
        )
        rate_hz = encoding.rate_hz
        if mpeg.partial:
            self.lost = f"truncated within a frame after {mpeg.frames / rate_hz:.3f} s"
        if mpeg.frames < mpeg.promised:
            self.lost = f"truncated, {mpeg.frames / rate_hz:.3f} of {mpeg.promised / rate_hz:.3f} s are present"
        self.seek(0)

    def read(self, count: int) -> np.ndarray:
        """Return up to `count` samples of each channel; none at the end."""
        with _signals_deferred(), quiet_mpg123():
            return super().read(min(count, self._mpeg.frames - self._position))

    def seek(self, frame: int) -> bool:
        """Seek to a sample; return whether that is possible."""
        with _signals_deferred(), quiet_mpg123():
            self._file.seek(frame + self._mpeg.first)
        self._position = frame
        return True


def _open(window: Window) -> Any:
    import soundfile

    try:
        with _signals_deferred():
            file = soundfile.SoundFile(window)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        raise NotOurs(library_reason(error)) from None
    file.seekable = lambda: False  # else it seeks after each read, which fails for FLAC of unknown length
    return file


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Defer Python's signal handlers, if this is the main thread, where they run.

    They also run in the read callbacks of libsndfile, where an exception (KeyboardInterrupt) would be printed and lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if caught and callable(handler := handlers[signal.Signals(caught[0])]):
        handler(caught[0], None)


def _promised_bytes(parse_log: str) -> int | None:
    """Return the audio length in a truncated file's header, from libsndfile's log, else None."""
    match = re.search(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", parse_log, re.MULTILINE)
    if match and int(match[2]) < int(match[1]) and not placeholder(int(match[1])):
        return int(match[1])
    return None
