"""Pictures and sound as data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np

# Magma of matplotlib at nine steps: dark to light in even steps of lightness, also for the colour-blind.
_PALETTE_STEPS = ("000004", "1d1147", "51127c", "822681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf")
LEVELS = 64
"""Colours of a picture; more are indistinguishable, and cost bytes."""
MOST_ROWS, MOST_COLUMNS = 300, 1000
"""A larger picture is shrunk to this: no screen shows more, and pages of unusual models stay small."""


def _palette() -> np.ndarray:
    steps = np.array([[int(step[at : at + 2], 16) for at in (0, 2, 4)] for step in _PALETTE_STEPS])
    places = np.linspace(0, len(steps) - 1, LEVELS)
    channels = [np.interp(places, np.arange(len(steps)), channel) for channel in steps.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def picture(values: np.ndarray) -> str:
    """Return ``(rows, columns)`` in [0, 1] as a PNG data URI, dark to light; the first row is the lowest.

    Examples
    --------
    >>> picture(np.zeros((2, 3)))[:22]
    'data:image/png;base64,'
    """
    return _data_uri("image/png", png(values))


def png(values: np.ndarray) -> bytes:
    """Return ``(rows, columns)`` in [0, 1] as the bytes of a PNG; the first row is the lowest."""
    values = _shrunk(_shrunk(values, MOST_ROWS, 0), MOST_COLUMNS, 1)
    rows, columns = values.shape
    indices = np.rint(np.clip(np.nan_to_num(values), 0, 1) * (LEVELS - 1)).astype(np.uint8)[::-1]
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), indices], axis=1)  # each line starts with its filter: none
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits, palette
    chunks = ((b"IHDR", header), (b"PLTE", _palette().tobytes()), (b"IDAT", zlib.compress(lines.tobytes(), 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in (*chunks, (b"IEND", b"")))


def _shrunk(values: np.ndarray, most: int, axis: int) -> np.ndarray:
    """Keep the brightest of neighbours, so that thin lines survive."""
    size = values.shape[axis]
    if size <= most:
        return values
    return np.maximum.reduceat(values, np.arange(most) * size // most, axis=axis)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def sound(samples: np.ndarray, rate_hz: int) -> str:
    """Return ``(samples,)`` at full scale 1 as a FLAC data URI: every browser plays it, and it adds no artefact."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1 - 2**-15), rate_hz, "PCM_16", format="FLAC")
    return _data_uri("audio/flac", buffer.getvalue())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
