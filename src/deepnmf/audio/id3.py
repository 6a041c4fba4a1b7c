"""Tags of MP3 files: ID3v2 before the audio, or ID3v1 after it. libsndfile prints warnings about odd ones."""

from __future__ import annotations

import re

from .inputs import ByteStream

LARGEST_TAG_BYTES = 1 << 20
"""Only this much of a larger tag, which holds pictures, is searched."""
_FRAMES = {
    **{"TIT2": "title", "TPE1": "artist", "TALB": "album", "TDRC": "date", "TYER": "date", "TCON": "genre"},
    **{"TRCK": "tracknumber", "TCOP": "copyright", "TSSE": "software", "COMM": "comment"},
    **{"TT2": "title", "TP1": "artist", "TAL": "album", "TYE": "date", "TCO": "genre", "TRK": "tracknumber"},
    **{"TCR": "copyright", "TSS": "software", "COM": "comment"},
}
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


def read_id3(stream: ByteStream) -> dict[str, str]:
    """Return the tags of a file by libsndfile's names, and restore the position."""
    origin = stream.tell()
    head = stream.read(10)
    found = {}
    if head[:3] == b"ID3" and len(head) == 10:
        found = _version2(stream.read(min(_synchsafe(head[6:10]), LARGEST_TAG_BYTES)), head[3])
    elif stream.size is not None and stream.size >= 128:
        stream.seek(stream.size - 128)
        found = _version1(stream.read(128))
    stream.seek(origin)
    return found


def _version2(body: bytes, version: int) -> dict[str, str]:
    wide = 4 if version > 2 else 3
    found: dict[str, str] = {}
    at = 0
    while at + 2 * wide <= len(body) and body[at]:
        name = body[at : at + wide].decode("latin-1")
        size_bytes = body[at + wide : at + 2 * wide]
        size = _synchsafe(size_bytes) if version == 4 else int.from_bytes(size_bytes, "big")
        at += 2 * wide + (2 if wide == 4 else 0)
        text = _text(body[at : at + size], name.startswith("COM"))
        if name in _FRAMES and text:
            found.setdefault(_FRAMES[name], text)
        at += size
    return found


def _text(body: bytes, comment: bool) -> str:
    """Return the text of a frame; a comment's follows its language and its short description."""
    if len(body) < 2 or body[0] >= len(_ENCODINGS):
        return ""
    text = body[4 if comment else 1 :].decode(_ENCODINGS[body[0]], "replace")
    parts = [part.lstrip("\ufeff") for part in text.split("\0")]
    return (parts[1] if comment and len(parts) > 1 else parts[0]).strip()


def _version1(tag: bytes) -> dict[str, str]:
    if tag[:3] != b"TAG":
        return {}
    parts = {"title": tag[3:33], "artist": tag[33:63], "album": tag[63:93], "date": tag[93:97], "comment": tag[97:125]}
    texts = {name: re.split(b"\0", part)[0].decode("latin-1").strip() for name, part in parts.items()}
    return {name: text for name, text in texts.items() if text}


def _synchsafe(size: bytes) -> int:
    return size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]
