"""WAV and raw samples through stdin and stdout, with no more delay than the enhancer's own."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from ..errors import DeepnmfError
from .formats import PLACEHOLDER_BYTES, UNBOUNDED, Encoding, encoded, finite_peak

READ_BYTES = 1 << 16
UNKNOWN_LENGTH = 0xFFFFFFFF
RAW_SUBTYPES = {"s16le": "PCM_16", "s24le": "PCM_24", "s32le": "PCM_32", "f32le": "FLOAT", "f64le": "DOUBLE"}
BYTES = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPES = {(_PCM, 8 * BYTES[s]): s for s in BYTES if s.startswith("PCM")} | {
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
}


class OutputClosed(Exception):  # noqa: N818 - an end, not an error
    """The program that reads our output has gone."""


class PipeReader:
    """Audio blocks as they arrive on a stream: WAV, or raw samples of a given encoding.

    Parameters
    ----------
    stream : binary file
        With ``read`` and ``read1``, such as ``sys.stdin.buffer``.
    raw : Encoding, optional
        Encoding of raw samples; by default the stream must be WAV.

    Raises
    ------
    DeepnmfError
        If the stream is empty or not WAV.
    """

    def __init__(self, stream: Any, raw: Encoding | None = None) -> None:
        self._stream = stream
        self._bytes_left: int | None = None
        self.tags: dict[str, str] = {}
        if raw is None:
            self.encoding, self._bytes_left = _read_wav_header(stream)
        else:
            self.encoding = raw

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks ``(channels, n)``, float32, each as soon as it is there.

        Raises
        ------
        DeepnmfError
            If the stream holds no samples, NaN, or fewer samples than its header promises.
        """
        frame_bytes = BYTES[self.encoding.subtype] * self.encoding.channels
        held, count = b"", 0
        while data := self._stream.read1(READ_BYTES if self._bytes_left is None else min(READ_BYTES, self._bytes_left)):
            if self._bytes_left is not None:
                self._bytes_left -= len(data)
            held += data
            whole = len(held) - len(held) % frame_bytes
            if whole:
                yield decoded(held[:whole], self.encoding)
                count += whole // frame_bytes
                held = held[whole:]
        if not count:
            raise DeepnmfError("-: no samples on stdin; check the program before the pipe")
        if self._bytes_left:
            raise DeepnmfError(f"-: truncated, {self._bytes_left} bytes that the WAV header promises did not come")


