"""The processing loop for files, pipes and other sources of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..audio.formats import Sink
from .enhancer import Enhancer

Progress = Callable[[float], None]
"""Called after each block with its length in seconds. It may raise to abort."""


def enhance_stream(
    blocks: Iterable[np.ndarray],
    enhancer: Enhancer,
    output: Sink,
    noise: Sink | None = None,
    progress: Progress | None = None,
) -> None:
    """Enhance every block and write it to `output`; output and input have equal length.

    Parameters
    ----------
    blocks : iterable of ndarray
        Each ``(channels, n)``, float.
    enhancer : Enhancer
        New, or flushed.
    output : Sink
        Takes the enhanced samples.
    noise : Sink, optional
        Takes the removed signal: input minus output, delay-compensated.
    progress : callable, optional
        Called after each block with its length in seconds.
    """
    waiting = _Waiting(enhancer.channels)

    def emit(ready: np.ndarray) -> None:
        output.write(ready)
        if noise is not None:
            noise.write(waiting.pop(ready.shape[1]) - ready)

    for block in blocks:
        if noise is not None:
            waiting.push(block)
        emit(enhancer.process(block))
        if progress is not None:
            progress(block.shape[1] / enhancer.rate_hz)
    emit(enhancer.flush())


class _Waiting:
    """Input samples whose output is pending."""

    def __init__(self, channels: int) -> None:
        self._samples = np.zeros((channels, 0), np.float32)

    def push(self, block: np.ndarray) -> None:
        self._samples = np.concatenate([self._samples, block], axis=1)

    def pop(self, count: int) -> np.ndarray:
        taken, self._samples = self._samples[:, :count], self._samples[:, count:].copy()
        return taken
