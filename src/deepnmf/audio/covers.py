"""Whether a recording has a cover, which libsndfile neither reads nor writes."""

from __future__ import annotations

from typing import Any

FLAC_PICTURE = 6
"""Type of the metadata block of FLAC that holds a picture."""
HEAD_BYTES = 1 << 16
"""Of a file that are searched; the text of tags comes before their pictures."""


def has_cover(head: bytes) -> bool:
    r"""Whether the first bytes of an MP3, a FLAC or an Ogg file announce a picture.

    Examples
    --------
    >>> has_cover(b"fLaC" + b"\x00\x00\x00\x02ab" + b"\x06\x00\x00\x01x")
    True
    """
    if head.startswith(b"ID3"):
        return b"APIC\0" in head or b"PIC\0" in head
    if head.startswith(b"fLaC"):
        return FLAC_PICTURE in _flac_blocks(head)
    return head.startswith(b"OggS") and b"METADATA_BLOCK_PICTURE=" in head.upper()


def is_cover(stream: Any) -> bool:
    """Whether a track of PyAV is a cover instead of a video."""
    return bool(stream.disposition & stream.disposition.attached_pic)


def _flac_blocks(head: bytes) -> list[int]:
    """Return the types of the metadata blocks that begin in `head`."""
    kinds, at, last = [], 4, False
    while at + 4 <= len(head) and not last:
        last, kind = bool(head[at] & 0x80), head[at] & 0x7F
        kinds.append(kind)
        at += 4 + int.from_bytes(head[at + 1 : at + 4], "big")
    return kinds
