"""A video whose sound is replaced: one audio track re-encoded, all other tracks copied packet by packet.

The copied packets are demultiplexed a second time from the source as the new sound advances, so that memory stays
bounded (:mod:`deepnmf.audio.ffmpeg` reads the sound). PyAV's containers are `Any`: light installs lack it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DeepnmfError, InputError
from .codecs import written_codec
from .container import ContainerWriter, SourceContainer, true_tags
from .covers import is_cover
from .formats import AudioFormat
from .subtitles import HELD, SubtitleConverter
from .video_packets import PacketCopier

_APPLE = "com."
"""Tags with this prefix are kept by MP4 and MOV in Apple's form only."""


class VideoWriter(ContainerWriter):
    """A video written in blocks of sound (:class:`deepnmf.audio.container.ContainerWriter`).

    Parameters
    ----------
    path : Path
        File to write.
    like : AudioFormat
        Encoding of the sound that is replaced.
    container : SourceContainer or None
        Its container.
    shown : Path
        Name to give in errors.

    Attributes
    ----------
    notes : list of str
        One line for each track that the container cannot store, and for the choice among several audio tracks.

    Raises
    ------
    DeepnmfError
        If there is no video, no encoder, or the container cannot store pictures or sound.
    """

    def __init__(self, path: Path, like: AudioFormat, container: SourceContainer | None, shown: Path) -> None:
        if container is None:
            raise InputError(f"{shown}: the input has no picture to put the sound beside; choose .wav, .flac or .mp3")
        self._container, self._suffix = container, shown.suffix.lower()
        codec, start_seconds = written_codec(self._suffix, like), container.start_seconds - container.origin_seconds
        super().__init__(like, codec, container.layout, start_seconds, shown)
        with self._faults_named():
            self._source = container.open()
            self._output = self._open(path)
            self._converters: dict[int, SubtitleConverter] = {}
            tracks = self._add_tracks()
            self._output.set_chapters(self._source.chapters())
            self._output.metadata.update(true_tags(self._source.metadata))
            self._output.start_encoding()
        strict = not self._is_matroska
        self._copier = PacketCopier(self._source, tracks, self._converters, container.origin_seconds, strict)

    @property
    def _is_matroska(self) -> bool:
        return self._suffix in (".mkv", ".webm")

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
            if stream.index == self._container.track:
                self._sound = self._add_sound(stream.codec_context.bit_rate or 0)
                self._sound.metadata.update(true_tags(stream.metadata))
                self._sound.disposition = stream.disposition
            elif (track := self._add_copy(stream)) is not None:
                tracks[stream.index] = track
        sounds = [stream.index for stream in self._source.streams.audio]
        if len(sounds) > 1:
            chosen = sounds.index(self._container.track) + 1
            self.notes.append(f"{self._shown}: only audio track {chosen} of {len(sounds)} was enhanced")
        return tracks

    def _add_copy(self, stream: Any) -> Any:
        """Return the track for the packets of another, or None with a note."""
        if stream.type == "data" and self._source.chapters() and stream.name == "bin_data":
            return None  # the titles of the chapters, which are copied on their own
        try:
            return self._copy_of(stream)
        except ValueError:
            codec = getattr(stream, "name", None) or "unknown"
            if stream.type == "video" and not is_cover(stream):
                what = f"{self._suffix} cannot hold pictures in {codec}"
                raise DeepnmfError(f"{self._shown}: {what}; choose .mkv, or .wav for the sound alone") from None
            what = f"{stream.type} track {stream.index + 1} ({codec})"
            self.notes.append(f"{self._shown}: {what} is left out, as {self._suffix} cannot hold it")
            return None

    def _copy_of(self, stream: Any) -> Any:
        if stream.type == "data" or (stream.type == "attachment" and self._suffix != ".mkv"):
            raise ValueError  # data of recorders have no format of their own
        track = self._text_track(stream) if stream.type == "subtitle" else None
        track = track or self._output.add_stream_from_template(stream, opaque=True)
        track.metadata.update(true_tags(stream.metadata))
        track.disposition = stream.disposition
        if stream.type == "video" and not self._is_matroska:
            if "mov" in self._source.format.name:
                track.codec_context.codec_tag = stream.codec_context.codec_tag
            elif stream.codec_context.name == "hevc":
                track.codec_context.codec_tag = "hvc1"  # Apple's players refuse the default, hev1
        return track

    def _text_track(self, stream: Any) -> Any:
        """Return a track for subtitles in text of a codec that the container cannot hold, or None."""
        if getattr(stream, "name", None) in HELD[self._suffix]:
            return None
        try:
            converter = SubtitleConverter(stream, self._output, self._suffix)
        except ValueError:
            return None
        self._converters[stream.index] = converter
        return converter.track

    def _copied(self, seconds: float) -> Iterator[Any]:
        return self._copier.until(seconds)
