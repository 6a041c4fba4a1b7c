"""Sizes declared by the top-level elements of video containers; FFmpeg does not report truncation."""

from __future__ import annotations

import struct

from .inputs import ByteStream
from .wav import placeholder

ATOMS = tuple(b"ftyp moov mdat wide free skip uuid moof mfra sidx styp meta pnot udta emsg prft".split())
MOST_ATOMS = 100_000
"""A file with more, slow to scan, is not checked."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing_bytes(stream: ByteStream) -> int:
    """Return the bytes missing from an AVI, MP4 or Matroska file by its declared sizes; restore the position."""
    origin, size = stream.tell(), stream.size or 0
    head = stream.peek(8)
    if head[:4] == b"RIFF":
        end = _riff_end(stream)
    elif head[4:] in ATOMS:
        end = _atoms_end(stream)
    else:
        end = _segment_end(stream) if head[:4] == _EBML else 0
    stream.seek(origin)
    return max(0, end - size)


def _riff_end(stream: ByteStream) -> int:
    head = stream.peek(8)
    if len(head) < 8:
        return 0
    (size,) = struct.unpack("<4xI", head)
    return 0 if placeholder(size) else stream.tell() + 8 + size


def _atoms_end(stream: ByteStream) -> int:
    """Return the end of the last top-level atom."""
    at = stream.tell()
    for _ in range(MOST_ATOMS):
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8 or head[4:8] not in ATOMS:  # the end, or tags
            return at
        (size,) = struct.unpack_from(">I", head)
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
        if size < 8:  # 0: up to the end
            return 0
        at += size
    return 0


def _segment_end(stream: ByteStream) -> int:
    at = stream.tell() + 4
    for name in (b"", _SEGMENT):
        stream.seek(at)
        head = stream.read(12)
        if not head.startswith(name) or len(head) < 12:
            return 0
        length, size = _variable_integer(head[len(name) :])
        if size < 0:
            return 0
        at += len(name) + length + size
    return at


def _variable_integer(data: bytes) -> tuple[int, int]:
    """Return the length and the value of an EBML integer; -1 for an unknown size."""
    length = 9 - data[0].bit_length()
    bits = 7 * length
    value = int.from_bytes(data[:length], "big") & ((1 << bits) - 1)
    return length, -1 if value == (1 << bits) - 1 or length > 8 else value
