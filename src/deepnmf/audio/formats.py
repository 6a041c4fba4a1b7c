"""How audio is stored: encodings, tags, the suffixes of formats, and the interfaces of audio sources and sinks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import DeepnmfError
from .samples import BYTES, UNBOUNDED, SampleFormat

if TYPE_CHECKING:
    from .container import SourceContainer

EXTENSIONS = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".w64"),
)
"""Suffixes of the audio files that can be written."""
VIDEO_EXTENSIONS = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
"""Suffixes of the videos that can be written, with PyAV, from other videos."""
M4A = ".m4a"
"""Suffix of sound in MPEG-4, which is written with PyAV too."""
_OTHER_FORMATS = """
    m4a m4b m4r m4v mp4 mov 3gp 3g2 f4v aac adts amr awb ac3 eac3 dts wma wmv asf webm weba mkv mka avi flv mpg mpeg ts
    m2ts mts mp2 mp1 ape wv tta spx ogv ogx dsf qcp aiffc bwf rf64 sph nist voc sf ircam mpc tak
"""
DECODED = tuple(f".{name}" for name in _OTHER_FORMATS.split())
"""Suffixes of further readable formats: phone recordings, videos, old and rare ones; videos and .m4a are written."""
READABLE = EXTENSIONS + DECODED
CONTAINERS = {".aif": "AIFF", ".aifc": "AIFF", ".opus": "OGG", ".oga": "OGG", ".snd": "AU", ".wave": "WAV"}
"""libsndfile's format for suffixes that differ from its name."""
SUBTYPES = {".opus": "OPUS"}
"""Subtype of suffixes that are not the default of their format."""
LARGEST_WAV_BYTES = 2**32 - 2**16
LARGEST_CHANNELS = 256
RATE_RANGE_HZ = (2000, 768000)
LARGEST_SAMPLE = 1e6
"""Larger samples are not audio of full scale 1, and their squares would approach the limit of float32."""
WAV_LIKE = {"WAVEX": "WAV", "RF64": "WAV"}
LAYOUTS = {
    1: (0x4,),
    2: (0x3,),
    3: (0x7,),
    4: (0x33,),
    5: (0x37, 0x607),
    6: (0x3F, 0x60F),
    7: (0x70F,),
    8: (0x63F, 0xFF),
}
"""Speaker layouts that a number of channels implies in formats without a channel mask."""


@dataclass(frozen=True)
class AudioFormat:
    """How audio is stored.

    Attributes
    ----------
    rate_hz, channels : int
        Sampling rate and number of channels.
    frames : int or None
        Samples per channel, or None if unknown before the end; for a stream, the header's count.
    container, subtype, endian : str
        In libsndfile's names, such as ``"WAV"``, ``"PCM_16"``, ``"FILE"``.
    channel_mask : int
        Speakers of the channels as WAV's bits; 0 if unspecified.
    codec : str
        FFmpeg's name of the codec if FFmpeg decodes or encodes it; otherwise the subtype implies it
        (:func:`deepnmf.audio.codecs.codec_of`).
    """

    rate_hz: int
    channels: int
    frames: int | None
    container: str
    subtype: str
    endian: str = "FILE"
    channel_mask: int = 0
    codec: str = ""

    @property
    def sample_format(self) -> SampleFormat:
        """The format of a sample of linear PCM, floats, mu-law or A-law."""
        return SampleFormat(self.subtype, self.endian == "BIG")


@dataclass(frozen=True)
class Tags:
    """Metadata of a recording.

    Attributes
    ----------
    text : dict of str to str
        By libsndfile's names, such as ``"title"``.
    chunks : tuple of (bytes, bytes)
        Chunks of WAV, name and contents, such as ``bext``, ``iXML`` and ``cue``.
    cover : bool
        Whether there is a picture, of which no copy is kept.
    """

    text: dict[str, str] = dataclasses.field(default_factory=dict)
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    cover: bool = False


