"""Sound in MPEG-4 without moving pictures, as phones record it: AAC or ALAC, with tags, chapters and cover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import require
from .codecs import written_codec
from .container import ContainerWriter, SourceContainer, true_tags
from .covers import is_cover
from .formats import M4A, AudioFormat, Tags

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
"""FFmpeg's names of the layouts of AAC, by the number of channels."""
TAGS = {name: name for name in ("title", "artist", "album", "comment", "date", "genre", "copyright")}
TAGS["tracknumber"] = "track"
"""libsndfile's names of tags that MPEG-4 can hold, and FFmpeg's."""


class M4aWriter(ContainerWriter):
    """An .m4a file written in blocks of sound (:class:`deepnmf.audio.container.ContainerWriter`).

    Parameters
    ----------
    path : Path
        File to write.
    like : AudioFormat
        Encoding of the source.
    tags : Tags
        Its title and the like, and chunks.
    container : SourceContainer or None
        Its container, if FFmpeg decodes it: all its tags, chapters and its cover are copied. Else the cover is lost.
    shown : Path
        Name to give in errors.

    Raises
    ------
    DeepnmfError
        If PyAV or its encoder is missing, or it cannot hold the channels.
    """

    def __init__(
        self, path: Path, like: AudioFormat, tags: Tags, container: SourceContainer | None, shown: Path
    ) -> None:
        require(f"{shown}: writing .m4a", "av")
        import av

        layout = container.layout if container is not None else LAYOUTS.get(like.channels, "")
        super().__init__(like, written_codec(M4A, like), layout, 0.0, shown)
        self._covers: list[Any] = []
        with self._faults_named():
            options = {
                "movflags": "+faststart",
                "brand": "M4A ",  # the muxer of .m4a itself refuses covers in PNG
                "movie_timescale": str(self.encoding.rate_hz),  # else the length is rounded to 1 ms
            }
            self._output = av.open(str(path.absolute()), "w", format="mp4", container_options=options)
            if container is None:
                self._sound = self._add_sound(0)
                self._describe(tags)
            else:
                self._describe_like(container)
            self._output.start_encoding()

    def _describe(self, tags: Tags) -> None:
        self._output.metadata.update({TAGS[name]: text for name, text in tags.text.items() if name in TAGS})
        lost = [name for name in tags.text if name not in TAGS and name != "software"]
        lost += [name.decode("ascii", "replace").strip() for name, _ in tags.chunks]
        lost += ["the cover"] if tags.cover else []
        if lost:
            self.notes.append(f"{self._shown}: not copied: {', '.join(lost)}")

    def _describe_like(self, container: SourceContainer) -> None:
        source = container.open()
        stream = source.streams[container.track]
        self._sound = self._add_sound(stream.codec_context.bit_rate or 0)
        self._output.metadata.update(true_tags({**stream.metadata, **source.metadata}))
        self._output.set_chapters(source.chapters())
        pictures = [stream for stream in source.streams.video if is_cover(stream)]
        for picture in pictures[:1]:  # players show one
            self._add_cover(source, picture)

    def _add_cover(self, source: Any, picture: Any) -> None:
        try:
            track = self._output.add_stream_from_template(picture, opaque=True)
        except ValueError:
            self.notes.append(f"{self._shown}: the cover ({picture.name}) is left out, as .m4a cannot hold it")
            return
        track.disposition = picture.disposition
        packet = next(packet for packet in source.demux(picture) if packet.size)
        packet.stream, packet.pts, packet.dts = track, 0, 0
        self._covers.append(packet)

    def _copied(self, seconds: float) -> Iterator[Any]:  # noqa: ARG002
        covers, self._covers = self._covers, []
        return iter(covers)
