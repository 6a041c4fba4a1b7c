"""The tables of all settings, written from the dataclasses when the site is built."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, Literal

from deepnmf.config import FeatureConfig, PrepareConfig, Settings, SnmfConfig, StftSpec
from deepnmf.networks.kinds import KINDS

MARK = "<!-- settings -->"
"""A page that has this line gets the tables in its place."""
UNITS = {"_hz": "Hz", "_ms": "ms", "_seconds": "s", "_gb": "GB", "fft_size": "samples"}
UNITS |= {"_db_low": "dB", "_db_high": "dB", "_frames": "frames", "_segments": "segments", "epochs": "epochs"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in the place of `MARK` (an event of MkDocs)."""
    return markdown.replace(MARK, tables()) if MARK in markdown else markdown


def tables() -> str:
    """Return a section of Markdown for each section of the configuration."""
    plain = [_table(cls.SECTION, [("", cls)]) for cls in (PrepareConfig, FeatureConfig, StftSpec, SnmfConfig)]
    network = _table("network", [(kind, KINDS[kind].SETTINGS) for kind in KINDS])
    train = _table("train", [(kind, KINDS[kind].TRAINING) for kind in KINDS])
    return "\n\n".join([*plain, network, train, ""])


def _table(section: str, classes: list[tuple[str, type[Settings]]]) -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for kind, cls in classes:
        for row in _rows(cls):
            rows.setdefault(row, []).append(kind)
    several = len(classes) > 1
    head = ["setting", "default", "unit", "range", "meaning", *(["kinds"] if several else [])]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row, kinds in rows.items():
        cells = [*row, *(["all" if len(kinds) == len(classes) else ", ".join(kinds)] if several else [])]
        lines.append(f"| {' | '.join(cells)} |")
    return f"## Section `{section}`\n\n" + "\n".join(lines)


def _rows(cls: type[Settings]) -> Iterator[tuple[str, ...]]:
    """Yield setting, default, unit, range and meaning of each setting."""
    meanings, hints = descriptions(cls), typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        if not dataclasses.is_dataclass(hints[item.name]) and item.name != "kind":
            only = " and ".join(f"`{name} = {value}`" for name, value in item.metadata.get("only", {}).items())
            meaning = f"{meanings[item.name]} Only with {only}." if only else meanings[item.name]
            unit = next((unit for end, unit in UNITS.items() if item.name.endswith(end)), "")
            yield (
                f"`{item.name}`",
                f"`{_toml(item.default)}`",
                unit,
                _range(hints[item.name], item.metadata.get("range")),
                meaning,
            )


def _toml(value: Any) -> str:
    """Return a default as TOML has it, where it has."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _range(hint: Any, bounds: tuple[float, float] | None) -> str:
    if typing.get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(hint))
    if bounds is None:
        return "true, false" if hint is bool else ""
    return f"{bounds[0]:,.12g} … {bounds[1]:,.12g}"


def descriptions(cls: type) -> dict[str, str]:
    """Return the strings after the fields of a dataclass and its bases; a field without one shares the next field's."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        waiting: list[str] = []
        for statement in body.body:  # type: ignore[attr-defined]
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                waiting.append(statement.target.id)
            elif waiting and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                text = re.sub(r":class:`([^`]*)`", r"`\1`", " ".join(str(statement.value.value).split()))
                found |= dict.fromkeys(waiting, text)
                waiting = []
    return found
