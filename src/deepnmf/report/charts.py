"""Charts: where ticks, points and lines are; ``template/chart.svg.j2`` draws them, styled by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .text import tick

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 38
LEGEND_LINE = 17


@dataclass(frozen=True)
class Axis:
    """A linear axis from data to page units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, values: Sequence[float]) -> list[tuple[float, str]]:
        """Return places and labels of ticks."""
        return [(self(value), tick(value)) for value in values]


@dataclass(frozen=True)
class Mark:
    """A symbol at a place: ``dot``, ``worse`` (a triangle) or ``ring``; `title` is its tooltip."""

    symbol: str
    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Chart:
    """What a chart shows, in page units; ``top`` to ``bottom`` is the plot, the legend above it.

    Attributes
    ----------
    legend : list of (str, str)
        Symbol (of :class:`Mark`, or ``line`` or ``dashes``) and meaning.
    line : list of (float, float)
        Places of a line through the data, empty without one.
    diagonal : bool
        Whether output = input is drawn.
    """

    description: str
    top: float
    bottom: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    x_title: str
    y_title: str
    legend: list[tuple[str, str]]
    marks: list[Mark]
    line: Sequence[tuple[float, float]] = ()
    diagonal: bool = False

    width, left, right, legend_line = WIDTH, LEFT, WIDTH - RIGHT, LEGEND_LINE

    @property
    def height(self) -> float:
        """Total height of the picture."""
        return self.bottom + BOTTOM


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers that cover `low` to `high`, ends included.

    Examples
    --------
    >>> ticks(-6.1, 11.3)
    [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0]
    """
    span = max(high - low, 1e-6, 1e-6 * abs(high))
    power = 10.0 ** math.floor(math.log10(span / (most - 1)))
    for step in (power * factor for factor in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    last = max(last, first + 1)
    return [round(number * step, 10) for number in range(first, last + 1)]


def scatter(points: Sequence[tuple[float, float, str]], label: str, unit: str, examples: dict[int, str]) -> Chart:
    """Return output against input; above the diagonal is better.

    Parameters
    ----------
    points : sequence of (float, float, str)
        Input, output and title of each recording.
    label, unit : str
        Of both axes.
    examples : dict of int to str
        Indices of the points that get a ring, and their labels.
    """
    measure = f"{label} ({unit})" if unit else label
    values = [value for x, y, _ in points for value in (x, y)]
    marks = ticks(min(values), max(values), 7)
    worse = any(after < before for before, after, _ in points)
    legend = [("dot", "recording"), *([("worse", "recording that came out worse")] if worse else [])]
    legend += [("ring", f"{', '.join(examples.values())} example"), ("dashes", "output = input, no change")]
    top, size = TOP + LEGEND_LINE * len(legend), WIDTH - LEFT - RIGHT
    x = Axis(marks[0], marks[-1], LEFT, LEFT + size)
    y = Axis(marks[0], marks[-1], top + size, top)
    dots = [Mark("dot" if after >= before else "worse", x(before), y(after), title) for before, after, title in points]
    rings = [Mark("ring", dots[i].x, dots[i].y, f"{name}: {dots[i].title}") for i, name in examples.items()]
    return Chart(
        description=f"{label} of {len(points)} recordings: output against input",
        top=top,
        bottom=top + size,
        x_ticks=x.ticks(marks),
        y_ticks=y.ticks(marks),
        x_title=f"input {measure}",
        y_title=f"output {measure}",
        legend=legend,
        marks=[*dots, *rings],
        diagonal=True,
    )


def curve(
    values: Sequence[float], x_title: str, y_title: str, first: int = 0, marked: tuple[int, str] | None = None
) -> Chart:
    """Return a line through values at ``first, first + 1, …``; a ring around the one at `marked`, which has a name."""
    finite = [value for value in values if math.isfinite(value)]
    marks = ticks(min(finite), max(finite), 6)
    last = first + max(len(values) - 1, 1)
    legend = [("line", y_title), *([("ring", marked[1])] if marked else [])]
    top = TOP + LEGEND_LINE * len(legend)
    x = Axis(first, last, LEFT + 6, WIDTH - RIGHT)
    y = Axis(marks[0], marks[-1], top + HEIGHT - TOP - BOTTOM, top)
    places = [(x(first + i), y(value), first + i, value) for i, value in enumerate(values) if math.isfinite(value)]
    return Chart(
        description=f"{y_title} by {x_title}, from {values[0]:.4g} to {values[-1]:.4g}",
        top=top,
        bottom=y.start,
        x_ticks=x.ticks([mark for mark in ticks(first, last, 8) if mark == round(mark) and first <= mark <= last]),
        y_ticks=y.ticks(marks),
        x_title=x_title,
        y_title=y_title,
        legend=legend,
        marks=[
            Mark("ring" if marked and at == marked[0] else "dot", a, b, f"{x_title} {at}: {value:.4g}")
            for a, b, at, value in places
        ],
        line=[(a, b) for a, b, _, _ in places],
    )
