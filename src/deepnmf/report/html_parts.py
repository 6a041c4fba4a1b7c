"""Small pieces of HTML that several sections are made of; all text from outside is escaped here."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ..evaluation.metrics import METRICS
from .media import picture


def esc(value: object) -> str:
    """Return text that is safe inside an element and inside a quoted attribute."""
    return html.escape(str(value), quote=True)


def number(value: float, decimals: int, sign: bool = False) -> str:
    """Return a number as people write it: a true minus, a plus where `sign` asks for it.

    Examples
    --------
    >>> number(-3.14159, 2), number(2, 1, sign=True)
    ('−3.14', '+2.0')
    """
    return f"{value:{'+' if sign else ''}.{decimals}f}".replace("-", "−")


def score(name: str, value: float, sign: bool = False) -> str:
    """Return a score with the decimals of its metric."""
    return number(value, METRICS[name].decimals, sign)


def unit(name: str) -> str:
    """Return the unit of a metric after a space, if it has one."""
    return f" {METRICS[name].unit}" if METRICS[name].unit else ""


def choice(name: str, legend: str, labels: Sequence[str]) -> str:
    """Return radio buttons that show one of the panels ``NAME-0``, ``NAME-1``, …; without a script all are shown."""
    options = (
        f'<label><input type="radio" name="{name}" value="{index}"{" checked" if not index else ""}>'
        f"<span>{esc(label)}</span></label>"
        for index, label in enumerate(labels)
    )
    return f'<fieldset class="choice" data-choice="{name}"><legend>{esc(legend)}</legend>{"".join(options)}</fieldset>'


def lane(values: object, description: str, axis: Sequence[str], player: int | None = None) -> str:
    """Return a picture ``(rows, columns)`` in [0, 1] with its axis, from top to bottom, and a player's playhead."""
    import numpy as np

    marks = "".join(f"<span>{esc(mark)}</span>" for mark in axis)
    follows = "" if player is None else f' data-player="{player}"'
    head = "" if player is None else '<span class="playhead"></span>'
    image = f'<img src="{picture(np.asarray(values))}" alt="{esc(description)}">'
    return f'<div class="axis" aria-hidden="true">{marks}</div><div class="lane"{follows}>{image}{head}</div>'


def frequency_marks(rate_hz: int) -> list[str]:
    """Return what to write at the top, in the middle and at the bottom of a frequency axis."""
    return [f"{rate_hz / 2000:g} kHz", f"{rate_hz / 4000:g}", "0"]


def time_axis(seconds: float) -> str:
    """Return the seconds under a stack of lanes."""
    step = next((step for step in (0.5, 1, 2, 5, 10) if seconds / step <= 9), 30)
    marks = (step * index for index in range(int(seconds / step + 1e-9) + 1))
    spans = "".join(f'<span style="{_anchored(100 * mark / seconds)}">{mark:g} s</span>' for mark in marks)
    return f'<div class="time" aria-hidden="true"><div>{spans}</div></div>'


def _anchored(percent: float) -> str:
    """Place a label under its mark; those at the ends of the axis do not reach beyond it."""
    shift = {0: "none", 100: "translateX(-100%)"}.get(round(percent), "translateX(-50%)")
    return f"left:{percent:.2f}%;transform:{shift}"


def transport(player: int, seconds: float, what: str) -> str:
    """Return play button, position and time of a player."""
    return (
        f'<div class="transport" data-player="{player}"><button type="button" class="play" '
        f'aria-label="Play {esc(what)}"><svg viewBox="0 0 24 24" aria-hidden="true">'
        '<path class="go" d="M7 4l14 8-14 8z"/><path class="stop" d="M6 4h4v16H6zM14 4h4v16h-4z"/></svg></button>'
        f'<span class="clock" aria-hidden="true">0.0 / {seconds:.1f} s</span>'
        f'<input type="range" class="position" min="0" max="{seconds:.3f}" step="0.01" value="0" '
        f'aria-label="Position in {esc(what)}, seconds"></div>'
    )
