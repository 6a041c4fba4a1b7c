"""Inventory of the recordings of a prepared corpus, to detect later changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import read_json, write_json
from ..artifacts.records import is_text
from ..errors import DeepnmfError
from .scan import ScanReport, absolute, find_recordings
from .tars import is_tar_pattern, tar_paths

INVENTORY = "recordings.json"
"""Beside the manifest: the folders, and length and time of every audio file in them."""


@dataclass(frozen=True)
class Changes:
    """Recordings added, removed, or changed in length or modification time, by their paths."""

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
    names = folder_names(folders)
    write_json(output / INVENTORY, {"folders": names, "files": _files(names)})


def folder_names(folders: Iterable[Path]) -> list[str]:
    """Return folders as an inventory records them."""
    return [str(absolute(folder)) for folder in folders]


def recording_changes(output: Path) -> Changes:
    """Return the changes of the folders since they were prepared; none without an inventory.

    Raises
    ------
    DeepnmfError
        If the inventory is damaged.
    """
    if not (output / INVENTORY).exists():
        return Changes([], [], [])
    record = read_inventory(output / INVENTORY)
    before, now = record["files"], _files(record["folders"])
    return Changes(
        new=sorted(now.keys() - before.keys()),
        gone=sorted(before.keys() - now.keys()),
        changed=sorted(path for path in before.keys() & now.keys() if before[path] != now[path]),
    )


def read_inventory(path: Path) -> dict[str, Any]:
    """Read the output of :func:`write_inventory`.

    Raises
    ------
    DeepnmfError
        If it is missing, damaged or no inventory.
    """
    record = read_json(path)
    folders = record.get("folders")
    if not isinstance(folders, list) or not all(map(is_text, folders)) or not isinstance(record.get("files"), dict):
        raise DeepnmfError(f"{path}: not an inventory of folders and files; prepare into another folder")
    return record


def _files(folders: list[str]) -> dict[str, list[int]]:
    files = {}
    for folder in folders:
        with contextlib.suppress(DeepnmfError):  # missing or empty: no files
            for path in tar_paths(folder) if is_tar_pattern(folder) else find_recordings(Path(folder), ScanReport()):
                stat = path.stat()
                files[str(path)] = [stat.st_size, stat.st_mtime_ns]
    return files
