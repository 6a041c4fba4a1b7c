"""Encodings of outputs: from every readable format to every writable one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..audio.codecs import BITS, codec_of, codec_title, is_lossless, written_codec
from ..audio.formats import (
    EXTENSIONS,
    SUBTYPES,
    WAV_LIKE,
    AudioFormat,
    container_of,
    encoding_for,
    is_video,
)
from ..audio.samples import UNBOUNDED
from ..audio.writer import AudioWriter
from ..errors import DeepnmfError

if TYPE_CHECKING:
    from ..audio.container import ContainerWriter

MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
HIGHEST_RATE_HZ = {"VORBIS": 192000, "FLAC": 655350}
"""libsndfile crashes the process at Vorbis rates above 200 kHz."""
MOST_CHANNELS = {"FLAC": 8, "MP3": 2, "OGG": 255, "ALAC": 8}
PORTABLE = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
"""Subtypes with the same meaning in every container. Others are kept within their container only."""
READ_ONLY = ("MPEG_LAYER_I", "MPEG_LAYER_II")


def is_writable(path: Path) -> bool:
    """Whether the suffix of a name denotes a writable format."""
    return path.suffix.lower() in EXTENSIONS


def output_encoding(path: Path, like: AudioFormat, subtype: str | None = None) -> AudioFormat:
    """Return the encoding of an output: by its suffix, and otherwise as close to `like` as that format allows.

    Sample width is kept or widened; the sampling rate is kept if the format supports it, otherwise the next
    higher one is used, or the highest.

    Raises
    ------
    DeepnmfError
        If the format cannot be written, cannot hold the subtype or does not support so many channels.

    Examples
    --------
    >>> opus = output_encoding(Path("x.opus"), AudioFormat(44100, 2, None, "WAV", "PCM_24"))
    >>> opus.subtype, opus.rate_hz
    ('OPUS', 48000)
    """
    if not is_writable(path):
        raise DeepnmfError(f"{path}: {path.suffix or 'no suffix'} is not a format to write; {SUGGESTION}")
    encoding = encoding_for(
        path, like.rate_hz, like.channels, like.frames, like=like, subtype=subtype or _closest_subtype(path, like)
    )
    most = MOST_CHANNELS.get(encoding.subtype.partition("_")[0], MOST_CHANNELS.get(encoding.container))
    if most is not None and like.channels > most:
        raise DeepnmfError(
            f"{path}: {encoding.container} has at most {most} channels, not {like.channels}; choose .wav"
        )
    return dataclasses.replace(encoding, rate_hz=_closest_rate(encoding))


SUGGESTION = "choose .wav, .flac, .ogg, .opus, .mp3 or .m4a, and for a video .mp4, .mov, .mkv or .webm"


def _closest_subtype(path: Path, like: AudioFormat) -> str:
    import soundfile

    default = encoding_for(path, like.rate_hz, like.channels, like.frames)
    if like.subtype in READ_ONLY or default.subtype == "OPUS":
        return default.subtype
    same = [_own_subtype(like), like.subtype] if default.container in _containers(like) else []
    wanted = [like.subtype] if like.subtype in PORTABLE and not same else same
    wanted += {24: ["PCM_24"], 32: ["PCM_32", "PCM_24"]}.get(BITS.get(like.subtype, 16), [])
    return next((s for s in wanted if soundfile.check_format(default.container, s)), default.subtype)


def _own_subtype(like: AudioFormat) -> str:
    """Return the subtype of the codec of sound that FFmpeg decodes, in containers that libsndfile writes as well."""
    wide = BITS.get(like.subtype, 16) > 16
    own = {"opus": "OPUS", "mp3": "MPEG_LAYER_III", "alac": "ALAC_24" if wide else "ALAC_16"}
    return own.get(like.codec, like.subtype)


def _containers(like: AudioFormat) -> list[str]:
    """Return libsndfile's names of a container; FFmpeg has one demultiplexer for several."""
    return [WAV_LIKE.get(name, name) for name in like.container.upper().split(",")]


