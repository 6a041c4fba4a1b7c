"""Maps of decoded recordings that are no longer used: those of files that have changed since are removed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..artifacts import read_json
from ..audio.tar_members import file_of
from ..errors import DeepnmfError

DATA = ".int16"
"""Suffix of a map; its index has the same name and ends in ``.json``."""


def stamp(path: Path) -> tuple[int, int]:
    """Return the size and the time of a file, zeros if there is none."""
    try:
        found = file_of(path).stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def stamps(files: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return name, size and time of the files of a recording."""
    return [(name, *stamp(Path(name))) for name in files]


def remove_stale(own: Path) -> int:
    """Remove the maps beside `own` with a recording that has another size or time now; return the bytes of the others.

    A recording that is missing may come back, with the disk it is on.
    """
    others = [path for path in own.parent.glob(f"*{DATA}") if path.name != own.name]
    return sum(stamp(path)[0] for path in others if not _removed(path))  # 0 where another training removes it


def _removed(data: Path) -> bool:
    index = data.with_suffix(".json")
    with contextlib.suppress(DeepnmfError, OSError, TypeError, ValueError):
        if _has_changed(read_json(index).get("files")):
            data.unlink()  # files that another training has mapped stay in its memory
            index.unlink()
            return True
    return False


def _has_changed(recorded: Any) -> bool:
    """Return whether a file is not the one in the record of an index; deepnmf 0.3 wrote none."""
    for name, *before in (entry for files in recorded or () for entry in files):
        now = stamp(Path(name))
        if now != (0, 0) and list(now) != before:
            return True
    return False
