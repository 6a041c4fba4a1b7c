"""Formatting of numbers and names for a page."""

from __future__ import annotations

import re

from ..evaluation.metrics import METRICS

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and the surrogates that encode non-UTF-8 bytes of a file name."""


def plain(text: str) -> str:
    """Return text that any file and terminal can hold: unprintable characters become a replacement character.

    Examples
    --------
    >>> plain("a" + chr(27) + "[2Jb")
    'a�[2Jb'
    """
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def number(value: float, decimals: int, sign: bool = False) -> str:
    """Return a number with a true minus, and if `sign`, a plus; numbers that round to zero have neither.

    Examples
    --------
    >>> number(-3.14159, 2), number(2, 1, sign=True), number(-0.001, 2, sign=True), number(float("nan"), 1)
    ('−3.14', '+2.0', '0.00', '–')
    """
    if value != value:
        return "–"
    value = round(value, decimals)
    return f"{value + 0.0:{'+' if sign and value else ''}.{decimals}f}".replace("-", "−")


def score(name: str, value: float, sign: bool = False) -> str:
    """Return a score with the decimals of its metric."""
    return number(value, METRICS[name].decimals, sign)


def is_negative(text: str) -> bool:
    """Return whether a number as :func:`number` writes it is below zero."""
    return text.startswith("−")


def tick(value: float) -> str:
    """Return the label of a tick."""
    return f"{value + 0.0:g}".replace("-", "−")
