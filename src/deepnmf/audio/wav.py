"""WAV and raw samples, from files and streams alike, block by block as they arrive.

libsndfile needs a file, where this reads from a pipe with a latency of 25 ms, and it trusts the header's counts. Here
they are hints: the audio ends at the end of the data, or at a chunk that follows them. Encodings other than linear PCM,
floats, mu-law and A-law (ADPCM, GSM, MP3 in WAV) are not decoded here.
"""

from __future__ import annotations

import dataclasses
import struct

import numpy as np

from ..errors import InputError
from .formats import AudioFormat, NotOurs, Tags
from .inputs import ByteStream
from .samples import SampleFormat, unpacked

MAGIC = (b"RIFF", b"RF64", b"BW64", b"RIFX")
GUESS_BYTES = 1 << 16
"""Bytes inspected after the data to distinguish a chunk or padding from more audio."""
KEPT_CHUNK_BYTES = 1 << 20
KEPT_BYTES = 1 << 24
MOST_CHUNKS = 1000
"""Further or larger chunks are not kept, and audio after so many is not found."""
KEPT_CHUNKS = (b"bext", b"iXML", b"cue ", b"smpl", b"inst", b"cart", b"axml", b"chna", b"LIST", b"id3 ", b"ID3 ")
OTHER_CHUNKS = (b"fmt ", b"data", b"fact", b"PEAK", b"JUNK", b"junk", b"PAD ", b"FLLR", b"ds64", b"_PMX", b"levl")
TAG_MAGIC = (b"TAG", b"ID3", b"APET", b"LYRI")
INFO = {
    b"INAM": "title",
    b"ICOP": "copyright",
    b"ISFT": "software",
    b"IART": "artist",
    b"ICMT": "comment",
    b"ICRD": "date",
    b"IPRD": "album",
    b"ITRK": "tracknumber",
    b"IGNR": "genre",
}
_PCM_SIZES = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_FLOAT_SIZES = {4: "FLOAT", 8: "DOUBLE"}
_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE


