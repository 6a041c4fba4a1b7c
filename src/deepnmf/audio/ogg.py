"""The pages of Ogg files: libsndfile stops at the first bad page, or at a truncated end, without an error."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from .inputs import ByteStream

_BEGINS, _ENDS = 2, 4
_SEARCH_BYTES = 1 << 17
"""Search window, larger than any page."""
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class OggPages:
    """Result of scanning the pages of a file.

    Attributes
    ----------
    stop : int
        Position after the last complete page.
    ended : bool
        Whether the last page is complete and flagged as end of stream.
    chained : bool
        Whether another stream follows the first.
    damaged : int
        Number of pages with a wrong checksum plus gaps between pages.
    """

    stop: int
    ended: bool = False
    chained: bool = False
    damaged: int = 0

    @property
    def lost(self) -> str:
        """Description of the missing data, for messages."""
        if self.damaged:
            return f"damaged in {self.damaged} places"
        return "" if self.ended else "truncated, its last page is missing"


def scan_ogg(stream: ByteStream) -> OggPages:
    """Scan the pages of a file from the current position, and restore it."""
    origin, size = stream.tell(), stream.size or 0
    pages, sound, at = OggPages(origin), False, origin
    while at < size:
        page = _page(stream, at)
        if page is None:
            found = _next_page(stream, at + 1)
            if found is None:  # a partial page is damage, trailing tags are not
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
    """Return the complete page at a position, if any."""
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
    """Whether a page's CRC-32 is right: zlib's polynomial, bits in reverse order, no inversion."""
    (stored,) = struct.unpack_from("<I", page, 22)
    plain = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED_BITS)
    found = zlib.crc32(plain, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2) == stored
