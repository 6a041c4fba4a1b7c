"""JSON from untrusted files: bounded in size and depth, without duplicate keys."""

from __future__ import annotations

import json
from typing import Any

SIZE_LIMIT = 64 * 2**20
"""Most bytes of a JSON text that is parsed."""
DEPTH_LIMIT = 32
"""Most lists and tables around a value."""


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON in UTF-8, too large or too deep, names a key twice, or holds an integer beyond 64 bits.
    """
    if len(text) > SIZE_LIMIT:
        raise ValueError(f"more than {SIZE_LIMIT >> 20} MB of JSON")
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = json.loads(text, object_pairs_hook=_without_twins, parse_int=_int64)
    except RecursionError:
        raise ValueError(f"JSON of more than {DEPTH_LIMIT} levels") from None
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        tables = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for table in tables for inner in table]
    if level:
        raise ValueError(f"JSON of more than {DEPTH_LIMIT} levels")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key that is there twice")
    return value


def _int64(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("an integer beyond 64 bits")
    return int(digits)
