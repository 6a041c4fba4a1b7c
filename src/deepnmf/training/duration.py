"""When a training run ends: early stopping, and the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any


def epochs_without_gain(history: Sequence[dict[str, Any]]) -> int:
    """Return the number of epochs since the best dev score.

    Examples
    --------
    >>> epochs_without_gain([{"dev_si_sdr_db": 1.0}, {"dev_si_sdr_db": 3.0}, {"dev_si_sdr_db": 2.0}])
    1
    """
    scores = [entry["dev_si_sdr_db"] for entry in history]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def has_stalled(history: Sequence[dict[str, Any]], patience: int) -> bool:
    """Return whether the dev score has not risen for `patience` epochs; 0 is without limit."""
    return 0 < patience <= epochs_without_gain(history)


class TimeLeft:
    """Estimate of the time that the epochs left will take, from those that this process has run."""

    def __init__(self) -> None:
        self._start, self._done = monotonic(), 0

    def after_epoch(self, left: int) -> str:
        """Count an epoch; return ``", 4 min left"`` for the `left` ones, or nothing after the last."""
        self._done += 1
        seconds = left * (monotonic() - self._start) / self._done
        return f", {duration(seconds)} left" if left else ""


def duration(seconds: float) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> duration(50), duration(200), duration(9000)
    ('50 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
