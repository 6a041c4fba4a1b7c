"""Microphone to loudspeaker: a fixed delay, a wet/dry switch without clicks, meters, and a count of dropped blocks."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import DeepnmfError, require
from ..model import Model
from .enhancer import Enhancer

KEYS = "w: wet/dry   q: quit"
METER_SECONDS = 0.1
METER_RANGE_DB = 60
METER_CELLS = 20


class LiveProcessor:
    """Blocks in, blocks of the same size out, delayed by a constant.

    Parameters
    ----------
    enhancer : Enhancer
        Gives the wet signal.

    Attributes
    ----------
    wet : bool
        Whether the output is the enhanced signal; a change is cross-faded over the next block.
    dropped : int
        Blocks that the device reported as lost.
    peak_in, peak_out : float
        Largest sample of the last block.
    """

    def __init__(self, enhancer: Enhancer) -> None:
        self.wet = True
        self.dropped = 0
        self.peak_in = self.peak_out = 0.0
        self._enhancer = enhancer
        self._share = 1.0
        # Both are delayed by the largest delay of the enhancer, so that wet and dry are aligned.
        silence = np.zeros((enhancer.channels, enhancer.latency_samples), np.float32)
        self._dry, self._enhanced = silence, silence

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take ``(channels, n)`` and return as many samples, delayed by `latency_samples`."""
        count = block.shape[1]
        self._dry = np.concatenate([self._dry, block], axis=1)
        self._enhanced = np.concatenate([self._enhanced, self._enhancer.process(block)], axis=1)
        target = 1.0 if self.wet else 0.0
        share = np.linspace(self._share, target, count, dtype=np.float32)
        output = share * self._enhanced[:, :count] + (1 - share) * self._dry[:, :count]
        self._share = target
        self._dry, self._enhanced = self._dry[:, count:], self._enhanced[:, count:]
        self.peak_in, self.peak_out = (float(np.abs(x).max(initial=0)) for x in (block, output))
        return output

    def callback(self, indata: np.ndarray, outdata: np.ndarray, _frames: int, _time: Any, status: Any) -> None:
        """Serve as the callback of a sounddevice stream."""
        if status:
            self.dropped += 1
        outdata[:] = np.clip(self.process(indata.T).T, -1, 1)

    def meter(self) -> str:
        """Return the state as one line."""
        levels = (f"{name} {_bar(peak)}" for name, peak in (("in", self.peak_in), ("out", self.peak_out)))
        return f"{'  '.join(levels)}  {'wet' if self.wet else 'dry'}  dropped {self.dropped}"


def _bar(peak: float) -> str:
    level_db = 20 * np.log10(max(peak, 1e-9))
    filled = int(np.clip((level_db / METER_RANGE_DB + 1) * METER_CELLS, 0, METER_CELLS))
    return f"[{'#' * filled}{' ' * (METER_CELLS - filled)}] {max(level_db, -99):4.0f} dB"


def run_live(
    model: Model,
    *,
    rate_hz: int = 48000,
    channels: int = 1,
    block_ms: float = 10.0,
    device: tuple[str | int | None, str | int | None] = (None, None),
    max_attenuation_db: float | None = None,
) -> None:
    """Enhance the microphone signal and play it, until ``q`` or Ctrl-C.

    Parameters
    ----------
    model : Model
        Estimates the masks.
    rate_hz, channels : int
        Of the devices.
    block_ms : float
        Block that the device delivers, in milliseconds.
    device : pair
        Input and output device, by number or name; the system's by default.
    max_attenuation_db : float, optional
        Maximum attenuation.

    Raises
    ------
    DeepnmfError
        If sounddevice, its PortAudio library or a device is missing.
    """
    sounddevice = import_sounddevice()
    enhancer = Enhancer(model, rate_hz, channels, max_attenuation_db=max_attenuation_db)
    processor = LiveProcessor(enhancer)
    try:
        stream = sounddevice.Stream(
            samplerate=rate_hz,
            blocksize=max(1, round(rate_hz * block_ms / 1000)),
            device=device,
            channels=channels,
            dtype="float32",
            latency="low",
            callback=processor.callback,
        )
        with stream, _keys() as pressed:
            print(f"{_delays(enhancer, block_ms, stream)}\n{KEYS}", file=sys.stderr)
            _watch(processor, stream, pressed)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DeepnmfError(f"no usable audio device ({_line(error)}); see deepnmf live --list-devices") from None


def import_sounddevice() -> Any:
    """Return the sounddevice module, or raise `DeepnmfError` with the way to install it."""
    require("live sound", "sounddevice")
    try:
        import sounddevice
    except OSError:
        raise DeepnmfError("live audio needs the PortAudio library, such as from: apt install libportaudio2") from None
    return sounddevice


def list_audio_devices() -> str:
    """Return the devices, one per line, with their numbers.

    Raises
    ------
    DeepnmfError
        If there is none, or sounddevice or its PortAudio library is missing.
    """
    sounddevice = import_sounddevice()
    try:
        devices = str(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise DeepnmfError(f"audio devices cannot be listed ({_line(error)})") from None
    if not devices.strip():
        raise DeepnmfError("no audio devices: none is connected, or this user may not use them")
    return devices


def _delays(enhancer: Enhancer, block_ms: float, stream: Any) -> str:
    device_ms = 1000 * sum(stream.latency)
    return f"delay: {enhancer.latency_ms:.0f} ms enhancement, {device_ms:.0f} ms devices (blocks of {block_ms:g} ms)"


def _watch(processor: LiveProcessor, stream: Any, pressed: Callable[[], str]) -> None:
    try:
        while stream.active:
            time.sleep(METER_SECONDS)
            key = pressed()
            if key == "q":
                return
            if key == "w":
                processor.wet = not processor.wet
            print(f"\r{processor.meter()}", end="", file=sys.stderr, flush=True)
    finally:
        print(file=sys.stderr)
    raise DeepnmfError("the audio device stopped; is it still connected?")


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Yield a function that returns the key pressed since the last call, or an empty string."""
    if not sys.stdin.isatty():
        yield lambda: ""
    elif sys.platform == "win32":
        import msvcrt

        yield lambda: msvcrt.getwch() if msvcrt.kbhit() else ""
    else:
        import select
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
        try:
            tty.setcbreak(sys.stdin)
            descriptor = sys.stdin.fileno()  # read past Python's buffer, which select does not see
            yield (
                lambda: (
                    os.read(descriptor, 1).decode(errors="ignore") if select.select([descriptor], [], [], 0)[0] else ""
                )
            )
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
