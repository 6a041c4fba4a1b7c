"""The data chunk of CAF files: libsndfile rejects one that is truncated or of unknown length."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .inputs import ByteStream

MOST_CHUNKS = 1000


@dataclass(frozen=True)
class CafData:
    """A data chunk whose size is not that of the data in the file.

    Attributes
    ----------
    size_at : int
        Position of its size in the file.
    promised, found : int
        Bytes by its size field (-1 if written into a pipe), and bytes in the file.
    """

    size_at: int
    promised: int
    found: int


def find_odd_caf(stream: ByteStream) -> CafData | None:
    """Return the data chunk of a CAF file if its size field is wrong; restore the file position."""
    origin, size = stream.tell(), stream.size or 0
    at, odd = origin + 8, None
    for _ in range(MOST_CHUNKS):
        if at + 12 > size or odd is not None:
            break
        stream.seek(at)
        name, length = struct.unpack(">4sq", stream.read(12))
        found = size - at - 12
        if name == b"data" and not 0 <= length <= found:
            odd = CafData(at + 4, length, found)
        at += 12 + max(0, length)
    stream.seek(origin)
    return odd
