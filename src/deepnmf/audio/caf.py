"""The data chunk of CAF files: libsndfile refuses one that is cut short, FFmpeg takes it for whole."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .inputs import ByteStream


@dataclass(frozen=True)
class CafData:
    """A data chunk that is not all there.

    Attributes
    ----------
    size_at : int
        Position of its size in the file.
    promised, found : int
        Bytes by its size, and bytes in the file.
    """

    size_at: int
    promised: int
    found: int


def find_cut_caf(stream: ByteStream) -> CafData | None:
    """Return the data chunk of a CAF file if the file ends within it, and go back to where the file stands."""
    origin, size = stream.tell(), stream.size or 0
    at, cut = origin + 8, None
    while at + 12 <= size and cut is None:
        stream.seek(at)
        name, length = struct.unpack(">4sq", stream.read(12))
        if name == b"data" and length > size - at - 12:
            cut = CafData(at + 4, length, size - at - 12)
        if length < 0:
            break
        at += 12 + length
    stream.seek(origin)
    return cut
