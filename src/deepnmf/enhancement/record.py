"""The record of a folder: outputs written into it, their origins, and those being written.

It is one hidden file of JSON lines; a line is appended for each finished output. Locks of single bytes of it, one for
each output, prevent two runs from writing the same names at once; the system releases them when a run ends or dies.
The shards of a run share a lock of all names, as their own are many and disjoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..artifacts import file_hash, remove_abandoned
from ..artifacts.locks import lock_bytes, serialised
from ..errors import DeepnmfError
from ..interrupts import undone

NAME = ".deepnmf-outputs.jsonl"
MOST_STALE_LINES = 1000
"""Most superseded lines before the record is compacted."""
FIRST_LOCK = 2**40
"""Locked bytes lie beyond the end of any record."""
SHARD_LOCKS = 2**39
"""Locked bytes of shards, before those of names."""
MOST_LOCKED_NAMES = 256
"""With more outputs in a folder the whole folder is locked: the system keeps locks in a list."""
MOST_LOCKED_FOLDERS = 256
"""Most folders locked by a run, as each lock holds a file open; others stay unlocked."""


class Origin(NamedTuple):
    """Provenance of an output; equal origins give equal outputs.

    Attributes
    ----------
    source : str
        SHA-256 of the input.
    model : str
        SHA-256 of the model.
    options : str
        All other settings that affect the output, version included, as text.
    """

    source: str
    model: str
    options: str


class FolderRecord:
    """The record of one folder. Reading does not create it.

    Parameters
    ----------
    folder : Path
        Where it lies; outputs are named by their path below.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._place = os.path.realpath(folder)
        self._below: dict[str, str] = {}
        self._is_new = not os.path.exists(folder)  # noqa: PTH110 - Path.exists raises without permission
        self.fault: str | None = None
        """Why the record cannot be written, if so."""
        self.incomplete = False
        """Whether an output was written without an entry."""
        self._descriptor: int | None = None
        self._writing = threading.Lock()
        self._entries: dict[str, list[tuple[str, Origin]]] = {}
        self._read_state: tuple[int, int] | None = None
        self._has_changed()

    def wrote(self, path: Path) -> bool:
        """Whether a run has written a file of this name here."""
        return self._has_entry(path) or (self._has_changed() and self._has_entry(path))

    def holds(self, path: Path) -> bool:
        """Whether the file exists unchanged since a run wrote it."""
        return self._is_as_written(path) or (self._has_changed() and self._is_as_written(path))

    def _has_entry(self, path: Path) -> bool:
        return bool(self._entries) and self._name(path) in self._entries

    def _is_as_written(self, path: Path) -> bool:
        if not self._has_entry(path):
            return False
        return file_digest(path) in [digest for digest, _ in self._entries[self._name(path)]]

    def _has_changed(self) -> bool:
        """Read the record if another run has written to it since, and return whether."""
        if self._descriptor is not None:  # closing another descriptor of the file would release its locks
            return False
        with contextlib.suppress(OSError):
            found = (self.folder / NAME).stat()
            state = found.st_size, found.st_mtime_ns
            if state != self._read_state and stat.S_ISREG(found.st_mode):
                self._entries = _parsed((self.folder / NAME).read_bytes())
                self._read_state = state
                return True
        return False

    def is_current(self, path: Path, origin: Origin) -> bool:
        """Whether the file exists unchanged since a run wrote it from this origin."""
        return (file_digest(path), origin) in self._entries.get(self._name(path), [])

    def lock(self, paths: Sequence[Path], shared: bool = False) -> None:
        """Lock outputs until :meth:`close`, or all names if there are many; remove temporary files of dead runs.

        Parameters
        ----------
        paths : sequence of Path
            The outputs.
        shared : bool
            Whether they are those of a shard: other shards may lock their own at the same time.

        Raises
        ------
        DeepnmfError
            If another run is writing one of them.
        """
        for parent in {path.parent for path in paths}:
            remove_abandoned(parent)
        while True:
            self._open()
            self._lock_all(paths, shared)
            if self._descriptor is None or _same_file(self._descriptor, self.folder / NAME):
                return
            self._release()  # removed, as it was empty, by a run that ended before it was locked

    def _lock_all(self, paths: Sequence[Path], shared: bool) -> None:
        if shared:
            self._lock(self.folder, FIRST_LOCK, length=0, shared=True)
            self._lock(self.folder, SHARD_LOCKS + _hash("\0".join(sorted(map(self._name, paths)))) % SHARD_LOCKS)
        elif len(paths) > MOST_LOCKED_NAMES:
            self._lock(self.folder, FIRST_LOCK, length=0)
        else:
            for path in paths:
                self._lock(path, FIRST_LOCK + _hash(self._name(path).casefold()))

    def _lock(self, shown: Path, offset: int, length: int = 1, shared: bool = False) -> None:
        if self._descriptor is not None and not lock_bytes(self._descriptor, offset, length, shared):
            self.close()
            raise DeepnmfError(f"{shown}: another run of deepnmf is writing it; wait for it, or choose another name")

    def add(self, path: Path, digest: str, origin: Origin) -> None:
        """Record an output with this SHA-256; called before it is renamed, so that every output has an entry."""
        name = self._name(path)
        self._entries.setdefault(name, []).append((digest, origin))
        self._open()
        with self._writing:
            self.incomplete |= self._descriptor is None
            if self._descriptor is None:
                return
            try:
                with serialised(self._descriptor):
                    os.write(self._descriptor, _line(name, digest, origin))
            except OSError as error:
                self.fault, self.incomplete = str(error.strerror), True

    def close(self) -> None:
        """Release the locks; remove an empty record, compact one with many superseded lines."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            if lock_bytes(self._descriptor, 0, length=0):  # no other run holds locks
                self._tidy(self._descriptor)
        self._release()

    def _release(self) -> None:
        """Release the locks."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _open(self) -> None:
        while self._descriptor is None and self.fault is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)  # a link may lead anywhere
                descriptor = os.open(self.folder / NAME, flags, 0o666)
            except OSError as error:
                self.fault = str(error.strerror)
                return
            if _same_file(descriptor, self.folder / NAME):
                self._descriptor = descriptor
            else:  # an empty record, removed by a run that ended meanwhile
                os.close(descriptor)

    def _tidy(self, descriptor: int) -> None:
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0) if hasattr(os, "pread") else b"?"
        if not data:
            (self.folder / NAME).unlink()
            if self._is_new:
                self.folder.rmdir()  # if it stayed empty
            return
        entries = _parsed(data)
        if data.count(b"\n") > 2 * len(entries) + MOST_STALE_LINES:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"".join(_line(name, *entry) for name, kept in entries.items() for entry in kept))

    def _name(self, path: Path) -> str:
        parent = str(path.parent)
        if parent not in self._below:  # asked for thousands of files in a few folders
            self._below[parent] = os.path.relpath(os.path.realpath(parent), self._place)
        name = os.path.normpath(f"{self._below[parent]}/{path.name}")
        return os.fsencode(name).decode("utf-8", "surrogateescape")  # the same in every locale


