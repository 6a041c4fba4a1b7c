"""Recordings as odd programs write them, as bytes."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
FRAMES = 9000
RIFF_MAGIC = {"<": b"RIFF", ">": b"RIFX"}
PCM_GUID = b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


def stereo() -> np.ndarray:
    """Two channels of noise of full 16 bits, ``(2, n)``."""
    steps = np.random.default_rng(7).integers(-20000, 20000, (2, FRAMES))
    return (steps / 32768).astype(np.float32)


def pcm(bits: int = 16, order: str = "<", shift: int = 0) -> bytes:
    """Return the samples of :func:`stereo` as interleaved integers of 2, 3 or 4 bytes."""
    values = np.rint(stereo().T * 2.0 ** (bits - 1)).astype(np.int64) << shift
    size = {16: 2, 20: 3, 24: 4 if shift else 3, 32: 4, 12: 2}[bits]
    wide = np.ascontiguousarray(values).astype("<i8").view(np.uint8).reshape(-1, 8)[:, :size]
    return (wide[:, ::-1] if order == ">" else wide).tobytes()


def chunk(name: bytes, body: bytes, *, size: int | None = None, pad: bool = True, order: str = "<") -> bytes:
    """Return a RIFF chunk; `size` is what it claims."""
    return name + struct.pack(f"{order}I", len(body) if size is None else size) + body + bytes(pad * (len(body) % 2))


def wav_format(tag: int = 1, channels: int = 2, bits: int = 16, align: int = 4, order: str = "<") -> bytes:
    """Return the 16 bytes of a format chunk."""
    return struct.pack(f"{order}HHIIHH", tag, channels, RATE, RATE * align, align, bits)


def extensible(bits: int, valid: int, align: int, mask: int = 3, channels: int = 2) -> bytes:
    """Return a format chunk of WAVE_FORMAT_EXTENSIBLE."""
    fields = struct.pack("<HHI", 22, valid, mask) + PCM_GUID
    return chunk(b"fmt ", wav_format(0xFFFE, channels, bits, align) + fields)


def riff(*chunks: bytes, magic: bytes = b"RIFF", size: int | None = None, order: str = "<") -> bytes:
    """Return a WAV file of these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(f"{order}I", len(body) if size is None else size) + body


def encoded(samples: np.ndarray, container: str, subtype: str | None = None) -> bytes:
    """Return ``(channels, n)`` as libsndfile writes them."""
    file = io.BytesIO()
    soundfile.write(file, samples.T, RATE, subtype, format=container)
    return file.getvalue()


FORMAT = chunk(b"fmt ", wav_format())
INFO = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Title\0") + chunk(b"IART", b"Somebody\0"))
LONG = 0xFFFFFFFF


def rf64(*behind: bytes, magic: bytes = b"RF64", size: int | None = None) -> bytes:
    """Return a file with 64-bit sizes and chunks behind the samples."""
    sizes = struct.pack("<QQQI", 0, len(pcm()) if size is None else size, FRAMES, 0)
    return riff(chunk(b"ds64", sizes), FORMAT, chunk(b"data", pcm(), size=LONG), *behind, magic=magic, size=LONG)


