"""Checks of outputs, before any work: the suffix of their kind, no file that is read, and a place for them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from .atomic import check_replaceable


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


def check_writable(*outputs: Path | str) -> None:
    """Raise `InputError` unless files can be written there; folders that are missing would be made."""
    import tempfile  # takes milliseconds

    for output in map(Path, outputs):
        try:
            check_replaceable(output)
            if output.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            nearest = next(folder for folder in output.absolute().parents if os.path.lexists(folder))
            with tempfile.TemporaryFile(dir=nearest):  # permissions do not show a file system that is read-only
                pass
        except OSError as error:
            raise InputError(f"{output}: cannot write ({error.strerror or error}); choose another place") from None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what equal files have in common; None if there is no such file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
