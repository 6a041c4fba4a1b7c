"""WAV and raw samples onto stdout, without delay beyond the enhancer's."""

from __future__ import annotations

import dataclasses
import struct
import sys
from typing import BinaryIO

import numpy as np

from ..errors import DeepnmfError, unprinted
from .formats import AudioFormat
from .full_scale import Metered
from .samples import BYTES, packed

UNKNOWN_LENGTH = 0xFFFFFFFF
WAV_TAGS = {"PCM_U8": 1, "PCM_16": 1, "PCM_24": 1, "PCM_32": 1, "FLOAT": 3, "DOUBLE": 3, "ALAW": 6, "ULAW": 7}
"""WAV format tag of each subtype."""


class OutputClosed(Exception):  # noqa: N818 - an end, not an error
    """The reader of stdout has closed the pipe."""


class PipeWriter(Metered):
    """Write audio blocks to a stream as WAV or raw samples, flushed after each block.

    Parameters
    ----------
    stream : binary file
        Such as ``sys.stdout.buffer``.
    encoding : AudioFormat
        Samples are encoded by its `subtype`; if `frames` is unknown, the WAV header marks it as ffmpeg does.
    raw : bool
        Whether to omit the header.
    """

    def __init__(self, stream: BinaryIO, encoding: AudioFormat, raw: bool = False) -> None:
        self._stream = stream
        self.encoding = encoding
        if not raw:
            self._send(wav_header(encoding))

    def write(self, block: np.ndarray) -> None:
        """Send ``(channels, n)``.

        Raises
        ------
        OutputClosed
            If the reader has closed the pipe.
        """
        if not block.shape[1]:
            return
        self.measure(block, "-")
        self._send(packed(block, self.encoding.sample_format))

    def _send(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush()
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            raise DeepnmfError(unprinted(error)) from None


def stdout_stream() -> BinaryIO:
    """Return stdout as a binary stream.

    Raises
    ------
    DeepnmfError
        If it is closed.
    """
    if sys.stdout is None:
        raise DeepnmfError("-: stdout is closed; name an output file")
    return sys.stdout.buffer


def pipe_encoding(like: AudioFormat, subtype: str | None = None, raw: bool = False) -> AudioFormat:
    """Return the stdout encoding closest to `like`: the same sample format if `raw`, WAV otherwise.

    Raises
    ------
    DeepnmfError
        If the stream cannot hold `subtype`.
    """
    known = BYTES if raw else WAV_TAGS
    subtype = subtype or (like.subtype if like.subtype in known else "PCM_16")
    if subtype not in known:
        raise DeepnmfError(f"-: stdout cannot hold subtype {subtype!r}; it can hold {', '.join(known)}")
    endian = like.endian if raw else "FILE"
    return dataclasses.replace(like, subtype=subtype, container="WAV", codec="", endian=endian)


def wav_header(encoding: AudioFormat) -> bytes:
    """Return the 44-byte header of a WAV stream."""
    size, channels = BYTES[encoding.subtype], encoding.channels
    length = UNKNOWN_LENGTH if encoding.frames is None else encoding.frames * channels * size
    length = min(length, UNKNOWN_LENGTH)
    return b"".join(
        [
            struct.pack("<4sI4s", b"RIFF", min(36 + length, UNKNOWN_LENGTH), b"WAVE"),
            struct.pack("<4sIHH", b"fmt ", 16, WAV_TAGS[encoding.subtype], channels),
            struct.pack("<IIHH", encoding.rate_hz, encoding.rate_hz * channels * size, channels * size, 8 * size),
            struct.pack("<4sI", b"data", length),
        ]
    )