class NotOurs(Exception):  # noqa: N818 - not an error: the next decoder is tried
    """A format that this decoder does not support.

    Parameters
    ----------
    found : str
        The format found.
    lost : str
        Data missing from the file, with any decoder.
    """

    def __init__(self, found: str = "", lost: str = "") -> None:
        super().__init__(found)
        self.lost = lost


class AudioSource(Protocol):
    """Audio that comes in blocks: :class:`deepnmf.audio.reader.AudioReader` is one."""

    path: str
    """Its name: that of a file, or ``-``."""
    encoding: AudioFormat
    tags: Tags
    notes: list[str]
    """One line per loss of data; complete after the last block."""

    @property
    def container(self) -> SourceContainer | None:
        """The container of the recording, if FFmpeg reads it: its other tracks and tags can be copied."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks ``(channels, n)``, float32."""


def is_video(path: Path | str) -> bool:
    """Whether the suffix of a name denotes a video that can be written."""
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS


def is_m4a(path: Path | str) -> bool:
    """Whether the suffix of a name denotes sound in MPEG-4."""
    return Path(path).suffix.lower() == M4A


def container_of(path: Path) -> str:
    """Return libsndfile's name of the format that a suffix denotes; of other formats, the suffix in capitals."""
    suffix = Path(path).suffix.lower()
    return CONTAINERS.get(suffix, suffix[1:].upper())


class Sink(Protocol):
    """Anything that takes blocks ``(channels, n)``: :class:`deepnmf.audio.writer.AudioWriter` is one."""

    def write(self, block: np.ndarray) -> None:
        """Append a block."""


def encoding_for(
    path: Path,
    rate_hz: int,
    channels: int,
    frames: int | None,
    *,
    like: AudioFormat | None = None,
    subtype: str | None = None,
) -> AudioFormat:
    """Return the encoding of a file to write: by its suffix, and otherwise as close to `like` as that format allows.

    Raises
    ------
    DeepnmfError
        If the suffix names no format, or the format cannot hold the subtype.
    """
    import soundfile

    suffix, container = Path(path).suffix.lower(), container_of(path)
    if suffix not in EXTENSIONS or container not in soundfile.available_formats():
        raise DeepnmfError(f"{path}: unknown audio format {suffix!r}; use .wav, .flac, .ogg or .mp3")
    endian, mask = "FILE", like.channel_mask if like is not None else 0
    if like is not None and container == WAV_LIKE.get(like.container, like.container):
        container, endian = like.container, like.endian
    if mask and container == "WAV":
        container = "WAVEX"
    if subtype is not None:
        if not soundfile.check_format(container, subtype):
            known = ", ".join(soundfile.available_subtypes(container))
            raise DeepnmfError(f"{path}: {container} cannot hold subtype {subtype!r}; it can hold {known}")
    else:
        subtype = _closest_subtype(container, suffix, like)
    encoding = AudioFormat(rate_hz, channels, frames, container, subtype, endian, mask)
    return dataclasses.replace(encoding, container="RF64") if too_long(encoding) else encoding


def _closest_subtype(container: str, suffix: str, like: AudioFormat | None) -> str:
    import soundfile

    default = SUBTYPES.get(suffix) or soundfile.default_subtype(container)
    if like is None or default == "OPUS":
        return str(default)
    finer = ("PCM_24",) if like.subtype in (*UNBOUNDED, "PCM_32") else ()
    return next(str(s) for s in (like.subtype, *finer, default) if soundfile.check_format(container, s))


def too_long(encoding: AudioFormat) -> bool:
    """Whether WAV's 32-bit lengths cannot hold it."""
    size = (encoding.frames or 0) * encoding.channels * BYTES.get(encoding.subtype, 2)
    return encoding.container in ("WAV", "WAVEX") and size > LARGEST_WAV_BYTES


def library_reason(error: Exception) -> str:
    """Return the message of a library's exception, without the file name."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
    return str(text).strip().rstrip(".")
