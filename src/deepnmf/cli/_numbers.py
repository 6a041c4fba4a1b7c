"""Values of numeric options that are no numbers, or out of range: refused in words, with what is expected."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from typing import Any

LONGEST = 40
"""Characters of a value that are shown."""


def describe_numbers(parameter: Any) -> None:
    """Let an option that takes a number say what it expects, instead of the name of a type; NaN and infinity are none.

    Other parameters stay as they are.
    """
    kind = parameter.type
    if not kind.name.startswith(("int", "float")):
        return
    read: Callable[[Any], int | float] = int if kind.name.startswith("int") else _finite
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    expected = _expected("a whole number" if read is int else "a finite number", low, high)

    def convert(value: Any, option: Any, context: Any) -> int | float:
        with contextlib.suppress(ValueError):
            number = read(value)
            if (low is None or low <= number) and (high is None or number <= high):
                return number
        kind.fail(f"it must be {expected}, not {_shown(value)}", option, context)
        raise AssertionError  # the line above raises

    parameter.type = copy.copy(kind)  # the type itself is shared with other options
    parameter.type.convert = convert


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _expected(name: str, low: float | None, high: float | None) -> str:
    """Return what numbers an option takes."""
    if low is None:
        return name
    return f"{name} of at least {low}" if high is None else f"{name} from {low} to {high}"


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
