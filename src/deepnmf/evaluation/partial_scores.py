"""Scores of an unfinished run, one JSON line each, written as they are made so that a kill loses none of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DeepnmfError


@dataclass(frozen=True)
class Score:
    """Scores of one recording: `row` is a line of ``scores.csv``."""

    row: dict[str, Any]
    enhance_seconds: float


def read_journal(path: Path) -> dict[str, Score]:
    """Return the scores in a journal by their key; none if there is no such file."""
    known = {}
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the line that a kill cut short
                record = json.loads(line)
                known[record["key"]] = Score(record["row"], record["enhance_seconds"])
    return known


@contextlib.contextmanager
def journal(path: Path) -> Iterator[Callable[[str, Score], None]]:
    """Open a journal and yield the function that adds a score under its key.

    Raises
    ------
    DeepnmfError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot write ({error.strerror}); choose another output folder") from None
    with file:

        def append(key: str, score: Score) -> None:
            record = {"key": key, "row": score.row, "enhance_seconds": score.enhance_seconds}
            file.write(json.dumps(record) + "\n")
            file.flush()

        file.write("\n")  # ends a line that a kill cut short
        yield append
