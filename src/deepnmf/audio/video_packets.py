"""Packets copied from one container into another, in step with sound that is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .subtitles import SubtitleConverter


class PacketCopier:
    """The packets of some tracks of a container, in order, addressed to the tracks of another.

    Parameters
    ----------
    source : container
        PyAV's, open for reading.
    tracks : dict of int to stream
        Output tracks by the index of the source's.
    converters : dict of int to SubtitleConverter
        Of the tracks whose codec changes, by the same index.
    origin_seconds : float
        Time stamp that becomes zero.
    strict : bool
        Whether the output's decoding times must increase: in MP4, but not in Matroska, which does not store them.
    """

    def __init__(
        self,
        source: Any,
        tracks: dict[int, Any],
        converters: dict[int, SubtitleConverter],
        origin_seconds: float,
        strict: bool,
    ) -> None:
        self._tracks, self._converters = tracks, converters
        self._origin_seconds, self._strict = origin_seconds, strict
        self._packets = self._timed([stream for stream in source.streams if stream.index in tracks], source)
        self._next: Any = next(self._packets, None)

    def until(self, seconds: float) -> Iterator[Any]:
        """Yield the packets up to a time, infinity for all that are left."""
        while self._next is not None and float(self._next.dts * self._next.time_base) <= seconds:
            packet, self._next = self._next, next(self._packets, None)
            yield packet

    def _timed(self, streams: list[Any], source: Any) -> Iterator[Any]:
        """Yield packets with decoding times, which Matroska lacks before the first picture that waits for others."""
        waiting: dict[int, list[Any]] = {}
        for packet in self._demultiplexed(streams, source):
            index = packet.stream.index
            if index in self._converters and (packet := self._converters[index].convert(packet)) is None:
                continue
            packet.stream = self._tracks[index]
            if packet.pts is None and packet.dts is None:  # a cover
                packet.pts = packet.dts = 0
            else:
                self._shift(packet)
            if packet.dts is None:
                waiting.setdefault(index, []).append(packet)
                continue
            yield from self._with_times(waiting.pop(index, []), packet)
            yield packet
        for left in waiting.values():
            yield from self._with_times(left, None)

    def _shift(self, packet: Any) -> None:
        origin = round(self._origin_seconds / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - origin
        packet.dts = None if packet.dts is None else packet.dts - origin

    def _demultiplexed(self, streams: list[Any], source: Any) -> Iterator[Any]:
        import av

        try:
            yield from (packet for packet in (source.demux(streams) if streams else ()) if packet.size)
        except (av.FFmpegError, EOFError):
            return  # damage: the decoder of the sound has reported it

    def _with_times(self, waiting: list[Any], following: Any) -> Iterator[Any]:
        for index, packet in enumerate(waiting):
            known = packet.pts if following is None else following.dts
            before = (len(waiting) - index) * (packet.duration or 1) if self._strict and following is not None else 0
            packet.dts = min(packet.pts, known - before)
            yield packet
