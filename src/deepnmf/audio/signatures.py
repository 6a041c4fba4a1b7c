"""Signatures of audio formats: files are identified by content, not by name."""

from __future__ import annotations

SIGNATURE_BYTES = 64
_SIGNATURES = (
    (0, b"RIFF"),
    (0, b"RF64"),
    (0, b"BW64"),
    (0, b"RIFX"),
    (0, b"riff\x2e\x91\xcf\x11"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"FORM"),
    (0, b"FRM8"),
    (0, b".snd"),
    (0, b"dns."),
    (0, b"caff"),
    (0, b"NIST_1A"),
    (0, b"Creative Voice File"),
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (4, b"free"),
    (4, b"skip"),
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF: WMA, WMV
    (0, b"#!AMR"),
    (0, b"wvpk"),
    (0, b"MAC "),
    (0, b"TTA1"),
    (0, b"DSD "),
    (0, b"FLV\x01"),
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"\x0b\x77"),  # AC-3
)


def signature(head: bytes) -> bool:
    """Whether a file that begins with `head` has the signature of an audio or video format.

    Examples
    --------
    >>> signature(b"fLaC" + bytes(60)), signature(b"Some text"), signature(b"")
    (True, False, False)
    """
    return any(head[at : at + len(magic)] == magic for at, magic in _SIGNATURES) or is_mpeg_audio(head)


def is_mpeg_audio(head: bytes) -> bool:
    """Whether it can be a frame header of MP3, MP2 or ADTS AAC."""
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08 and head[2] < 0xF0
