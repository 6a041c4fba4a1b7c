"""The pages of Ogg files: libsndfile takes the last page that is there for the end, wherever the file was cut."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .inputs import ByteStream

_BEGINS, _ENDS = 2, 4


@dataclass(frozen=True)
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
    """

    stop: int
    ended: bool
    chained: bool


def scan_ogg(stream: ByteStream) -> OggPages:
    """Walk over the pages of a file from where it stands, and go back there."""
    origin, size = stream.tell(), stream.size or 0
    at, flags, chained, sound = origin, 0, False, False
    while (page := _page(stream, at)) is not None and at + page[1] <= size:
        begins = bool(page[0] & _BEGINS)
        chained |= begins and sound
        sound |= not begins
        flags, at = page[0], at + page[1]
    stream.seek(origin)
    return OggPages(at, page is None and bool(flags & _ENDS), chained)


def _page(stream: ByteStream, at: int) -> tuple[int, int] | None:
    """Return the flags and the size of the page at a position, if there is one."""
    stream.seek(at)
    head = stream.read(27)
    if head[:4] != b"OggS":
        return None
    if len(head) < 27:
        return 0, 2**32
    (count,) = struct.unpack("<26xB", head)
    return head[5], 27 + count + sum(stream.read(count))
