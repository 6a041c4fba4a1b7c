"""Checks of the names of outputs, before any work: the suffix of their kind, and no file that is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError


def check_suffix(output: Path | str, what: str, *suffixes: str) -> None:
    """Raise `InputError` unless an output has one of the suffixes of its kind: it may be the name of another file."""
    if Path(output).suffix.lower() not in suffixes:
        raise InputError(f"{output}: {what} is a {suffixes[0]} file; give it that suffix")


def check_not_read(outputs: Iterable[Path | str | None], *inputs: Path | str | None) -> None:
    """Raise `InputError` if an output is a file that is read, by whatever name; None is none."""
    read = {found for path in inputs if path is not None and (found := _identity(Path(path)))}
    for output in outputs:
        if output is not None and _identity(Path(output)) in read:
            raise InputError(f"{output}: the output is an input; choose another name")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what equal files have in common; None if there is no such file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