ODD_WAV: dict[str, Callable[[], bytes]] = {
    "plain": lambda: riff(FORMAT, chunk(b"data", pcm())),
    "tags before": lambda: riff(FORMAT, INFO, chunk(b"data", pcm())),
    "tags behind": lambda: riff(FORMAT, chunk(b"data", pcm()), INFO),
    "odd chunk without padding": lambda: riff(FORMAT, chunk(b"LIST", b"INFOx", pad=False), chunk(b"data", pcm())),
    "junk of three megabytes": lambda: riff(chunk(b"JUNK", bytes(3 << 20)), FORMAT, chunk(b"data", pcm())),
    "size 0": lambda: riff(FORMAT, chunk(b"data", pcm(), size=0), size=0),
    "size of ffmpeg's pipe": lambda: riff(FORMAT, chunk(b"data", pcm(), size=LONG), size=LONG),
    "size of sox's pipe": lambda: riff(FORMAT, chunk(b"data", pcm(), size=0x7FFFF000), size=0x7FFFF024),
    "size of arecord's pipe": lambda: riff(FORMAT, chunk(b"data", pcm(), size=0x80000000)),
    "size too small, as if wrapped": lambda: riff(FORMAT, chunk(b"data", pcm(), size=4000)),
    "size too small and odd": lambda: riff(FORMAT, chunk(b"data", pcm(), size=4001)),
    "RF64": lambda: rf64(),
    "RF64 with tags behind": lambda: rf64(INFO),
    "BW64 with axml behind": lambda: rf64(chunk(b"axml", b"<a/>"), magic=b"BW64"),
    "RF64 of unknown length": lambda: rf64(size=0),
    "RIFX": lambda: riff(
        chunk(b"fmt ", wav_format(order=">"), order=">"),
        chunk(b"data", pcm(order=">"), order=">"),
        magic=b"RIFX",
        order=">",
    ),
    "format of 14 bytes": lambda: riff(chunk(b"fmt ", wav_format()[:14]), chunk(b"data", pcm())),
    "format of 18 bytes": lambda: riff(chunk(b"fmt ", wav_format() + b"\0\0"), chunk(b"data", pcm())),
    "extensible": lambda: riff(extensible(16, 16, 4), chunk(b"data", pcm())),
    "12 bits in 16": lambda: riff(extensible(16, 12, 4), chunk(b"data", pcm())),
    "20 bits in 24": lambda: riff(extensible(24, 20, 6), chunk(b"data", pcm(24))),
    "24 bits": lambda: riff(chunk(b"fmt ", wav_format(bits=24, align=6)), chunk(b"data", pcm(24))),
    "24 bits in 32": lambda: riff(extensible(32, 24, 8), chunk(b"data", pcm(24, shift=8))),
    "24 bits in 4 bytes": lambda: riff(chunk(b"fmt ", wav_format(bits=24, align=8)), chunk(b"data", pcm(24, shift=8))),
    "24 bits in the low bytes of 4": lambda: riff(
        chunk(b"fmt ", wav_format(bits=24, align=8)), chunk(b"data", low_24_in_32())
    ),
    "ID3v2 behind": lambda: riff(FORMAT, chunk(b"data", pcm())) + b"ID3\4\0\0\0\0\0\0" + bytes(30),
    "ID3v1 behind": lambda: riff(FORMAT, chunk(b"data", pcm())) + b"TAGtitle" + bytes(120),
    "zeros behind": lambda: riff(FORMAT, chunk(b"data", pcm())) + bytes(512),
    "half a frame behind": lambda: riff(FORMAT, chunk(b"data", pcm() + b"\1\2\3")),
    "float": lambda: encoded(stereo(), "WAV", "FLOAT"),
    "double": lambda: encoded(stereo(), "WAV", "DOUBLE"),
    "32 bits": lambda: encoded(stereo(), "WAVEX", "PCM_32"),
    "FLAC": lambda: encoded(stereo(), "FLAC"),
    "FLAC behind an ID3 tag": lambda: b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + encoded(stereo(), "FLAC"),
    "FLAC of unknown length": lambda: without_total(encoded(stereo(), "FLAC")),
    "AIFF": lambda: encoded(stereo(), "AIFF"),
    "AU": lambda: encoded(stereo(), "AU"),
    "AU of unknown length": lambda: replaced(encoded(stereo(), "AU"), 8, b"\xff\xff\xff\xff"),
    "CAF": lambda: encoded(stereo(), "CAF"),
    "CAF of unknown length": lambda: caf_of_unknown_length(),
    "Wave64": lambda: encoded(stereo(), "W64"),
}
"""The samples of :func:`stereo`, in 16 bits at least, in files of which each has something odd about it."""


def low_24_in_32() -> bytes:
    """Return 24-bit samples in the low bytes of 32."""
    return (np.rint(stereo().T * 2.0**23).astype("<i4") + 1).tobytes()


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    """Return the data with `new` at a position."""
    return data[:at] + new + data[at + len(new) :]


def without_total(flac: bytes) -> bytes:
    """Return FLAC whose header gives no number of samples, as encoders write it into a pipe."""
    return replaced(replaced(flac, 21, bytes([flac[21] & 0xF0])), 22, bytes(4))


def caf_of_unknown_length() -> bytes:
    """Return CAF as encoders write it into a pipe."""
    data = encoded(stereo(), "CAF")
    return replaced(data, data.index(b"data") + 4, b"\xff" * 8)


def ffmpeg(*arguments: str | Path) -> bool:
    """Run ffmpeg; whether it could write what it was asked for."""
    command = ["ffmpeg", "-y", "-nostdin", "-v", "error", *map(str, arguments)]
    return shutil.which("ffmpeg") is not None and subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
