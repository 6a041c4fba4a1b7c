"""Atomic writes: files are renamed into place when complete; hashes of files."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import DeepnmfError
from ..interrupts import undone

_TEMPORARY = re.compile(r"\.deepnmf-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part")
_OURS: set[str] = set()
"""Temporary names of this process."""
_SWEPT: set[str] = set()
"""Folders already swept of those of dead processes."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on any failure.

    Temporary files of killed processes in the folder are removed as well.

    Raises
    ------
    DeepnmfError
        If the folder cannot be made or written to, or the path is a device or pipe, which the file would replace.
    """
    path = Path(path)
    check_replaceable(path)
    temporary = path.parent / _temporary_name(path.suffix)
    with undone(functools.partial(_forget, temporary)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(path.parent)
            # Created with the permissions that it keeps: CIFS and exFAT refuse to change them.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield temporary
            _put_in_place(temporary, path)
        except OSError as error:
            raise DeepnmfError(f"{path}: cannot write ({error.strerror or error})") from error


def check_replaceable(path: Path) -> None:
    """Raise `DeepnmfError` if a path is a device or pipe, which a file would replace."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # there is none, or writing names what is wrong
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DeepnmfError(f"{path}: a device or pipe, not a file; choose another name")


def _temporary_name(suffix: str) -> str:
    """Return a hidden name that is short, whatever the final one is, with the host and process."""
    name = f".deepnmf-{_host()}-{os.getpid()}-{os.urandom(4).hex()}.part{suffix if len(suffix) <= 16 else ''}"
    _OURS.add(name)
    return name


@functools.cache
def _host() -> str:
    """Return the scope within which process ids are unique: host, and container on it."""
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return hashlib.sha256(f"{platform.node()} {container}".encode()).hexdigest()[:8]


def _forget(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
    _OURS.discard(temporary.name)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename; copy where the file system refuses to rename, unless that would overwrite an existing file for good."""
    try:
        temporary.replace(path)
    except OSError as error:
        denied = error.errno in (errno.EPERM, errno.EACCES)
        if error.errno not in (errno.EXDEV, errno.EBUSY, errno.ENOSYS, errno.ENOTSUP) and not denied:
            raise
        if path.exists() and (denied or not path.is_file()):
            raise
        try:
            shutil.copyfile(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of dead processes of this host; once for each folder."""
    if (key := os.path.abspath(folder)) in _SWEPT:  # noqa: PTH100 - resolving links costs more than a second sweep
        return
    _SWEPT.add(key)
    _remove(folder, lambda name, pid: name not in _OURS and not _alive(pid))


def remove_temporaries(folder: Path, pid: int) -> None:
    """Remove the temporary files of one process of this host, which has ended."""
    _remove(folder, lambda _, found: found == pid)


def _remove(folder: Path, is_unwanted: Callable[[str, int], bool]) -> None:
    """Remove those temporary files of this host that `is_unwanted` accepts by name and process."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.match(entry.name)
            if match and match[1] == _host() and is_unwanted(entry.name, int(match[2])):
                with contextlib.suppress(OSError):  # on Windows, a file that is still open
                    Path(entry.path).unlink()


def _alive(pid: int) -> bool:
    if pid == os.getpid() or sys.platform == "win32":  # our own are tracked by name; on Windows a signal would kill it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises
    ------
    DeepnmfError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror})") from None
    return digest.hexdigest()
