"""The pages of Ogg files: libsndfile ends at the last good page, and at the first bad one, without an error."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from .inputs import ByteStream

_BEGINS, _ENDS = 2, 4
_SEARCH_BYTES = 1 << 17
"""Larger than any page, so that the next one is within it."""
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class OggPages:
    """What the pages of a file say.

    Attributes
    ----------
    stop : int
        Position behind the last whole page.
    ended : bool
        Whether the last page is whole and marked as the last.
    chained : bool
        Whether another stream begins behind the end of the first.
    damaged : int
        Number of pages whose checksum is wrong, and of gaps between pages.
    """

    stop: int
    ended: bool = False
    chained: bool = False
    damaged: int = 0

    @property
    def lost(self) -> str:
        """What is missing, in words."""
        if self.damaged:
            return f"damaged in {self.damaged} places"
        return "" if self.ended else "truncated, its last page is missing"


def scan_ogg(stream: ByteStream) -> OggPages:
    """Walk over the pages of a file from where it stands, and go back there."""
    origin, size = stream.tell(), stream.size or 0
    pages, sound, at = OggPages(origin), False, origin
    while at < size:
        page = _page(stream, at)
        if page is None:
            found = _next_page(stream, at + 1)
            if found is None:  # tags behind the last page are no damage, the rest of a page is
                pages.ended &= not _begins_page(stream, at)
                break
            at, pages.damaged = found, pages.damaged + 1
            continue
        intact = _is_intact(page)
        begins = intact and bool(page[5] & _BEGINS)
        pages.chained |= begins and sound
        sound |= not begins
        pages.damaged += not intact
        pages.ended = bool(page[5] & _ENDS)
        pages.stop = at = at + len(page)
    stream.seek(origin)
    return pages


def _page(stream: ByteStream, at: int) -> bytes | None:
    """Return the whole page at a position, if there is one."""
    stream.seek(at)
    head = stream.read(27)
    if head[:4] != b"OggS" or len(head) < 27:
        return None
    lacing = stream.read(head[26])
    body = stream.read(sum(lacing))
    return head + lacing + body if len(body) == sum(lacing) and len(lacing) == head[26] else None


def _begins_page(stream: ByteStream, at: int) -> bool:
    stream.seek(at)
    return b"OggS".startswith(stream.read(4))


def _next_page(stream: ByteStream, at: int) -> int | None:
    stream.seek(at)
    found = stream.read(_SEARCH_BYTES).find(b"OggS")
    return at + found if found >= 0 else None


def _is_intact(page: bytes) -> bool:
    """Whether a page's CRC-32 is right: zlib's polynomial, with the bits the other way round and no inversion."""
    (stored,) = struct.unpack_from("<I", page, 22)
    plain = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED_BITS)
    found = zlib.crc32(plain, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2) == stored
