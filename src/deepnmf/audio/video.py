"""A video whose sound is replaced: one audio track encoded anew, all other tracks copied packet by packet.

The copied packets are demultiplexed a second time from the source as the new sound advances, so that memory stays
bounded (:mod:`deepnmf.audio.ffmpeg` reads the sound). PyAV's containers are `Any`: light installs lack it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import DeepnmfError, InputError
from .formats import AudioFormat, library_reason
from .video_packets import PacketCopier
from .writer import finite_peak

CODECS = {".mp4": "aac", ".m4v": "aac", ".mov": "aac", ".mkv": "aac", ".webm": "libopus"}
"""FFmpeg's encoder of the usual audio codec of each container."""
CODEC_NAMES = {"aac": "AAC", "libopus": "Opus"}
BITS_PER_CHANNEL = 128_000
"""Bit rate of the sound per channel, at which both codecs are transparent; up to twice that if the source has more."""
_SOURCE_TAGS = {
    *("bps", "duration", "number_of_frames", "number_of_bytes", "encoder"),
    *("major_brand", "minor_version", "compatible_brands"),
}
"""Tags on the source's own bytes."""
_APPLE = "com."
"""Tags with this prefix are kept by MP4 and MOV in Apple's form only."""


@dataclass(frozen=True)
class Video:
    """The container of a recording that FFmpeg decodes, to be copied.

    Attributes
    ----------
    open : callable
        Returns a new demultiplexer of it.
    track : int
        Index of the decoded audio track among all tracks.
    layout : str
        FFmpeg's name of its channel layout.
    start_seconds : float
        Time stamp of its first sample.
    origin_seconds : float
        Time stamp that becomes zero.
    """

    open: Callable[[], Any]
    track: int
    layout: str
    start_seconds: float
    origin_seconds: float