class SampleReader:
    """Samples of a given format at the head of a stream.

    Parameters
    ----------
    stream : ByteStream
        At the first sample.
    encoding : AudioFormat
        Encoding to report.
    layout : SampleFormat
        Format of the stored samples.
    claimed : int or None
        Bytes of audio by the header, if plausible.

    Attributes
    ----------
    lost : str
        Description of data missing by the header's count; empty if complete.
    """

    def __init__(self, stream: ByteStream, encoding: AudioFormat, layout: SampleFormat, claimed: int | None) -> None:
        self.tags = Tags()
        self.notes: list[str] = []
        self.lost = ""
        self.encoding = encoding
        self._stream, self._layout, self._claimed = stream, layout, claimed
        self._frame_bytes = layout.size * max(1, encoding.channels)
        self._start = stream.tell() if stream.size is not None else 0
        self._at = 0  # bytes of audio returned
        self._partial = b""
        self._border = claimed  # where the audio may end
        if stream.size is not None:
            self._border = claimed = self._find_end(stream.size)
        if claimed or stream.size is not None:
            self.encoding = dataclasses.replace(encoding, frames=(claimed or 0) // self._frame_bytes)

    @property
    def length(self) -> int:
        """Bytes of audio in a file."""
        return self._border or 0

    def read(self, count: int) -> np.ndarray:
        """Return up to `count` samples of each channel, as soon as there are any; none at the end."""
        while True:
            data = self._partial + self._bytes(count * self._frame_bytes - len(self._partial))
            whole = len(data) - len(data) % self._frame_bytes
            ended = len(data) == len(self._partial)
            self._partial = data[whole:]
            if whole or ended:
                return unpacked(data[:whole], self._layout, self.encoding.channels)

    def seek(self, frame: int) -> bool:
        """Seek to a sample of a file; return whether that is possible."""
        if self._stream.size is None:
            return False
        self._at, self._partial = frame * self._frame_bytes, b""
        self._stream.seek(self._start + self._at)
        return True

    def _bytes(self, count: int) -> bytes:
        if self._border is not None and self._at >= self._border and not self._goes_on():
            return b""
        if self._border is not None:
            count = min(count, self._border - self._at)
        if self._stream.size is not None:
            data = self._stream.read(count)
        else:
            data = self._stream.read_some(min(count, GUESS_BYTES))
        self._at += len(data)
        if not data and count:
            self._note_missing(self._at)
        return data

    def _goes_on(self) -> bool:
        """At the border of a stream: return whether more audio follows, and if so move the border."""
        if self._stream.size is not None or self._border is None:
            return False
        if not _is_sound(self._stream, self._border):
            if self._stream.peek(4) in KEPT_CHUNKS:
                self.notes.append(f"{self._stream.name}: tags after the audio of a stream are not kept")
            return False
        self._border += 2**32  # the size may have wrapped
        return True

    def _find_end(self, size: int) -> int:
        """Return the length of the audio in a file, in bytes."""
        there = size - self._start
        border = there if self._claimed is None else self._claimed
        while border < there:
            self._stream.seek(self._start + border)
            if not _is_sound(self._stream, border):
                break
            border += 2**32
        self._stream.seek(self._start)
        self._note_missing(there)
        return min(border, there)

    def _note_missing(self, there: int) -> None:
        if self._claimed is not None and there < self._claimed:
            rate = self._frame_bytes * self.encoding.rate_hz
            self.lost = f"truncated, {there / rate:.3f} of {self._claimed / rate:.3f} s are present"


def _is_sound(stream: ByteStream, length: int) -> bool:
    """Whether `length` bytes of audio are followed by more, not by a chunk, tags or padding."""
    rest = stream.peek(GUESS_BYTES)
    if len(rest) < 8 or rest.startswith(TAG_MAGIC):
        return False
    if len(rest) < GUESS_BYTES and not rest.strip(b"\0"):
        return False
    return not _chunk_name(rest[:4]) and not (length % 2 and _chunk_name(rest[1:5]))


def _chunk_name(name: bytes) -> bool:
    return name in KEPT_CHUNKS + OTHER_CHUNKS or (name.isascii() and name.strip().isalnum())


def open_wav(stream: ByteStream) -> SampleReader:
    """Return the samples of a WAV stream whose first bytes are one of :data:`MAGIC`.

    Raises
    ------
    NotOurs
        If the samples are in a format that is not decoded here; the position of the stream is restored.
    DeepnmfError
        If the header makes no sense.
    """
    return _Header(stream).samples()


class _Header:
    """The chunks of a WAV stream, up to its samples."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._seen = bytearray(stream.read(12))
        self._form = bytes(self._seen[:4])
        self._order = ">" if self._form == b"RIFX" else "<"
        self._long_size: int | None = None
        self._count = 0
        self._text: dict[str, str] = {}
        self._chunks: list[tuple[bytes, bytes]] = []
        self._format: tuple[AudioFormat, SampleFormat] | None = None

    def samples(self) -> SampleReader:
        while (head := self._head()) is not None and head[0] != b"data":
            self._read_chunk(*head)
        if head is None or self._format is None:
            raise InputError(f"{self._stream.name}: its WAV header is cut short or holds no format; fetch it again")
        encoding, layout = self._format
        size = self._long_size if self._long_size is not None and head[1] == 2**32 - 1 else head[1]
        if encoding.subtype == "PCM_24" and layout.size == 4 and _right_justified(self._stream.peek(4096)):
            layout = dataclasses.replace(layout, shift=8)
        reader = SampleReader(self._stream, encoding, layout, None if placeholder(size) else size)
        if self._stream.size is not None:
            self._read_tail(reader)
        reader.tags = Tags(self._text, tuple(self._chunks))
        return reader

    def _head(self) -> tuple[bytes, int] | None:
        head = self._stream.read(8)
        self._count += 1
        if len(head) < 8 or self._count > MOST_CHUNKS:
            return None
        if self._format is None:
            self._seen += head
        name, size = struct.unpack(f"{self._order}4sI", head)
        return name, size

    def _read_chunk(self, name: bytes, size: int) -> None:
        """Parse a chunk; no memory is allocated for one of implausible size."""
        body = self._stream.read(min(size, KEPT_CHUNK_BYTES))
        padded = size % 2 and self._stream.peek(4) not in KEPT_CHUNKS + OTHER_CHUNKS
        rest = self._stream.read(1) if padded and len(body) == size else b""
        if self._format is None and len(self._seen) <= KEPT_CHUNK_BYTES:
            self._seen += body + rest
        if len(body) < size:
            self._stream.skip(size + size % 2 - len(body))
        elif name == b"fmt ":
            self._format = self._parse_format(body)
        elif name == b"ds64" and size >= 16:
            self._long_size = struct.unpack("<8xQ", body[:16])[0]
        elif name == b"LIST" and body[:4] == b"INFO":
            self._text.update(_info(body[4:], self._order))
        elif name in KEPT_CHUNKS and self._order == "<" and sum(len(b) for _, b in self._chunks) < KEPT_BYTES:
            self._chunks.append((name, body))

    def _read_tail(self, reader: SampleReader) -> None:
        """Read the chunks after the samples of a file."""
        start = self._stream.tell()
        self._stream.seek(start + reader.length)
        if reader.length % 2 and not _chunk_name(self._stream.peek(4)):
            self._stream.skip(1)
        while (head := self._head()) is not None and _chunk_name(head[0]):
            self._read_chunk(*head)
        self._stream.seek(start)

    def _parse_format(self, body: bytes) -> tuple[AudioFormat, SampleFormat]:
        if len(body) < 14:
            raise InputError(f"{self._stream.name}: its WAV format chunk is too short; repair it first")
        tag, channels, rate_hz, _, align = struct.unpack(f"{self._order}HHIIH", body[:14])
        bits = struct.unpack(f"{self._order}H", body[14:16])[0] if len(body) >= 16 else 0
        mask, container = 0, "RF64" if self._form in (b"RF64", b"BW64") else "WAV"
        if tag == _EXTENSIBLE and len(body) >= 26:
            valid, mask, tag = struct.unpack(f"{self._order}HIH", body[18:26])
            bits, container = valid or bits, "WAVEX" if container == "WAV" else container
        whole = align // channels if channels and align % channels == 0 else 0
        size = whole if -(-bits // 8) <= whole <= 8 else -(-bits // 8)
        subtype = {_PCM: _PCM_SIZES, _FLOAT: _FLOAT_SIZES, _ULAW: {1: "ULAW"}, _ALAW: {1: "ALAW"}}.get(tag, {}).get(
            size
        )
        if subtype is None:
            self._stream.put_back(bytes(self._seen))
            raise NotOurs
        layout = SampleFormat(subtype, self._order == ">")
        if subtype == "PCM_32" and 16 < bits <= 24:
            subtype = "PCM_24"
        mask = mask if mask.bit_count() == channels else 0
        endian = "BIG" if layout.big_endian else "FILE"
        return AudioFormat(rate_hz, channels, None, container, subtype, endian, mask), layout


def placeholder(size: int) -> bool:
    """Whether it is a placeholder for an unknown length."""
    return size >= 2**63 - 2**16 or 2**32 - 2**16 <= size < 2**32 or 0x7F000000 <= size <= 2**31 + 2**16


def _right_justified(data: bytes) -> bool:
    """Whether 24-bit samples occupy the low bytes of four, contrary to the standard; little-endian."""
    words = np.frombuffer(data[: len(data) // 4 * 4], np.uint8).reshape(-1, 4)
    signs = np.where(words[:, 2] & 0x80, 0xFF, 0)
    return bool(words[:, 0].any() and (words[:, 3] == signs).all())


def _info(body: bytes, order: str) -> dict[str, str]:
    """Return the tags of a LIST chunk of type INFO."""
    found, at = {}, 0
    while at + 8 <= len(body):
        name, size = struct.unpack_from(f"{order}4sI", body, at)
        text = body[at + 8 : at + 8 + size].split(b"\0")[0]
        at += 8 + size + size % 2
        if name in INFO and text:
            found[INFO[name]] = _text(text)
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
