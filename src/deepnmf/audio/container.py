"""A container of FFmpeg whose sound is encoded block by block; its other tracks depend on the kind of file.

PyAV's objects are `Any`: light installs lack it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import DeepnmfError
from .formats import AudioFormat, library_reason
from .writer import finite_peak

CODEC_NAMES = {"aac": "AAC", "libopus": "Opus"}
BITS_PER_CHANNEL = 128_000
"""Bit rate of the sound per channel, at which both codecs are transparent; up to twice that if the source has more."""
_SOURCE_TAGS = {
    *("bps", "duration", "number_of_frames", "number_of_bytes", "encoder"),
    *("major_brand", "minor_version", "compatible_brands"),
}
"""Tags on the source's own bytes."""


class ContainerWriter:
    """A file written in blocks of sound; use it on the temporary name of :func:`deepnmf.artifacts.atomic_path`.

    Parameters
    ----------
    like : AudioFormat
        Encoding of the sound that is replaced.
    codec : str
        FFmpeg's encoder.
    layout : str
        FFmpeg's name of the channel layout.
    start_seconds : float
        Time stamp of the first sample.
    shown : Path
        Name to give in errors.

    Attributes
    ----------
    encoding : AudioFormat
        Encoding of the new sound; its sampling rate may differ from that of `like`.
    clipped, peak : int, float
        Samples above full scale, which were clipped, and the largest sample.
    notes : list of str
        One line for what the container cannot store.

    Raises
    ------
    DeepnmfError
        If there is no encoder, or it cannot hold the channels.
    """

    _output: Any
    _sound: Any

    def __init__(self, like: AudioFormat, codec: str, layout: str, start_seconds: float, shown: Path) -> None:
        self.clipped, self.peak, self.notes = 0, 0.0, list[str]()
        self._codec, self._layout, self._shown = codec, layout, shown
        self._start_seconds, self._written = start_seconds, 0
        self.encoding = replace(like, rate_hz=self._closest_rate(like.rate_hz))

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

    def _add_sound(self, bit_rate: int) -> Any:
        """Return the track of the sound, of about the bit rate of the source."""
        import av

        channels = self.encoding.channels
        least = BITS_PER_CHANNEL * channels
        sound = self._output.add_stream(self._codec, rate=self.encoding.rate_hz)
        try:
            sound.codec_context.layout = self._layout
            sound.codec_context.bit_rate = min(max(bit_rate, least), 2 * least)
            sound.codec_context.time_base = Fraction(1, self.encoding.rate_hz)
            sound.codec_context.open()
        except (av.FFmpegError, ValueError):
            codec = CODEC_NAMES[self._codec]
            raise DeepnmfError(f"{self._shown}: {codec} cannot hold {channels} channels; choose .wav") from None
        return sound

    def _copied(self, seconds: float) -> Iterator[Any]:  # noqa: ARG002
        """Yield the packets of other tracks up to a time, infinity for all that are left."""
        return iter(())

    def write(self, block: np.ndarray) -> None:
        """Append sound ``(channels, n)``; other tracks are copied up to its end."""
        if not block.shape[1]:
            return
        self.peak = max(self.peak, finite_peak(block, self._shown))
        self.clipped += int((np.abs(block) > 1).sum())
        with self._faults_named():
            self._output.mux(self._sound.encode(self._frame(np.clip(block, -1, 1))))
            self._written += block.shape[1]
            for packet in self._copied(self._seconds()):
                self._output.mux(packet)

    def _seconds(self) -> float:
        return self._start_seconds + self._written / self.encoding.rate_hz

    def _frame(self, block: np.ndarray) -> Any:
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32), "fltp", self._layout)
        frame.sample_rate, frame.time_base = self.encoding.rate_hz, Fraction(1, self.encoding.rate_hz)
        frame.pts = round(self._seconds() * self.encoding.rate_hz)
        return frame

    def __enter__(self) -> ContainerWriter:
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
            for packet in self._copied(float("inf")):
                self._output.mux(packet)
            self._output.close()

    @contextlib.contextmanager
    def _faults_named(self) -> Iterator[None]:
        import av

        try:
            yield
        except av.FFmpegError as error:
            raise DeepnmfError(f"{self._shown}: cannot write ({library_reason(error)})") from None


def true_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags that hold for the new file as well."""
    return {name: text for name, text in tags.items() if name.lower().partition("-")[0] not in _SOURCE_TAGS}
