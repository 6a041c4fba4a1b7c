"""Formats beyond libsndfile's, videos included, decoded in process by FFmpeg's libraries: extra ``formats`` (PyAV).

PyAV instead of the program ``ffmpeg``: no subprocess, which could hang or be another version; loading takes 0.1 s once,
against 0.2 s for each start of the program; tags, channel layout and true sample width are available; access to other
files is controlled here; `pip` installs it (wheels of 25 to 40 MB). The file is passed as bytes without a name, formats
that refer to other files (playlists, HLS, DASH, concat) are not in the list below, and no protocol may be opened: a
recording cannot refer to another file or address.
"""

from __future__ import annotations

import errno
import functools
import itertools
import struct
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, MissingExtra
from .container import SourceContainer
from .covers import is_cover
from .formats import AudioFormat, Tags, library_reason
from .inputs import ByteStream
from .signatures import SIGNATURE_BYTES, signature
from .sizes import missing_bytes
from .window import Window

_DEMULTIPLEXERS = """
    aac ac3 aiff amr amrnb amrwb ape asf au avi caf dsf dss dts dtshd eac3 flac flv hcom iff ircam loas matroska mov mp3
    mpc mpc8 mpeg mpegts mxf nut nistsphere ogg oma qcp rm shn sox tak tta voc w64 wav wtv wv xwma
"""
FORMATS = tuple(_DEMULTIPLEXERS.split())
"""Demultiplexers that read one file and nothing else."""
PROMISING = ("mov", "matroska", "asf", "wv", "ape", "tta", "avi", "flac", "caf", "flv", "tak", "mpc", "mpc8", "w64")
"""Those that store their length; that of others is estimated from the file size."""
LENGTH_SLACK_SECONDS = 0.5
"""Tolerance of the stored length: encoder delay and rounded time stamps."""
LOWEST_VERSION = (17, 1)
"""Earlier versions crash the process on containers that declare their tracks late."""
OPUS_RATE_HZ = 48000
STALL_SECONDS = 60.0
GAP_SECONDS = 0.04
"""Smallest deviation of a time stamp that counts as a gap or an overlap: above rounding and the jitter of recorders,
below an audible offset from the picture."""
LARGEST_SECONDS = 200 * 3600.0
_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
"""NumPy's names of FFmpeg's sample formats, less the letter of planar ones."""
_SPEAKER_NAMES = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR"
_SPEAKERS = {name: 1 << bit for bit, name in enumerate(_SPEAKER_NAMES.split())}
_TAGS = {
    **{name: name for name in ("title", "artist", "album", "comment", "date", "genre", "copyright")},
    **{"track": "tracknumber", "encoder": "software", "description": "comment", "creation_time": "date"},
}


def open_ffmpeg(stream: ByteStream, reason: str, track: int = 1, in_time: bool = False) -> FfmpegDecoder:
    """Return a decoder of an audio track of a file.

    Parameters
    ----------
    stream : ByteStream
        A file, at its beginning.
    reason : str
        Error of the previous decoder.
    track : int
        Number of the audio track, from 1.
    in_time : bool
        Whether gaps between time stamps are filled with silence, and overlaps removed, so that sound stays in time with
        pictures.

    Raises
    ------
    DeepnmfError
        If there is no audio in it, or PyAV is not installed.
    """
    origin, head = stream.tell(), stream.peek(SIGNATURE_BYTES)
    if not head.strip(b"\0"):
        raise InputError(f"{stream.name}: not readable as audio (it holds only zeros)")
    try:
        import av
    except ImportError:
        what = reason if signature(head) else "unknown format signature"
        raise MissingExtra(
            f"{stream.name}: not readable as audio ({what or 'unknown format'}); a decoder of more formats", "av"
        ) from None
    if tuple(int(part) for part in av.__version__.split(".")[:2]) < LOWEST_VERSION:
        raise InputError(f"{stream.name}: PyAV {av.__version__} may crash on it; pip install 'av>=17.1'")
    av.logging.set_level(None)  # its lines lack the file name; the error has it
    try:
        return FfmpegDecoder(stream, track, in_time)
    except InputError:
        raise
    except (av.FFmpegError, ValueError, EOFError) as error:
        stream.seek(origin)
        raise InputError(f"{stream.name}: not readable as audio ({_refusal(error, stream)})") from None


def _refusal(error: Exception, stream: ByteStream) -> str:
    if getattr(error, "errno", None) == errno.EINVAL:
        return "not a supported format"
    if missing := missing_bytes(stream):
        return f"truncated, {missing} bytes are missing, among them headers needed to read the rest"
    known = signature(stream.peek(SIGNATURE_BYTES))
    return library_reason(error) if known else "unknown format signature"


