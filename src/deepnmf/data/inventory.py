"""Which recordings a corpus had when it was prepared, so that later changes are noticed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..artifacts import read_json, write_json
from ..errors import DeepnmfError
from .scan import ScanReport, absolute, find_recordings

INVENTORY = "recordings.json"
"""Beside the manifest: the folders, and length and time of every audio file in them."""


@dataclass(frozen=True)
class Changes:
    """Recordings that came, went, or have another length or time of modification, by their paths."""

    new: list[str]
    gone: list[str]
    changed: list[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    def __str__(self) -> str:
        parts = [(self.new, "new"), (self.gone, "gone"), (self.changed, "changed")]
        return ", ".join(f"{len(paths)} {what} (such as {paths[0]})" for paths, what in parts if paths)


def write_inventory(output: Path, folders: Iterable[Path]) -> None:
    """Write which audio files are in `folders`."""
    names = [str(absolute(folder)) for folder in folders]
    write_json(output / INVENTORY, {"folders": names, "files": _files(names)})


def recording_changes(output: Path) -> Changes:
    """Return how the folders differ from when they were prepared; in nothing if that is not known.

    Raises
    ------
    DeepnmfError
        If the inventory is damaged.
    """
    if not (output / INVENTORY).exists():
        return Changes([], [], [])
    record = read_json(output / INVENTORY)
    before, now = record["files"], _files(record["folders"])
    return Changes(
        new=sorted(now.keys() - before.keys()),
        gone=sorted(before.keys() - now.keys()),
        changed=sorted(path for path in before.keys() & now.keys() if before[path] != now[path]),
    )


def _files(folders: list[str]) -> dict[str, list[int]]:
    files = {}
    for folder in folders:
        with contextlib.suppress(DeepnmfError):  # gone or empty: it has no files
            for path in find_recordings(Path(folder), ScanReport()):
                stat = path.stat()
                files[str(path)] = [stat.st_size, stat.st_mtime_ns]
    return files
