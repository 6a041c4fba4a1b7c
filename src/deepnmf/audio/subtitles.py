"""Subtitles of one codec as another's, where a container of another kind cannot hold them as they are."""

from __future__ import annotations

from typing import Any

CODECS = {".mp4": "mov_text", ".m4v": "mov_text", ".mov": "mov_text", ".mkv": "subrip", ".webm": "webvtt"}
"""FFmpeg's encoder of subtitles in text for each container."""
_MATROSKA = ("subrip", "srt", "ass", "ssa", "webvtt", "text")
HELD = {suffix: _MATROSKA if suffix == ".mkv" else (codec,) for suffix, codec in CODECS.items()}
"""Codecs of text that each container holds."""


class SubtitleConverter:
    """The packets of a track of subtitles in text, re-encoded; pictures of text are not recognised.

    Parameters
    ----------
    source : stream
        PyAV's, of the container that is read.
    output : container
        PyAV's, open for writing.
    suffix : str
        That of its name.

    Raises
    ------
    ValueError
        If the subtitles are not text, or the container cannot hold text either.
    """

    def __init__(self, source: Any, output: Any, suffix: str) -> None:
        import av

        try:
            self._decoder = source.codec_context
            self._decoder.open()
            header = self._decoder.subtitle_header
        except av.FFmpegError:
            header = None
        if header is None:
            raise ValueError("subtitles that are not text")
        self.track = output.add_stream(CODECS[suffix])
        self.track.time_base = source.time_base
        self._encoder = self.track.codec_context
        self._encoder.time_base = source.time_base
        self._encoder.subtitle_header = header

    def convert(self, packet: Any) -> Any:
        """Return a packet of the new codec, or None for one without text, which only ends the one before it."""
        import av

        try:
            found = self._decoder.decode2(packet)
            if found is None or not len(found):
                return None
            converted = self._encoder.encode_subtitle(found)
        except (av.FFmpegError, EOFError):
            return None  # damage
        converted.time_base = packet.time_base
        converted.pts = converted.dts = packet.pts
        converted.duration = packet.duration
        return converted
