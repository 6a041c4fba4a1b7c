"""Scores of an unfinished run, one checked JSON line each, appended at once so that a kill loses none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import checked_line, read_checked_line
from ..errors import DeepnmfError

PARTIAL_SCORES = "scores.partial.jsonl"


@dataclass(frozen=True)
class Score:
    """Scores of one recording: `row` is a line of ``scores.csv``."""

    row: dict[str, Any]
    enhance_seconds: float


def read_partial_scores(path: Path) -> tuple[dict[str, Score], int]:
    """Return the scores of an unfinished run by their key, and how many of its lines are damaged.

    The last line may be cut short by the kill itself. No file has no scores.

    Raises
    ------
    DeepnmfError
        If it cannot be read.
    """
    if path.exists() and not path.is_file():  # reading a device or pipe might never end
        raise DeepnmfError(f"{path}: cannot read, it is no file; delete it")
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return {}, 0
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); delete it") from None
    records = [read_checked_line(line) for line in lines if line.strip()]
    sound = [record for record in records if record is not None and _is_score(record)]
    known = {record["key"]: Score(record["row"], record["enhance_seconds"]) for record in sound}
    return known, len(records) - len(sound)


def _is_score(record: dict[str, Any]) -> bool:
    numbers = isinstance(record.get("enhance_seconds"), float | int)
    return numbers and isinstance(record.get("key"), str) and isinstance(record.get("row"), dict)


@contextlib.contextmanager
def append_partial_scores(path: Path) -> Iterator[Callable[[str, Score], None]]:
    """Open the file of an unfinished run and yield the function that adds a score under its key.

    Raises
    ------
    DeepnmfError
        If it cannot be written; so does the function, as when the disk is full.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
    with file:

        def write(line: bytes) -> None:
            with _naming(path):
                if file.write(line) != len(line):
                    raise OSError(0, "the disk is full")

        def append(key: str, score: Score) -> None:
            record = {"key": key, "row": score.row, "enhance_seconds": score.enhance_seconds}
            write(checked_line(record).encode())

        write(b"\n")  # ends a line that a kill cut short
        yield append


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot write ({error.strerror}); finished scores are kept") from None