class FfmpegDecoder:
    """An audio track of a file, at its own rate, with all its channels."""

    def __init__(self, stream: ByteStream, track: int = 1, in_time: bool = False) -> None:
        self._name, self._in_time = stream.name, in_time
        missing = missing_bytes(stream)
        self.lost = f"truncated, {missing} bytes are missing" if missing else ""
        self._reopen = functools.partial(_demultiplexer, stream.file, stream.tell(), stream.size or 0)
        self._demultiplexer: Any = self._reopen()
        tracks = self._demultiplexer.streams.audio
        if not tracks:
            raise InputError(f"{self._name}: not readable as audio (no audio track, only pictures or text)")
        if track > len(tracks):
            raise InputError(f"{self._name}: has no audio track {track}, only {len(tracks)}; choose another")
        self._track = tracks[track - 1]
        self.notes: list[str] = []
        if len(tracks) > 1 and not in_time:
            self.notes.append(f"{self._name}: only audio track {track} of {len(tracks)} was decoded")
        self._end_seconds, self._position = 0.0, 0
        frames = self._decoded()
        first = next(frames, None)
        if first is None:
            raise InputError(f"{self._name}: not readable as audio (no samples could be decoded from it)")
        self.encoding = self._encoding_of(first)
        self.container = SourceContainer(
            self._reopen, self._track.index, first.layout.name, _seconds(first) or 0.0, self._origin_seconds()
        )
        covers = [stream for stream in self._demultiplexer.streams.video if is_cover(stream)]
        self.tags = Tags(self._text(), cover=bool(covers))
        self._parts = self._trimmed(itertools.chain([first], frames))
        self._waiting: list[np.ndarray] = []

    def _origin_seconds(self) -> float:
        """Return the time stamp at which presentation starts; broadcast formats start anywhere."""
        is_broadcast = self._demultiplexer.format.name in ("mpegts", "mpeg")
        return (self._demultiplexer.start_time or 0) / 1e6 if is_broadcast else 0.0

    def read(self, count: int) -> np.ndarray:
        """Return up to `count` samples of each channel; none at the end."""
        missing = count - sum(part.shape[1] for part in self._waiting)
        while missing > 0 and (part := next(self._parts, None)) is not None:
            self._waiting.append(part)
            missing -= part.shape[1]
        joined = np.concatenate([*self._waiting, np.zeros((self.encoding.channels, 0), np.float32)], axis=1)
        self._waiting = [joined[:, count:]]
        self._position += min(count, joined.shape[1])
        if self._position > LARGEST_SECONDS * self.encoding.rate_hz:
            raise InputError(f"{self._name}: decodes to more than {LARGEST_SECONDS / 3600:.0f} hours; cut it in parts")
        return np.ascontiguousarray(joined[:, :count])

    def seek(self, frame: int) -> bool:
        """Seek to a sample; not possible exactly."""
        return frame == self._position

    def _decoded(self) -> Iterator[Any]:
        """Yield the frames of the track; undecodable ones are skipped and noted in `lost`."""
        import av

        last = time.monotonic()
        for packet in self._packets():
            try:
                frames = packet.decode() if packet.stream is self._track else []
            except (av.FFmpegError, EOFError) as error:
                self._note_damage(error)
                continue
            if time.monotonic() - last > STALL_SECONDS:
                raise InputError(f"{self._name}: no sound was decoded from it for {STALL_SECONDS:.0f} s; convert it")
            for frame in frames:
                yield frame
                last = time.monotonic()
        self._check_end()

    def _packets(self) -> Iterator[Any]:
        import av

        try:
            for packet in self._demultiplexer.demux(*self._timed_tracks()):
                self._note_time(packet)
                yield packet
        except (av.FFmpegError, EOFError) as error:
            self._note_damage(error)

    def _note_damage(self, error: Exception) -> None:
        self.lost = self.lost or f"damaged after {self._end_seconds:.3f} s ({library_reason(error)})"

    def _timed_tracks(self) -> list[Any]:
        """Return the tracks to demultiplex: all if only their common length is stored."""
        return [self._track] if self._track.duration is not None else list(self._demultiplexer.streams)

    def _note_time(self, packet: Any) -> None:
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._end_seconds = max(self._end_seconds, end)

    def _check_end(self) -> None:
        promised = self._promised_seconds()
        if not self.lost and promised and self._end_seconds < promised - LENGTH_SLACK_SECONDS:
            self.lost = f"truncated, {self._end_seconds:.3f} of {promised:.3f} s are present"

    def _promised_seconds(self) -> float:
        if self._demultiplexer.format.name.split(",")[0] not in PROMISING:
            return 0.0
        track, container = self._track, self._demultiplexer
        if track.duration is not None and track.time_base is not None:
            return float((max(0, track.start_time or 0) + track.duration) * track.time_base)
        return (max(0, container.start_time or 0) + (container.duration or 0)) / 1e6

    def _trimmed(self, frames: Iterator[Any]) -> Iterator[np.ndarray]:
        """Yield the samples of frames, without the encoder's padding of the last one."""
        held, count, promised = None, 0, self.encoding.frames
        for frame in frames:
            if held is not None:
                yield held
            held = self._samples(frame)
            if not count:
                held = held[:, _opus_delay(self._track.codec_context, frame.samples) :]
            elif self._in_time:
                held = self._placed(held, _seconds(frame), count)
            count += held.shape[1]
        if held is not None:
            added = count - promised if promised else 0
            yield held[:, : held.shape[1] - added] if 0 < added < held.shape[1] else held

    def _placed(self, samples: np.ndarray, seconds: float | None, position: int) -> np.ndarray:
        """Return the samples of a frame, with silence before them in a gap, or without their part in an overlap."""
        rate_hz = self.encoding.rate_hz
        late = 0.0 if seconds is None else seconds - self.container.start_seconds - position / rate_hz
        if abs(late) < GAP_SECONDS:
            return samples
        if late > LARGEST_SECONDS:
            raise InputError(f"{self._name}: a gap of {late:.0f} s after {position / rate_hz:.1f} s; repair it")
        missing = round(late * rate_hz)
        return np.pad(samples, ((0, 0), (missing, 0))) if missing > 0 else samples[:, -missing:]

    def _encoding_of(self, frame: Any) -> AudioFormat:
        mask = sum(_SPEAKERS.get(channel.name, 0) for channel in frame.layout.channels)
        own_length = self._track.duration is not None or len(self._demultiplexer.streams) == 1
        seconds = self._promised_seconds() if own_length else 0.0  # the video track may be longer
        return AudioFormat(
            frame.sample_rate,
            frame.layout.nb_channels,
            round(seconds * frame.sample_rate) or None,
            self._demultiplexer.format.name,
            _subtype(frame, self._track.codec_context.name),
            channel_mask=mask if mask.bit_count() == frame.layout.nb_channels > 2 else 0,
            codec=_codec(self._track.codec_context.codec),
        )

    def _samples(self, frame: Any) -> np.ndarray:
        """Return the samples of a frame, ``(channels, n)``, float32."""
        found = (frame.sample_rate, frame.layout.nb_channels)
        if found != (self.encoding.rate_hz, self.encoding.channels):
            raise InputError(
                f"{self._name}: changes to {found[0]} Hz, {found[1]} channels after "
                f"{self._position / self.encoding.rate_hz:.1f} s; convert it to one rate first"
            )
        values = _values(frame)
        if values.dtype.kind == "f":
            return np.asarray(values, np.float32)
        if values.dtype == np.uint8:
            return (values.astype(np.float32) - 128) / 128
        return (values / 2.0 ** (8 * values.itemsize - 1)).astype(np.float32)

    def _text(self) -> dict[str, str]:
        found = {**self._track.metadata, **self._demultiplexer.metadata}
        return {_TAGS[name.lower()]: _printable(text) for name, text in found.items() if name.lower() in _TAGS and text}


