"""A container of FFmpeg whose sound is encoded block by block; its other tracks depend on the kind of file.

PyAV's objects are `Any`: light installs lack it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import DeepnmfError
from .codecs import ENCODERS, PCM_ENCODERS, codec_title, is_lossless, written_subtype
from .formats import AudioFormat, container_of, library_reason
from .full_scale import Metered
from .samples import PCM_BITS, encoded

BITS_PER_CHANNEL = 128_000
"""Bit rate of the sound per channel, at which lossy codecs are transparent; up to twice that if the source has more."""
MOST_BITS = {"mp3": 320_000, "ac3": 640_000}
"""Highest bit rates of codecs that have one."""
PACKET_MS = 20
"""Length of a packet of PCM, about; other codecs have frames of their own."""
_SOURCE_TAGS = {
    *("bps", "duration", "number_of_frames", "number_of_bytes", "encoder"),
    *("major_brand", "minor_version", "compatible_brands"),
}
"""Tags on the source's own bytes."""


@dataclass(frozen=True)
class SourceContainer:
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


class ContainerWriter(Metered):
    """A file written in blocks of sound; use it on the temporary name of :func:`deepnmf.artifacts.atomic_path`.

    Parameters
    ----------
    like : AudioFormat
        Encoding of the sound that is replaced.
    codec : str
        FFmpeg's name of the codec, or ``"pcm"``, of which the sample format is that of `like`.
    layout : str
        FFmpeg's name of the channel layout.
    start_seconds : float
        Time stamp of the first sample.
    shown : Path
        Name to give in errors.

    Attributes
    ----------
    encoding : AudioFormat
        Encoding of the new sound; its codec, sample format and sampling rate may differ from those of `like`.
    clipped, peak : int, float
        As of :class:`deepnmf.audio.full_scale.Metered`.
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
        self.notes: list[str] = []
        self._layout, self._shown = layout, shown
        self._start_seconds, self._written = start_seconds, 0
        self._waiting: np.ndarray | None = None
        subtype = written_subtype(codec, like)
        self._encoder = PCM_ENCODERS[subtype] if codec == "pcm" else ENCODERS[codec]
        self.encoding = replace(like, container=container_of(shown), codec=codec, subtype=subtype)
        self.encoding = replace(self.encoding, rate_hz=self._closest_rate(like.rate_hz))

    def _closest_rate(self, rate_hz: int) -> int:
        """Return the lowest sampling rate of the codec that is not below `rate_hz`, or its highest."""
        import av

        try:
            rates = sorted(av.codec.Codec(self._encoder, "w").audio_rates or [rate_hz])
        except ValueError:  # UnknownCodecError
            title = codec_title(self.encoding.codec)
            raise DeepnmfError(
                f"{self._shown}: this PyAV has no encoder of {title}; the wheel of the extra formats has one: pip "
                "install --force-reinstall --only-binary av av; or choose .wav"
            ) from None
        return next((rate for rate in rates if rate >= rate_hz), rates[-1])

    def _add_sound(self, bit_rate: int) -> Any:
        """Return the track of the sound, of about the bit rate of the source where the codec has one to choose."""
        import av

        channels, codec = self.encoding.channels, self.encoding.codec
        sound = self._output.add_stream(self._encoder, rate=self.encoding.rate_hz)
        try:
            sound.codec_context.layout = self._layout
            if not is_lossless(codec):
                least = BITS_PER_CHANNEL * channels
                most = MOST_BITS.get(codec, 2 * least)
                sound.codec_context.bit_rate = min(max(bit_rate, least), 2 * least, most)
            elif codec != "pcm":
                sound.codec_context.format = self._sample_format(sound.codec_context.codec)
            sound.codec_context.time_base = Fraction(1, self.encoding.rate_hz)
            sound.codec_context.open()
        except (av.FFmpegError, ValueError):
            what = f"{codec_title(codec)} cannot hold {channels} channels"
            raise DeepnmfError(f"{self._shown}: {what}; choose .wav") from None
        return sound

    def _sample_format(self, encoder: Any) -> str:
        """Return FFmpeg's name of the encoder's format of integers of the width of the samples."""
        width = "s16" if self.encoding.subtype == "PCM_16" else "s32"
        return next(str(form.name) for form in encoder.audio_formats if form.name.startswith(width))

    def _copied(self, seconds: float) -> Iterator[Any]:  # noqa: ARG002
        """Yield the packets of other tracks up to a time, infinity for all that are left."""
        return iter(())

    def write(self, block: np.ndarray) -> None:
        """Append sound ``(channels, n)``; other tracks are copied up to its end."""
        if not block.shape[1]:
            return
        self.measure(block, self._shown)
        samples = self._samples(block)
        with self._faults_named():
            for part in [samples] if self.encoding.codec != "pcm" else self._packets(samples):
                self._encode(part)
            for packet in self._copied(self._seconds()):
                self._output.mux(packet)

    def _packets(self, samples: np.ndarray) -> list[np.ndarray]:
        """Return whole packets of PCM; samples that are left wait for the next block."""
        rate_hz = self.encoding.rate_hz
        least = rate_hz // math.gcd(rate_hz, 1000)  # of whole milliseconds, to which Matroska rounds time stamps
        length = least * max(1, PACKET_MS * rate_hz // 1000 // least)
        waiting = samples if self._waiting is None else np.concatenate([self._waiting, samples], axis=1)
        whole = waiting.shape[1] - waiting.shape[1] % length
        self._waiting = waiting[:, whole:]
        return [waiting[:, at : at + length] for at in range(0, whole, length)]

    def _encode(self, samples: np.ndarray) -> None:
        self._output.mux(self._sound.encode(self._frame(samples)))
        self._written += samples.shape[1]

    def _seconds(self) -> float:
        return self._start_seconds + self._written / self.encoding.rate_hz

    def _samples(self, block: np.ndarray) -> np.ndarray:
        """Return samples as they are encoded: rounded here to 16 bits (int16) or 24 or 32 (int32), else floats."""
        whole = encoded(block, self.encoding.subtype)
        if self.encoding.subtype not in PCM_BITS:
            return whole.astype(np.float32, copy=False)
        return whole if PCM_BITS[self.encoding.subtype] > 16 else (whole >> 16).astype(np.int16)

    def _frame(self, samples: np.ndarray) -> Any:
        import av

        name = {"int16": "s16", "int32": "s32", "float32": "flt"}[samples.dtype.name]
        interleaved = samples.T.reshape(1, -1)  # PyAV cannot fill planes of 8 channels or more
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(interleaved), name, self._layout)
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
            if self._waiting is not None and self._waiting.shape[1]:
                self._encode(self._waiting)
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