def _parsed(data: bytes) -> dict[str, list[tuple[str, Origin]]]:
    """Return the last two entries of each name: the older is valid until the newer output is renamed."""
    entries: dict[str, list[tuple[str, Origin]]] = {}
    for line in data.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):  # an incomplete line of a killed run
            value = json.loads(line)
            entry = (value["sha256"], Origin(value["source"], value["model"], value["options"]))
            entries[value["output"]] = [*entries.get(value["output"], [])[-1:], entry]
    return entries


def _line(name: str, digest: str, origin: Origin) -> bytes:
    # The line end comes first, so that an incomplete line of a killed run does not swallow this one.
    return f"\n{json.dumps({'output': name, 'sha256': digest, **origin._asdict()})}".encode()


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _hash(name: str) -> int:
    """Return a number of 56 bits, a range that makes collisions unlikely."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=7).digest(), "big")


def file_digest(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; None if it is not one or cannot be read."""
    try:
        return file_hash(path) if path.is_file() else None
    except (DeepnmfError, OSError):
        return None


class Records:
    """The records of the input and output folders of a run, each opened once."""

    def __init__(self) -> None:
        self._records: dict[str, FolderRecord] = {}
        self._names: dict[str, FolderRecord] = {}
        self._parents: dict[str, list[FolderRecord]] = {}

    def of(self, folder: Path) -> FolderRecord:
        """Return the record of a folder, the same for all its paths."""
        name = str(folder)
        if name not in self._names:
            place = os.path.realpath(folder)
            if place not in self._records:  # reopening a record would release its locks
                self._records[place] = FolderRecord(folder)
            self._names[name] = self._records[place]
        return self._names[name]

    def is_output(self, path: Path) -> bool:
        """Whether the file is unchanged since a run wrote it, by the record of its folder or one above."""
        return any(record.holds(path) for record in self._above(path))

    def wrote(self, path: Path) -> bool:
        """Whether a run has written a file of this name."""
        return any(record.wrote(path) for record in self._above(path))

    def _above(self, path: Path) -> list[FolderRecord]:
        parent = str(path.parent)
        if parent not in self._parents:
            absolute = Path(os.path.abspath(parent))  # noqa: PTH100 - links keep their names
            self._parents[parent] = [self.of(folder) for folder in (absolute, *absolute.parents)]
        return self._parents[parent]

    def lock(self, outputs: Iterable[tuple[Path, Path]], shared: bool = False) -> None:
        """Lock outputs, given with the folders of their records; see :meth:`FolderRecord.lock`."""
        folders: dict[FolderRecord, list[Path]] = {}
        for folder, path in outputs:
            folders.setdefault(self.of(folder), []).append(path)
        for record, paths in list(folders.items())[:MOST_LOCKED_FOLDERS]:
            record.lock(paths, shared)

    def unrecorded(self) -> list[tuple[Path, str | None]]:
        """Return the folders whose record lacks an output, and why."""
        return [(record.folder, record.fault) for record in self._records.values() if record.incomplete]

    def add_unrecorded(self, found: list[tuple[Path, str | None]]) -> None:
        """Merge the entries of another process of this run; see :meth:`unrecorded`."""
        for folder, fault in found:
            record = self.of(folder)
            record.fault, record.incomplete = record.fault or fault, True

    def faults(self) -> list[str]:
        """Return one line for each folder whose record lacks an output."""
        return [f"{folder}: no record of outputs can be written to it ({fault})" for folder, fault in self.unrecorded()]

    def close(self) -> None:
        """Release all locks, and remove empty records."""
        for record in list(self._records.values()):
            record.close()

    def __enter__(self) -> Records:
        self._closed = undone(self.close)  # also if a signal ends the process at once
        self._closed.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.__exit__(None, None, None)
