"""The record of a folder: outputs written into it, their origins, and those being written.

It is one hidden file of JSON lines; a line is appended for each finished output. Locks of single bytes of it, one for
each output, prevent two runs from writing the same names at once; the system releases them when a run ends or dies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..artifacts import remove_abandoned
from ..errors import DeepnmfError

NAME = ".deepnmf-outputs.jsonl"
MOST_STALE_LINES = 1000
"""Most superseded lines before the record is compacted."""
FIRST_LOCK = 2**40
"""Locked bytes lie beyond the end of any record."""
MOST_LOCKED_NAMES = 256
"""With more outputs in a folder the whole folder is locked: the system keeps locks in a list."""
MOST_LOCKED_FOLDERS = 256
"""Most folders locked by a run, as each lock holds a file open; others stay unlocked."""


@dataclasses.dataclass(frozen=True)
class Origin:
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
        with contextlib.suppress(OSError):
            if (folder / NAME).is_file():
                self._entries = _parsed((folder / NAME).read_bytes())

    def wrote(self, path: Path) -> bool:
        """Whether a run has written a file of this name here."""
        return bool(self._entries) and self._name(path) in self._entries

    def holds(self, path: Path) -> bool:
        """Whether the file exists unchanged since a run wrote it."""
        if not self.wrote(path):
            return False
        return file_digest(path) in [digest for digest, _ in self._entries[self._name(path)]]

    def is_current(self, path: Path, origin: Origin) -> bool:
        """Whether the file exists unchanged since a run wrote it from this origin."""
        return (file_digest(path), origin) in self._entries.get(self._name(path), [])

    def lock(self, paths: Sequence[Path]) -> None:
        """Lock outputs until :meth:`close`, or all names if there are many; remove temporary files of dead runs.

        Raises
        ------
        DeepnmfError
            If another run is writing one of them.
        """
        self._open()
        for parent in {path.parent for path in paths}:
            remove_abandoned(parent)
        if len(paths) > MOST_LOCKED_NAMES:
            self._lock(self.folder, FIRST_LOCK, length=0)
            return
        for path in paths:
            self._lock(path, _offset(self._name(path)))

    def _lock(self, shown: Path, offset: int, length: int = 1) -> None:
        if self._descriptor is not None and not _lock_bytes(self._descriptor, offset, length):
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
                os.write(self._descriptor, _line(name, digest, origin))
            except OSError as error:
                self.fault, self.incomplete = str(error.strerror), True

    def close(self) -> None:
        """Release the locks; remove an empty record, compact one with many superseded lines."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with contextlib.suppress(OSError):
            if _lock_bytes(descriptor, 0, length=0):  # no other run holds locks
                self._tidy(descriptor)
        os.close(descriptor)

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
    return f"\n{json.dumps({'output': name, 'sha256': digest, **dataclasses.asdict(origin)})}".encode()


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _offset(name: str) -> int:
    """Return the byte for a name, from a range that makes collisions unlikely."""
    digest = hashlib.blake2b(name.casefold().encode("utf-8", "surrogateescape"), digest_size=7).digest()
    return FIRST_LOCK + int.from_bytes(digest, "big")


def _lock_bytes(descriptor: int, offset: int, length: int = 1) -> bool:
    """Lock without waiting; length 0 is up to any end. Without locks in the file system, always succeeds."""
    try:
        import fcntl
    except ImportError:
        return _lock_bytes_on_windows(descriptor, offset, length)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, offset)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _lock_bytes_on_windows(descriptor: int, offset: int, length: int) -> bool:
    import msvcrt

    names = 2**30  # bytes from here on stand for names; beyond 2**31 none can be locked
    os.lseek(descriptor, names + offset % names if length else names, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, length or names)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True


def file_digest(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; None if it is not one or cannot be read."""
    digest = hashlib.sha256()
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                digest.update(data)
    except OSError:
        return None
    return digest.hexdigest()


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

    def lock(self, outputs: Iterable[tuple[Path, Path]]) -> None:
        """Lock outputs, given with the folders of their records; see :meth:`FolderRecord.lock`."""
        folders: dict[FolderRecord, list[Path]] = {}
        for folder, path in outputs:
            folders.setdefault(self.of(folder), []).append(path)
        for record, paths in list(folders.items())[:MOST_LOCKED_FOLDERS]:
            record.lock(paths)

    def faults(self) -> list[str]:
        """Return one line for each folder whose record lacks an output."""
        incomplete = (record for record in self._records.values() if record.incomplete)
        return [f"{record.folder}: no record of outputs can be written to it ({record.fault})" for record in incomplete]

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        for record in self._records.values():
            record.close()