def _demultiplexer(file: BinaryIO, start: int, stop: int) -> Any:
    """Open a part of a file, which may be open more than once."""
    import av

    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "none"}
    # From 19 on, tags that are not UTF-8 always come with surrogates; earlier versions raise.
    lenient: dict[str, Any] = (
        {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
    )
    return av.open(Window(file, start, stop), options=options, **lenient)


def _values(frame: Any) -> np.ndarray:
    """Return the samples of a frame as they are stored, ``(channels, n)``."""
    dtype, channels = _DTYPES[frame.format.name.removesuffix("p")], frame.layout.nb_channels
    if not frame.format.is_planar:
        return np.frombuffer(frame.planes[0], dtype, frame.samples * channels).reshape(-1, channels).T
    # Not by `to_ndarray`: of 8 channels or more, PyAV also reads a plane that is not there, which crashes the process.
    return np.stack([np.frombuffer(plane, dtype, frame.samples) for plane in frame.planes[:channels]])


def _seconds(frame: Any) -> float | None:
    return None if frame.pts is None else float(frame.pts * frame.time_base)


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _opus_delay(codec: Any, samples: int) -> int:
    """Return the encoder delay that FFmpeg leaves in the first frame of Opus in Matroska.

    It removes the delay of `OpusHead`, given at 48 kHz, as if it were given at the encoded rate.
    """
    head = codec.extradata or b""
    if codec.name != "opus" or len(head) < 16:
        return 0
    delay, rate_hz = struct.unpack("<HI", head[10:16])
    taken = round(delay * rate_hz / OPUS_RATE_HZ)
    whole = samples + taken  # a frame lasts a multiple of 2.5 ms
    return max(0, delay - taken) if whole % (OPUS_RATE_HZ // 400) == 0 else 0


def _codec(decoder: Any) -> str:
    """Return the name of the codec of a decoder, one for all sample formats of linear PCM."""
    name = str(decoder.canonical_name)
    return "pcm" if name.startswith("pcm_") and decoder.lossless else name


def _subtype(frame: Any, codec: str) -> str:
    """Return the subtype that preserves the decoded samples; lossy codecs decode to floats, worth 16 bits."""
    kind = frame.format.name.removesuffix("p")
    if kind == "s32":
        wide = (_values(frame) & 0xFF).any()
        return "PCM_32" if wide else "PCM_24"
    lossless = codec.startswith(("pcm_", "wavpack", "tta"))
    return {"u8": "PCM_U8", "flt": "FLOAT" if lossless else "PCM_16", "dbl": "DOUBLE"}.get(kind, "PCM_16")