def is_ogg_flac(path: Path, like: AudioFormat) -> bool:
    """Whether an output is to be FLAC in Ogg: if the input is, and the name does not ask for Opus."""
    as_ogg = container_of(path) == "OGG" and path.suffix.lower() not in SUBTYPES
    return as_ogg and "OGG" in _containers(like) and codec_of(like) == "flac"


def codec_notes(path: Path, written: AudioFormat, like: AudioFormat, source: Path) -> list[str]:
    """Return the warning that an output has another codec than its input, unless its name asks for another format.

    Parameters
    ----------
    path : Path
        The output.
    written, like : AudioFormat
        Encodings of output and input.
    source : Path
        Name of the input.
    """
    codec, was = codec_of(written), codec_of(like)
    if codec == was or not _keeps_format(path, like, source):
        return []
    return [f"{path}: stored as {codec_title(codec)} instead of {codec_title(was)}, {_advice(path, written, like)}"]


def _keeps_format(path: Path, like: AudioFormat, source: Path) -> bool:
    """Whether the name of an output asks for the format of the input, or, as that of a video, for no codec."""
    suffix = path.suffix.lower()
    same = container_of(path) in _containers(like) and suffix not in SUBTYPES
    return same or is_video(path) or suffix == source.suffix.lower()


def _advice(path: Path, written: AudioFormat, like: AudioFormat) -> str:
    """Return what follows from another codec, and what to do about it."""
    was = codec_of(like)
    if is_lossless(codec_of(written)):
        narrower = written.subtype == "PCM_24" and like.subtype in ("PCM_32", *UNBOUNDED)
        return "at 24 bits" if narrower else "without loss"
    if is_video(path) and written_codec(".mkv", like) == was:
        return f"with some loss; .mkv can hold {codec_title(was)}"
    return f"with some loss; choose .flac{' for the sound alone' if is_video(path) else ''} to avoid it"


def _closest_rate(encoding: AudioFormat) -> int:
    rates = {"MPEG_LAYER_III": MP3_RATES_HZ, "OPUS": OPUS_RATES_HZ}.get(encoding.subtype)
    if rates is None:
        highest = HIGHEST_RATE_HZ.get(encoding.subtype, HIGHEST_RATE_HZ.get(encoding.container, encoding.rate_hz))
        return min(encoding.rate_hz, highest)
    return next((rate for rate in rates if rate >= encoding.rate_hz), rates[-1])


class ResamplingWriter:
    """A writer that resamples to the rate of its file.

    Parameters
    ----------
    writer : AudioWriter or ContainerWriter
        Open.
    rate_hz : int
        Sampling rate of the samples.
    """

    def __init__(self, writer: AudioWriter | ContainerWriter, rate_hz: int) -> None:
        import soxr

        self.encoding = writer.encoding
        self._writer = writer
        self._channels = writer.encoding.channels
        self._stream = soxr.ResampleStream(rate_hz, writer.encoding.rate_hz, self._channels, dtype="float32")

    @property
    def notes(self) -> list[str]:
        """Metadata that the format cannot store."""
        return self._writer.notes

    @property
    def clipped(self) -> int:
        """Samples that were clipped."""
        return self._writer.clipped

    @property
    def peak(self) -> float:
        """Largest sample."""
        return self._writer.peak

    def write(self, block: np.ndarray) -> None:
        """Append ``(channels, n)``."""
        self._push(block, last=False)

    def finish(self) -> None:
        """Write the samples left in the filter."""
        self._push(np.zeros((self._channels, 0), np.float32), last=True)

    def _push(self, block: np.ndarray, last: bool) -> None:
        samples = np.ascontiguousarray(block.T if self._channels > 1 else block[0])
        self._writer.write(np.atleast_2d(self._stream.resample_chunk(samples, last=last).T))


FileWriter: TypeAlias = "AudioWriter | ContainerWriter | ResamplingWriter"
"""What a file is written by."""


@contextlib.contextmanager
def resampled(writer: AudioWriter | ContainerWriter, rate_hz: int) -> Iterator[FileWriter]:
    """Yield the writer, wrapped in a resampler if its file has another rate than `rate_hz`."""
    if writer.encoding.rate_hz == rate_hz:
        yield writer
        return
    resampling = ResamplingWriter(writer, rate_hz)
    yield resampling
    resampling.finish()
