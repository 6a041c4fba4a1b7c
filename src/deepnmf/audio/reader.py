"""The one reader of recordings: files, FIFOs and stdin, in any format, in blocks, in bounded memory.

The decoder is chosen by content, never by name. WAV and raw samples are decoded as they arrive (:mod:`.wav`), other
formats by libsndfile (:mod:`.sndfile`), and the rest by FFmpeg's libraries, if installed (:mod:`.ffmpeg`). The last two
need a file: a stream in such a format is first spooled to a temporary one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import DeepnmfError, InputError, is_installed
from . import wav
from .formats import LARGEST_CHANNELS, LARGEST_SAMPLE, RATE_RANGE_HZ, AudioFormat, NotOurs, Tags
from .inputs import ByteStream, open_input
from .signatures import SIGNATURE_BYTES, signature

if TYPE_CHECKING:
    from .container import SourceContainer

BLOCK_SECONDS = 2.0
UNKNOWN_BYTES = 1 << 26
"""A stream of unknown signature is spooled up to this size, for decoders that probe further."""
BLOCK_VALUES = 1 << 22
"""Bound of a block over all channels, against absurd rates and channel counts in headers."""


class Decoder(Protocol):
    """Decodes a format.

    Attributes
    ----------
    lost : str
        Description of data missing by the header's count; empty if complete or unknown.
    """

    encoding: AudioFormat
    tags: Tags
    notes: list[str]
    lost: str

    def read(self, count: int) -> np.ndarray:
        """Return up to `count` samples of each channel, ``(channels, n)``, float32; none at the end."""

    def seek(self, frame: int) -> bool:
        """Seek to a sample; return whether that is possible."""


class AudioReader:
    """A recording read in blocks.

    A growing file is read up to its length at opening.

    Parameters
    ----------
    source : Path or str
        A file, a FIFO, or ``"-"`` for stdin.
    raw : AudioFormat, optional
        Format of samples without a header; by default detected from the content.
    salvage : bool
        Whether to use the readable part of a truncated or damaged recording.
    track : int
        Number of the audio track, from 1, where the format has several.
    in_time : bool
        Whether to fill gaps in the sound of a video, so that it stays in time with the picture.

    Attributes
    ----------
    path : str
        The name of the source.
    encoding : AudioFormat
        Its `frames` are the header's count, which may be wrong.
    tags : Tags
        Title and the like.
    notes : list of str
        One line per loss of data; complete after the last block.

    Raises
    ------
    DeepnmfError
        If the source is missing, not audio, empty or, without `salvage`, truncated.
    """

    def __init__(
        self,
        source: Path | str,
        raw: AudioFormat | None = None,
        salvage: bool = False,
        track: int = 1,
        in_time: bool = False,
    ) -> None:
        self.path = str(source)
        self._raw, self._salvage, self._track, self._in_time = raw, salvage, track, in_time
        self._loss_reported, self._position = False, 0
        self._stream = open_input(source)
        try:
            self._origin = self._stream.tell() if self._stream.size is not None else 0
            self._decoder = self._open_decoder()
            self._check()
        except BaseException:
            self._stream.close()
            raise

    @property
    def container(self) -> SourceContainer | None:
        """The container of the recording, if FFmpeg reads it: its other tracks and tags can be copied."""
        from .ffmpeg import FfmpegDecoder

        return self._decoder.container if isinstance(self._decoder, FfmpegDecoder) else None

    def _open_decoder(self) -> Decoder:
        """Return the decoder of the stream's contents."""
        stream, raw = self._stream, self._raw
        if raw is not None:
            return wav.SampleReader(stream, raw, raw.sample_format, None)
        decoder = _plain_decoder(stream)
        if isinstance(decoder, NotOurs):
            from .ffmpeg import open_ffmpeg

            lost = decoder.lost
            decoder = open_ffmpeg(stream, str(decoder), self._track, self._in_time)
            decoder.lost = decoder.lost or lost
        elif self._track > 1:
            raise InputError(f"{self.path}: has no audio track {self._track}, only 1; choose another")
        return decoder

    def _check(self) -> None:
        self.encoding, self.tags, self.notes = self._decoder.encoding, self._decoder.tags, self._decoder.notes
        if not 0 < self.encoding.channels <= LARGEST_CHANNELS:
            raise InputError(f"{self.path}: {self.encoding.channels} channels; 1 to {LARGEST_CHANNELS} can be read")
        rate_hz, (lowest, highest) = self.encoding.rate_hz, RATE_RANGE_HZ
        if not lowest <= rate_hz <= highest:
            raise InputError(
                f"{self.path}: a sampling rate of {rate_hz} Hz is outside {lowest} to {highest} Hz; resample it"
            )
        self._report_loss()
        if self.encoding.frames == 0 and not self._loss_reported:
            raise self._empty()

    def blocks(self, seconds: float = BLOCK_SECONDS, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield blocks ``(channels, n)``, float32, of at most about `seconds`, from sample `start` up to `stop`.

        Raises
        ------
        DeepnmfError
            If it ends early or cannot be decoded, without `salvage`, or holds a sample that is NaN, infinite or
            above 1e6.
        """
        step = max(1, int(min(seconds * self.encoding.rate_hz, BLOCK_VALUES // self.encoding.channels)))
        self._go_to(start)
        while stop is None or self._position < stop:
            block = self._decoder.read(step if stop is None else min(step, stop - self._position))
            self._check_samples(block)
            self._position += block.shape[1]
            goes_on = self._report_loss()
            if block.shape[1]:
                yield block
            elif not goes_on:
                return self._end()

    def count_frames(self) -> int:
        """Return the number of samples of each channel; if the header lacks it, the file is decoded to count."""
        if self.encoding.frames is not None:
            return self.encoding.frames
        return sum(block.shape[1] for block in self.blocks())

    def _end(self) -> None:
        if not self._position:
            raise self._empty()

    def _go_to(self, start: int) -> None:
        """Go to sample `start`, or to the end if that comes first; formats without seeking are decoded up to there."""
        if start == self._position:
            return
        if not self._decoder.seek(start):
            if start < self._position:
                self._rewind()
            self._skip(start - self._position)
        self._position = start

    def _rewind(self) -> None:
        if self._stream.size is None:
            raise InputError(f"{self.path}: a stream cannot be read twice; give a file")
        self._stream.seek(self._origin)
        self._decoder, self._position = self._open_decoder(), 0

    def _check_samples(self, block: np.ndarray) -> None:
        if block.min(initial=0.0) >= -LARGEST_SAMPLE and block.max(initial=0.0) <= LARGEST_SAMPLE:  # false for NaN
            return
        valid = (np.abs(block) <= LARGEST_SAMPLE).all(axis=0)
        first = int(np.argmin(valid))
        at = (self._position + first) / self.encoding.rate_hz
        if np.isfinite(block[:, first]).all():
            peak = np.abs(block[:, first]).max()
            raise InputError(f"{self.path}: a sample of {peak:.0e} at {at:.3f} s; full scale is 1, scale it down")
        raise InputError(f"{self.path}: holds NaN or infinite samples, the first at {at:.3f} s; repair it first")

    def _report_loss(self) -> bool:
        """Reject a truncated or damaged recording; with `salvage`, note it once.

        Returns
        -------
        bool
            Whether another decoder continues where this one ended.
        """
        lost = self._decoder.lost
        if not lost or self._loss_reported:
            return False
        if not self._salvage:
            raise InputError(f"{self.path}: {lost}; fetch it again, or salvage the readable part")
        self._loss_reported = True
        self.notes.append(f"{self.path}: {lost}; the readable part was used")
        from .sndfile import SndfileDecoder

        return isinstance(self._decoder, SndfileDecoder) and is_installed("av") and self._go_on_with_ffmpeg()

    def _go_on_with_ffmpeg(self) -> bool:
        """Change the decoder: where libsndfile stops, FFmpeg skips damaged frames and continues."""
        from .ffmpeg import open_ffmpeg

        self._stream.seek(self._origin)
        try:
            decoder = open_ffmpeg(self._stream, "")
        except DeepnmfError:  # also a PyAV that cannot be imported
            return False
        if (decoder.encoding.rate_hz, decoder.encoding.channels) != (self.encoding.rate_hz, self.encoding.channels):
            return False
        self._decoder = decoder
        self._skip(self._position)
        return True

    def _skip(self, count: int) -> None:
        """Read and discard `count` samples."""
        step = BLOCK_VALUES // self.encoding.channels
        while count > 0 and (n := self._decoder.read(min(step, count)).shape[1]):
            count -= n

    def _empty(self) -> InputError:
        return InputError(f"{self.path}: no samples in it; leave it out")

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _plain_decoder(stream: ByteStream) -> Decoder | NotOurs:
    """Return the decoder of WAV and libsndfile's formats, or why it is neither, at the beginning of the stream."""
    head = stream.peek(12)
    if not head:
        raise InputError(f"{stream.name}: not readable as audio (it is empty); check the program that wrote it")
    if head[:4] in wav.MAGIC and head[8:] == b"WAVE":
        with contextlib.suppress(NotOurs):
            return wav.open_wav(stream)
    stream.spool(None if signature(stream.peek(SIGNATURE_BYTES)) else UNKNOWN_BYTES)
    origin = stream.tell()
    from .sndfile import open_sndfile

    try:
        return open_sndfile(stream)
    except NotOurs as reason:
        stream.seek(origin)
        return reason