class VideoWriter:
    """A video written in blocks of sound; use it on the temporary name of :func:`deepnmf.artifacts.atomic_path`.

    Parameters
    ----------
    path : Path
        File to write.
    like : AudioFormat
        Encoding of the sound that is replaced.
    video : Video or None
        Its container.
    shown : Path
        Name to give in errors.

    Attributes
    ----------
    encoding : AudioFormat
        Encoding of the new sound; its sampling rate may differ from that of `like`.
    clipped, peak : int, float
        Samples above full scale, which were clipped, and the largest sample.
    notes : list of str
        One line for each track that the container cannot store, and for the choice among several audio tracks.

    Raises
    ------
    DeepnmfError
        If there is no video, no encoder, or the container cannot store pictures or sound.
    """

    def __init__(self, path: Path, like: AudioFormat, video: Video | None, shown: Path) -> None:
        if video is None:
            raise InputError(f"{shown}: the input has no picture to put the sound beside; choose .wav, .flac or .mp3")
        self.clipped, self.peak, self.notes = 0, 0.0, list[str]()
        self._shown, self._video, self._suffix = shown, video, shown.suffix.lower()
        self._codec = CODECS[self._suffix]
        self.encoding = replace(like, rate_hz=self._closest_rate(like.rate_hz))
        self._written = 0
        with self._faults_named():
            self._source = video.open()
            self._output = self._open(path)
            tracks = self._add_tracks()
            self._output.set_chapters(self._source.chapters())
            self._output.metadata.update(_true_tags(self._source.metadata))
            self._output.start_encoding()
        self._copier = PacketCopier(self._source, tracks, video.origin_seconds, strict=not self._is_matroska)

    @property
    def _is_matroska(self) -> bool:
        return self._suffix in (".mkv", ".webm")

    def _closest_rate(self, rate_hz: int) -> int:
        """Return the lowest sampling rate of the codec that is not below `rate_hz`, or its highest."""
        import av

        try:
            rates = sorted(av.codec.Codec(self._codec, "w").audio_rates or [rate_hz])
        except ValueError:  # UnknownCodecError
            raise DeepnmfError(
                f"{self._shown}: this PyAV has no encoder of {CODEC_NAMES[self._codec]}; the wheel of the extra "
                "formats has one: pip install --force-reinstall --only-binary av av; or choose .wav"
            ) from None
        return next((rate for rate in rates if rate >= rate_hz), rates[-1])

    def _open(self, path: Path) -> Any:
        import av

        apple = any(name.startswith(_APPLE) for name in self._source.metadata)
        options = {
            "movflags": "+faststart" + "+use_metadata_tags" * apple,
            "movie_timescale": str(self.encoding.rate_hz),  # else a late start is rounded to 1 ms
        }
        # An absolute name has no colon that FFmpeg would take for the end of a protocol's.
        return av.open(str(path.absolute()), "w", container_options={} if self._is_matroska else options)

    def _add_tracks(self) -> dict[int, Any]:
        """Return the tracks of copied packets by the index of the source's; the sound keeps its place among them."""
        tracks = {}
        for stream in self._source.streams:
            if stream.index == self._video.track:
                self._sound = self._add_sound(stream)
            elif (track := self._add_copy(stream)) is not None:
                tracks[stream.index] = track
        sounds = [stream.index for stream in self._source.streams.audio]
        if len(sounds) > 1:
            chosen = sounds.index(self._video.track) + 1
            self.notes.append(f"{self._shown}: only audio track {chosen} of {len(sounds)} was enhanced")
        return tracks

    def _add_sound(self, stream: Any) -> Any:
        import av

        channels = self.encoding.channels
        least = BITS_PER_CHANNEL * channels
        sound = self._output.add_stream(self._codec, rate=self.encoding.rate_hz)
        try:
            sound.codec_context.layout = self._video.layout
            sound.codec_context.bit_rate = min(max(stream.codec_context.bit_rate or 0, least), 2 * least)
            sound.codec_context.time_base = Fraction(1, self.encoding.rate_hz)
            sound.codec_context.open()
        except (av.FFmpegError, ValueError):
            codec = CODEC_NAMES[self._codec]
            raise DeepnmfError(f"{self._shown}: {codec} cannot hold {channels} channels; choose .wav") from None
        sound.metadata.update(_true_tags(stream.metadata))
        sound.disposition = stream.disposition
        return sound

    def _add_copy(self, stream: Any) -> Any:
        """Return the track for the packets of another, or None with a note."""
        if stream.type == "data" and self._source.chapters() and stream.name == "bin_data":
            return None  # the titles of the chapters, which are copied on their own
        try:
            return self._copy_of(stream)
        except ValueError:
            codec = getattr(stream, "name", None) or "unknown"
            if stream.type == "video" and not stream.disposition & stream.disposition.attached_pic:
                what = f"{self._suffix} cannot hold pictures in {codec}"
                raise DeepnmfError(f"{self._shown}: {what}; choose .mkv, or .wav for the sound alone") from None
            what = f"{stream.type} track {stream.index + 1} ({codec})"
            self.notes.append(f"{self._shown}: {what} is left out, as {self._suffix} cannot hold it")
            return None

    def _copy_of(self, stream: Any) -> Any:
        if stream.type == "data" or (stream.type == "attachment" and self._suffix != ".mkv"):
            raise ValueError  # data of recorders have no format of their own
        track = self._output.add_stream_from_template(stream, opaque=True)
        track.metadata.update(_true_tags(stream.metadata))
        track.disposition = stream.disposition
        if stream.type == "video" and not self._is_matroska:
            if "mov" in self._source.format.name:
                track.codec_context.codec_tag = stream.codec_context.codec_tag
            elif stream.codec_context.name == "hevc":
                track.codec_context.codec_tag = "hvc1"  # Apple's players refuse the default, hev1
        return track

    def write(self, block: np.ndarray) -> None:
        """Append sound ``(channels, n)``; other tracks are copied up to its end."""
        if not block.shape[1]:
            return
        self.peak = max(self.peak, finite_peak(block, self._shown))
        self.clipped += int((np.abs(block) > 1).sum())
        with self._faults_named():
            self._output.mux(self._sound.encode(self._frame(np.clip(block, -1, 1))))
            self._written += block.shape[1]
            for packet in self._copier.until(self._seconds()):
                self._output.mux(packet)

    def _seconds(self) -> float:
        start_seconds = self._video.start_seconds - self._video.origin_seconds
        return start_seconds + self._written / self.encoding.rate_hz

    def _frame(self, block: np.ndarray) -> Any:
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32), "fltp", self._video.layout)
        frame.sample_rate, frame.time_base = self.encoding.rate_hz, Fraction(1, self.encoding.rate_hz)
        frame.pts = round(self._seconds() * self.encoding.rate_hz)
        return frame

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(Exception):  # the first error is the one to report
                self._output.close()
            return
        with self._faults_named():
            self._output.mux(self._sound.encode(None))
            for packet in self._copier.until(float("inf")):
                self._output.mux(packet)
            self._output.close()

    @contextlib.contextmanager
    def _faults_named(self) -> Iterator[None]:
        import av

        try:
            yield
        except av.FFmpegError as error:
            raise DeepnmfError(f"{self._shown}: cannot write ({library_reason(error)})") from None


def _true_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags that hold for the new file as well."""
    return {name: text for name, text in tags.items() if name.lower().partition("-")[0] not in _SOURCE_TAGS}
