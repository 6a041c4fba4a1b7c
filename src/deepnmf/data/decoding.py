"""Recordings decoded in parts of ten seconds, each with its own full scale, alone or in one pass: equal samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from ..audio.files import duration_seconds, resample
from ..audio.reader import AudioReader
from ..errors import DeepnmfError

PART_SECONDS = 10
"""Length of a part but the last: an utterance is one or two, an hour of noise is not decoded for an excerpt."""
MARGIN_SECONDS = 1
"""Decoded on either side of a part that is resampled; whole seconds are whole samples at every rate."""
FULL_SCALE = 32767
SILENCE = 1e-30
"""Peaks below are none: their scale would overflow."""

Files: TypeAlias = tuple[str, ...]
"""A recording: a file, or the difference of a noisy file and its clean one."""


class Part(NamedTuple):
    """Samples ``(n,)`` as int16, and the magnitude of their full scale."""

    values: np.ndarray
    peak: float

    def cut(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``(n,)`` as float32."""
        return np.multiply(self.values[start:stop], self.peak / FULL_SCALE, dtype=np.float32)


def count_samples(files: Files, rate_hz: int) -> int:
    """Return the length of a recording at `rate_hz`, from the headers of its files.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, or its length differs from that of its clean file.
    """
    lengths = [duration_seconds(Path(name)) for name in files]
    if len(set(lengths)) > 1:
        raise DeepnmfError(f"{files[0]}: its length differs from that of its clean file {files[1]}")
    if not lengths[0]:
        raise DeepnmfError(f"{files[0]}: no samples in it")
    return int(lengths[0] * rate_hz)


def parts_of(samples: int, rate_hz: int) -> int:
    """Return the number of parts of a recording."""
    return -(-samples // (PART_SECONDS * rate_hz))


def decode_parts(files: Files, samples: int, rate_hz: int) -> Iterator[Part]:
    """Yield all parts of a recording, in one pass over its files.

    Raises
    ------
    DeepnmfError
        If a file cannot be decoded.
    """
    sources = [_in_turn(Path(name), parts_of(samples, rate_hz), rate_hz) for name in files]
    for number, signals in enumerate(zip(*sources, strict=True)):
        yield _part(list(signals), number, samples, rate_hz)


def decode_part(files: Files, number: int, samples: int, rate_hz: int) -> Part:
    """Return one part of a recording, decoding no more than that.

    Raises
    ------
    DeepnmfError
        If a file cannot be decoded.
    """
    return _part([_alone(Path(name), number, rate_hz) for name in files], number, samples, rate_hz)


def _part(signals: list[np.ndarray], number: int, samples: int, rate_hz: int) -> Part:
    """Return the difference of signals ``(n,)`` as a part, of the length that the headers state."""
    step = PART_SECONDS * rate_hz
    length = min(samples - number * step, step)
    fitted = [np.pad(signal[:length], (0, max(0, length - len(signal)))) for signal in signals]
    signal = fitted[0] - fitted[1] if len(fitted) > 1 else fitted[0]
    peak = float(np.abs(signal).max(initial=0.0))
    if peak < SILENCE:
        peak = 1.0
    return Part(np.round(signal * (FULL_SCALE / peak)).astype(np.int16), peak)


def _bounds(number: int, found_hz: int, rate_hz: int) -> tuple[int, int]:
    """Return the first sample of a part in its file, and the one after its last, with margins."""
    margin = MARGIN_SECONDS * (found_hz != rate_hz)
    return max(0, number * PART_SECONDS - margin) * found_hz, ((number + 1) * PART_SECONDS + margin) * found_hz


def _without_margins(signal: np.ndarray, number: int, found_hz: int, rate_hz: int) -> np.ndarray:
    """Return the samples ``(n,)`` of a part, given with margins at the rate of its file, at `rate_hz`."""
    before = number * PART_SECONDS - _bounds(number, found_hz, rate_hz)[0] // found_hz
    resampled = resample(signal, found_hz, rate_hz)
    return resampled[before * rate_hz : (before + PART_SECONDS) * rate_hz]


def _alone(path: Path, number: int, rate_hz: int) -> np.ndarray:
    with AudioReader(path) as reader:
        found_hz = reader.encoding.rate_hz
        start, stop = _bounds(number, found_hz, rate_hz)
        blocks = [_mono(block) for block in reader.blocks(start=start, stop=stop)]
    return _without_margins(np.concatenate([np.zeros(0, np.float32), *blocks]), number, found_hz, rate_hz)


def _in_turn(path: Path, count: int, rate_hz: int) -> Iterator[np.ndarray]:
    with AudioReader(path) as reader:
        found_hz = reader.encoding.rate_hz
        blocks = (_mono(block) for block in reader.blocks())
        held, first = np.zeros(0, np.float32), 0
        for number in range(count):
            start, stop = _bounds(number, found_hz, rate_hz)
            held, first = held[start - first :], start
            while len(held) < stop - start and (block := next(blocks, None)) is not None:
                held = np.concatenate([held, block])
            yield _without_margins(held[: stop - start], number, found_hz, rate_hz)


def _mono(block: np.ndarray) -> np.ndarray:
    return block.mean(axis=0, dtype=np.float32)
