"""Strips: pictures of a spectrogram, a mask or atoms, with the meaning of their axes and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .media import picture
from .text import tick


@dataclass(frozen=True)
class Strip:
    """A picture as a data URI, its alternative text, and the labels of its vertical axis, top first.

    `player` is the number of the player whose position it shows, if there is one.
    """

    picture: str
    description: str
    axis: Sequence[str]
    player: int | None = None


@dataclass(frozen=True)
class ColourBar:
    """Legend of dark and bright: the values at both ends, their quantity and unit."""

    low: str
    high: str
    label: str

    @property
    def picture(self) -> str:
        """The colours from dark to bright as a data URI."""
        return picture(np.linspace(0, 1, 64)[None])


def decibels(range_db: float, reference: str) -> ColourBar:
    """Return the colour bar of a range that ends at the level of a `reference`.

    Examples
    --------
    >>> decibels(70, "the peak").low, decibels(70, "the peak").label
    ('−70', 'dB relative to the peak')
    """
    return ColourBar(tick(-range_db), "0", f"dB relative to {reference}")


def spectrogram_strip(values: np.ndarray, description: str, axis: Sequence[str], player: int | None = None) -> Strip:
    """Return a strip of values ``(rows, columns)`` in [0, 1], the lowest row first."""
    return Strip(picture(np.asarray(values)), description, axis, player)


def frequency_axis(rate_hz: int) -> list[str]:
    """Return the labels of a linear frequency axis: top, middle and bottom.

    Examples
    --------
    >>> [label.split() for label in frequency_axis(22050)]
    [['11.03', 'kHz'], ['5.51', 'kHz'], ['0', 'kHz']]
    """
    return [kilohertz(rate_hz / 2), kilohertz(rate_hz / 4), kilohertz(0)]


def kilohertz(frequency_hz: float) -> str:
    """Return a frequency with its unit, as short as an axis needs it."""
    return f"{round(frequency_hz / 1000, 2):g}\N{NO-BREAK SPACE}kHz"


def time_ticks(seconds: float) -> list[tuple[float, str]]:
    """Return place in per cent and label of the ticks under strips of that length.

    Examples
    --------
    >>> time_ticks(1.0)
    [(0.0, '0 s'), (50.0, '0.5 s'), (100.0, '1 s')]
    """
    step = next((step for step in (0.5, 1, 2, 5, 10) if seconds / step <= 6), 30)
    marks = (step * index for index in range(int(seconds / step + 1e-9) + 1))
    return [(100 * mark / seconds, f"{mark:g} s") for mark in marks]
