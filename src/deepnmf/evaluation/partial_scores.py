"""Scores of an unfinished run or shard, one checked JSON line each, appended at once so that a kill loses none."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..artifacts import checked_line, read_checked_line, read_json
from ..errors import DeepnmfError
from ..shards import WHOLE, Shard
from ..text_files import read_regular

PARTIAL_SCORES = "scores.partial.jsonl"
TIMING = "timing.json"
"""What differs from run to run, and which recordings were scored."""


@dataclass(frozen=True)
class Score:
    """Scores of one recording: `row` is a line of ``scores.csv``."""

    row: dict[str, Any]
    enhance_seconds: float


@dataclass
class PartialScores:
    """What an unfinished run has found, by the key of each recording.

    Attributes
    ----------
    scores, failures : dict
        Scores, and the reasons of failures.
    damaged : dict
        Number of lines that cannot be used, by the file that has them.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    damaged: Counter[Path] = field(default_factory=Counter)


def partial_path(folder: Path, shard: Shard = WHOLE) -> Path:
    """Return the file of an unfinished run, or of one of its shards: several hosts cannot append to one file."""
    return folder / (PARTIAL_SCORES if shard.is_whole else f"scores.partial.{shard.index + 1}-of-{shard.count}.jsonl")


def partial_paths(folder: Path) -> list[Path]:
    """Return the files of unfinished runs in a folder, sorted."""
    return sorted(path for path in folder.glob("scores.partial*.jsonl") if is_partial(path.name))


def is_partial(name: str) -> bool:
    """Return whether this is the name of a file of an unfinished run."""
    return re.fullmatch(r"scores\.partial(\.\d+-of-\d+)?\.jsonl", name) is not None


def is_merged(folder: Path, recordings: str) -> bool:
    """Return whether the scores of these recordings have been merged, so that a shard has no work left."""
    if partial_paths(folder):
        return False
    with contextlib.suppress(DeepnmfError):  # missing or damaged: they are scored again
        return read_json(folder / TIMING).get("recordings") == recordings
    return False


def read_all_partial_scores(folder: Path) -> PartialScores:
    """Return the results of all unfinished runs in a folder, its shards merged.

    Raises
    ------
    DeepnmfError
        If a file cannot be read.
    """
    together = PartialScores()
    for path in partial_paths(folder):
        found = read_partial_scores(path)
        together.scores |= found.scores
        together.failures |= found.failures
        together.damaged += found.damaged
    return together


def read_partial_scores(path: Path) -> PartialScores:
    """Return the results of an unfinished run, or of one of its shards.

    The last line may be cut short by the kill itself. No file has no scores.

    Raises
    ------
    DeepnmfError
        If it cannot be read.
    """
    try:
        lines = read_regular(path).split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return PartialScores()
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); delete it") from None
    found = PartialScores()
    for line in lines:
        if line.strip():
            _add(found, read_checked_line(line), path)
    return found


def _add(found: PartialScores, record: dict[str, Any] | None, path: Path) -> None:
    if record is None or not isinstance(key := record.get("key"), str):
        found.damaged[path] += 1
    elif isinstance(record.get("enhance_seconds"), float | int) and isinstance(record.get("row"), dict):
        found.scores[key] = Score(record["row"], record["enhance_seconds"])
    elif isinstance(record.get("failure"), str):
        found.failures[key] = record["failure"]
    else:
        found.damaged[path] += 1


@contextlib.contextmanager
def append_partial_scores(path: Path) -> Iterator[Callable[[str, Score | str], None]]:
    """Open the file of an unfinished run and yield the function that adds a score, or a failure, under its key.

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

        def append(key: str, result: Score | str) -> None:
            found = {"failure": result} if isinstance(result, str) else dataclasses.asdict(result)
            write(checked_line({"key": key, **found}).encode())

        write(b"\n")  # ends a line that a kill cut short
        yield append


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot write ({error.strerror}); finished scores are kept") from None