class PipeWriter:
    """Audio blocks onto a stream as WAV or raw samples, each sent on at once.

    Parameters
    ----------
    stream : binary file
        Such as ``sys.stdout.buffer``.
    encoding : Encoding
        Samples are encoded by its `subtype`; if `frames` is not known, the WAV header says so as ffmpeg's does.
    raw : bool
        Whether to leave the header out.
    """

    def __init__(self, stream: BinaryIO, encoding: Encoding, raw: bool = False) -> None:
        self._stream = stream
        self.encoding = encoding
        self.clipped = 0
        self.peak = 0.0
        if not raw:
            self._send(wav_header(encoding))

    def write(self, block: np.ndarray) -> None:
        """Send ``(channels, n)``.

        Raises
        ------
        OutputClosed
            If nobody reads it any more.
        """
        if not block.shape[1]:
            return
        self.peak = max(self.peak, finite_peak(block, "-"))
        if self.encoding.subtype not in UNBOUNDED:
            self.clipped += int((np.abs(block) > 1).sum())
        self._send(packed(block, self.encoding.subtype))

    def _send(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush()
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            raise DeepnmfError(f"-: cannot write to stdout ({error.strerror})") from None


def pipe_encoding(like: Encoding, subtype: str | None = None) -> Encoding:
    """Return the encoding for stdout that is closest to `like`."""
    subtype = subtype or (like.subtype if like.subtype in BYTES else "PCM_16")
    if subtype not in BYTES:
        raise DeepnmfError(f"-: stdout cannot hold subtype {subtype!r}; it can hold {', '.join(BYTES)}")
    return dataclasses.replace(like, subtype=subtype, container="WAV", endian="FILE")


def decoded(data: bytes, encoding: Encoding) -> np.ndarray:
    """Return interleaved little-endian samples as ``(channels, n)``, float32."""
    subtype = encoding.subtype
    values: np.ndarray
    if subtype in UNBOUNDED:
        values = np.frombuffer(data, "<f4" if subtype == "FLOAT" else "<f8").astype(np.float32)
    elif subtype == "PCM_U8":
        values = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    else:
        size = BYTES[subtype]
        wide = np.zeros((len(data) // size, 4), np.uint8)  # samples in the high bytes of 32-bit words
        wide[:, 4 - size :] = np.frombuffer(data, np.uint8).reshape(-1, size)
        values = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return np.ascontiguousarray(values.reshape(-1, encoding.channels).T)


def packed(block: np.ndarray, subtype: str) -> bytes:
    r"""Return ``(channels, n)`` as interleaved little-endian samples.

    Examples
    --------
    >>> packed(np.array([[0.5], [-1.0]]), "PCM_16")
    b'\x00@\x00\x80'
    """
    interleaved = np.ascontiguousarray(encoded(block, subtype).T)
    if subtype in UNBOUNDED:
        return interleaved.astype("<f4" if subtype == "FLOAT" else "<f8").tobytes()
    size = BYTES[subtype]
    if subtype == "PCM_U8":
        return ((interleaved >> 24) + 128).astype(np.uint8).tobytes()
    return interleaved.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 4 - size :].tobytes()


def wav_header(encoding: Encoding) -> bytes:
    """Return the 44 bytes before the samples of a WAV stream."""
    size, channels = BYTES[encoding.subtype], encoding.channels
    length = UNKNOWN_LENGTH if encoding.frames is None else encoding.frames * channels * size
    length = min(length, UNKNOWN_LENGTH)
    return b"".join(
        [
            struct.pack("<4sI4s", b"RIFF", min(36 + length, UNKNOWN_LENGTH), b"WAVE"),
            struct.pack("<4sIHH", b"fmt ", 16, _FLOAT if encoding.subtype in UNBOUNDED else _PCM, channels),
            struct.pack("<IIHH", encoding.rate_hz, encoding.rate_hz * channels * size, channels * size, 8 * size),
            struct.pack("<4sI", b"data", length),
        ]
    )


def _read_wav_header(stream: Any) -> tuple[Encoding, int | None]:
    """Return the encoding and, if the header knows it, the length of the samples in bytes."""
    start = stream.read(12)
    if not start:
        raise DeepnmfError("-: nothing on stdin; check the program before the pipe")
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise DeepnmfError("-: stdin is not WAV; convert it with ffmpeg -i FILE -f wav -, or give --raw-format")
    encoding = None
    while True:
        name, size = struct.unpack("<4sI", _exactly(stream, 8))
        if name == b"data" and encoding is not None:
            break
        body = _exactly(stream, size + size % 2)
        if name == b"fmt ":
            encoding = _parse_format(body)
    if start[:4] == b"RF64" or size == 0 or size >= PLACEHOLDER_BYTES:
        return encoding, None
    frames = size // (BYTES[encoding.subtype] * encoding.channels)
    return dataclasses.replace(encoding, frames=frames), size


def _parse_format(body: bytes) -> Encoding:
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == _EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack("<H", body[24:26])
    if (tag, bits) not in _SUBTYPES or not channels:
        raise DeepnmfError(f"-: WAV samples of format {tag} with {bits} bits; convert with ffmpeg -c:a pcm_s16le")
    return Encoding(rate_hz, channels, None, "WAV", _SUBTYPES[tag, bits])


def _exactly(stream: Any, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise DeepnmfError("-: stdin ended inside the WAV header; check the program before the pipe")
    return data
