"""Scores of a recording without a clean side, by DNSMOS, in memory that does not depend on its length."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..data.recordings import Recording
from .dnsmos import RATE_HZ, DnsmosStream
from .items import Item
from .systems import System


class ResampledDnsmos:
    """A :class:`DnsmosStream` of blocks at any rate."""

    def __init__(self, rate_hz: int) -> None:
        self.samples, self._scores, self._resampler = 0, DnsmosStream(), None
        if rate_hz != RATE_HZ:
            import soxr

            self._resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32")

    def push(self, samples: np.ndarray) -> None:
        """Add a block ``(n,)``."""
        self.samples += len(samples)
        samples = samples.astype(np.float32, copy=False)
        self._scores.push(samples if self._resampler is None else self._resampler.resample_chunk(samples))

    def scores(self) -> dict[str, float]:
        """Return the scores of all blocks; nothing can be added afterwards."""
        if self._resampler is not None:
            self._scores.push(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        return self._scores.scores()


Scores = dict[str, dict[str, float]]
"""DNSMOS by part: ``input`` and ``output``."""


def score_without_reference(item: Item, system: System | None, with_input: bool = True) -> tuple[Scores, float, float]:
    """Return the scores, and the length and the processing time in seconds.

    Parameters
    ----------
    item : Item
        A noisy file that `system` enhances, or an enhanced one, with its noisy one if there is one.
    system : System or None
        None for files that are enhanced already.
    with_input : bool
        Whether to score the noisy file.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, or the system fails.
    """
    if item.enhanced is None:
        assert system is not None
        assert item.noisy is not None
        return _enhanced_on_the_way(Path(item.noisy), system, with_input)
    output = _file(item.enhanced)
    scores = {"output": output.scores()}
    if item.noisy is not None and with_input:
        scores["input"] = _file(item.noisy).scores()
    return scores, output.samples / RATE_HZ, 0.0


def _file(path: str) -> ResampledDnsmos:
    found = ResampledDnsmos(RATE_HZ)
    for block in Recording(path, RATE_HZ).blocks():
        found.push(block)
    return found


def _enhanced_on_the_way(path: Path, system: System, with_input: bool) -> tuple[Scores, float, float]:
    start = time.perf_counter()
    rate_hz, blocks = system.stream(path)
    seconds = time.perf_counter() - start
    both = {part: ResampledDnsmos(rate_hz) for part in (("input", "output") if with_input else ("output",))}
    for pair, elapsed in _timed(blocks):
        seconds += elapsed
        for part, samples in zip(("input", "output"), pair, strict=True):
            if part in both:
                both[part].push(samples)
    return {part: found.scores() for part, found in both.items()}, both["output"].samples / rate_hz, seconds


def _timed(
    blocks: Iterator[tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], float]]:
    """Yield each pair of blocks with the time that it took to make it, in seconds."""
    while True:
        start = time.perf_counter()
        pair = next(blocks, None)
        if pair is None:
            return
        yield pair, time.perf_counter() - start
