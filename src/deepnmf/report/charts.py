"""Charts as SVG text: drawn by hand, so that a page needs no library, and styled by the page's style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 38


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


def scatter(points: Sequence[tuple[float, float, str]], label: str, unit: str, named: dict[int, str]) -> str:
    """Return output against input; above the diagonal is better.

    A point is input, output and what it says when it is pointed at; `named` writes a word beside some of them.
    """
    values = [value for x, y, _ in points for value in (x, y)]
    marks = ticks(min(values), max(values), 7)
    size = WIDTH - LEFT - RIGHT
    x = Axis(marks[0], marks[-1], LEFT, LEFT + size)
    y = Axis(marks[0], marks[-1], TOP + size, TOP)
    height = TOP + size + BOTTOM
    grid = [_tick_y(mark, y, LEFT + size) for mark in marks] + [_tick_x(mark, x, TOP + size) for mark in marks]
    grid.append(f'<line class="diagonal" x1="{LEFT}" y1="{TOP + size}" x2="{LEFT + size}" y2="{TOP}"/>')
    dots = [_dot(x(before), y(after), after >= before, name) for before, after, name in points]
    words = [_word(x(points[index][0]), y(points[index][1]), word) for index, word in named.items()]
    titles = _titles(f"input {label} ({unit})", f"output {label} ({unit})", height)
    description = f"{label} of {len(points)} recordings: output against input"
    return _svg(height, description, [*grid, *titles, *dots, *words])


def _word(x: float, y: float, word: str) -> str:
    beside = f'x="{x + 7:.1f}"' if x < WIDTH - 90 else f'x="{x - 7:.1f}" text-anchor="end"'
    return f'<text class="name" {beside} y="{y + 4:.1f}">{html.escape(word)}</text>'


def _dot(x: float, y: float, better: bool, name: str) -> str:
    title = f"<title>{html.escape(name)}</title>"
    if better:
        return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'
    return f'<path class="dot worse" d="M{x:.1f} {y - 5:.1f}l5 9h-10z">{title}</path>'


def curve(values: Sequence[float], x_label: str, y_label: str, first: int = 0, marked: int | None = None) -> str:
    """Return a line through values at ``first, first + 1, …``; the one at `marked` stands out."""
    finite = [value for value in values if math.isfinite(value)]
    marks = ticks(min(finite), max(finite), 6)
    last = first + max(len(values) - 1, 1)
    x = Axis(first, last, LEFT + 6, WIDTH - RIGHT)
    y = Axis(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    places = [(x(first + index), y(value), value) for index, value in enumerate(values) if math.isfinite(value)]
    whole = [mark for mark in ticks(first, last, 8) if mark == round(mark) and first <= mark <= last]
    grid = [_tick_y(mark, y, WIDTH - RIGHT) for mark in marks]
    grid += [_tick_x(mark, x, HEIGHT - BOTTOM) for mark in whole]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in places)
    drawn = [f'<polyline class="line" points="{line}"/>']
    for index, (a, b, value) in enumerate(places):
        best = first + index == marked
        title = f"<title>{x_label} {first + index}: {value:.4g}</title>"
        drawn.append(f'<circle class="dot{" best" if best else ""}" cx="{a:.1f}" cy="{b:.1f}" r="{5 if best else 3}">')
        drawn[-1] += f"{title}</circle>"
    ends = f"from {values[0]:.4g} to {values[-1]:.4g}"
    return _svg(HEIGHT, f"{y_label} by {x_label}, {ends}", [*grid, *_titles(x_label, y_label, HEIGHT), *drawn])


def _tick_y(mark: float, axis: Axis, right: float) -> str:
    y = axis(mark)
    line = f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
    return f'{line}<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(mark)}</text>'


def _tick_x(mark: float, axis: Axis, bottom: float) -> str:
    return f'<text x="{axis(mark):.1f}" y="{bottom + 15}" text-anchor="middle">{_number(mark)}</text>'


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _titles(x_label: str, y_label: str, height: float) -> list[str]:
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + height - BOTTOM) / 2
    return [
        f'<text class="title" x="{middle_x}" y="{height - 6}" text-anchor="middle">{html.escape(x_label)}</text>',
        f'<text class="title" transform="translate(11 {middle_y}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>",
    ]


def _svg(height: float, description: str, parts: list[str]) -> str:
    label = html.escape(description)
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
