"""Recordings as blocks of mono samples, read repeatedly in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..audio.reader import AudioReader
from ..errors import DeepnmfError

SILENT_PEAK = 1e-6
"""A recording of no higher peak is silent: −120 dB of full scale, below the last bit of 16-bit audio."""
HELD_SECONDS = 120.0
"""Shorter recordings are decoded once and cached; longer ones are decoded again at every pass."""
ACTIVE_BELOW_PEAK_DB = 60.0
ACTIVE_BLOCK_SECONDS = 0.02


class Recording:
    """A recording as the mean of its channels at one rate.

    Parameters
    ----------
    path : str
        An audio file.
    rate_hz : int
        Rate to resample it to.
    """

    def __init__(self, path: str, rate_hz: int) -> None:
        self.path = path
        self.rate_hz = rate_hz
        self._held: list[np.ndarray] | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks of samples ``(n,)``, float32, from the beginning.

        Raises
        ------
        DeepnmfError
            If the file is missing, not audio, empty, truncated, or holds samples that are NaN, infinite or above 1e6.
        """
        if self._held is not None:
            yield from self._held
            return
        held: list[np.ndarray] = []
        samples, limit = 0, HELD_SECONDS * self.rate_hz
        for block in _decoded(self.path, self.rate_hz):
            samples += len(block)
            if samples <= limit:
                held.append(block)
            yield block
        if samples <= limit:
            self._held = held


def _decoded(path: str, rate_hz: int) -> Iterator[np.ndarray]:
    with AudioReader(path) as reader:
        found_hz = reader.encoding.rate_hz
        blocks = (block.mean(axis=0, dtype=np.float32) for block in reader.blocks())
        if found_hz == rate_hz:
            yield from blocks
            return
        import soxr

        stream = soxr.ResampleStream(found_hz, rate_hz, 1, dtype="float32")
        for block in blocks:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


class Taker:
    """Rebuffer blocks of any sizes into any number of samples at a time."""

    def __init__(self, blocks: Iterable[np.ndarray], path: str) -> None:
        self._blocks, self._path = iter(blocks), path
        self._rest = np.zeros(0, np.float32)

    def take(self, count: int) -> np.ndarray:
        """Return the next `count` samples.

        Raises
        ------
        DeepnmfError
            If there are fewer.
        """
        parts, missing = [self._rest], count - len(self._rest)
        while missing > 0:
            block = next(self._blocks, None)
            if block is None:
                raise DeepnmfError(f"{self._path}: became shorter while it was read; try again")
            parts.append(block)
            missing -= len(block)
        joined = np.concatenate(parts)
        self._rest = joined[count:]
        return joined[:count]


class ActiveNoise:
    """A recording of noise without the blocks that are `ACTIVE_BELOW_PEAK_DB` below its loudest block.

    Some noise clips are mostly digital silence; an excerpt of it has no SNR.

    Parameters
    ----------
    recording : Recording
        The noise.

    Raises
    ------
    DeepnmfError
        If it is silent.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._block = int(ACTIVE_BLOCK_SECONDS * recording.rate_hz)
        powers = [np.square(rows, dtype=np.float64).mean(axis=1) for rows in _rows(recording.blocks(), self._block)]
        self._active = is_active(np.concatenate(powers)) if powers else np.zeros(0, bool)
        if not self._active.any():
            raise DeepnmfError(f"{recording.path}: the noise is silent")

    def excerpt(self, start: float) -> Iterator[np.ndarray]:
        """Yield blocks endlessly, looped, from `start`, a share of the noise's length."""
        total = int(self._active.sum()) * self._block
        skipped = int(start * total) % total
        while True:
            for block in self._blocks():
                if skipped < len(block):
                    yield block[skipped:]
                skipped = max(0, skipped - len(block))

    def _blocks(self) -> Iterator[np.ndarray]:
        position = 0
        for rows in _rows(self._recording.blocks(), self._block):
            yield rows[self._active[position : position + len(rows)]].ravel()
            position += len(rows)


def _rows(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield blocks of samples as rows ``(n, size)``, the last row filled up with zeros."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        rest = joined[whole:]
        if whole:
            yield joined[:whole].reshape(-1, size)
    if len(rest):
        yield np.pad(rest, (0, size - len(rest)))[None]


def is_active(powers: np.ndarray) -> np.ndarray:
    """Return which blocks of these mean powers are within `ACTIVE_BELOW_PEAK_DB` of the loudest; none of silence.

    Examples
    --------
    >>> is_active(np.array([1.0, 0.0, 1e-5])).tolist()
    [True, False, True]
    """
    peak = powers.max(initial=0.0)
    return powers > peak * 10 ** (-ACTIVE_BELOW_PEAK_DB / 10) if peak > 0 else np.zeros(len(powers), bool)


def without_silence(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return ``(samples,)`` without the blocks excluded by :class:`ActiveNoise`."""
    parts = list(_rows([samples], int(ACTIVE_BLOCK_SECONDS * rate_hz)))
    if not parts:
        return samples
    rows = np.concatenate(parts)
    return rows[is_active(np.square(rows, dtype=np.float64).mean(axis=1))].ravel()
