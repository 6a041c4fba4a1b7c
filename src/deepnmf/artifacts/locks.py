"""Locks of bytes of a file, which the system releases when a process ends or dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import DeepnmfError
from ..interrupts import undone

LOCK = ".deepnmf-lock"


@contextlib.contextmanager
def serialised(descriptor: int) -> Iterator[None]:
    """Append to a file alone: on network file systems, two hosts would write over each other's lines."""
    try:
        import fcntl

        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1)
    except (ImportError, OSError):  # on Windows, or without locks in the file system
        yield
        return
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1)


def lock_bytes(descriptor: int, offset: int, length: int = 1, shared: bool = False) -> bool:
    """Lock bytes of an open file, without waiting, until it is closed or this process ends or dies.

    Parameters
    ----------
    descriptor : int
        A file open for reading and writing. Closing any descriptor of that file in this process releases its locks.
    offset, length : int
        Which bytes, which may lie beyond the end of the file; length 0 is all from `offset` on.
    shared : bool
        Whether other processes may share the lock.

    Returns
    -------
    bool
        False if another process has one of these bytes. Without locks in the file system, always true.
    """
    try:
        import fcntl
    except ImportError:
        return shared or _lock_bytes_on_windows(descriptor, offset, length)
    try:
        fcntl.lockf(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB, length, offset)
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


@contextlib.contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keep other processes from running the same stage in a folder; a lock whose process has died counts for nothing.

    Raises
    ------
    DeepnmfError
        If another process has the lock, or the folder cannot be written to.
    """
    is_new, path = not folder.exists(), folder / LOCK
    try:
        descriptor = _open_lock(path)
    except OSError as error:
        raise DeepnmfError(f"{folder}: cannot write ({error.strerror or error})") from None
    if descriptor is None:
        raise DeepnmfError(f"{folder}: another run of deepnmf is writing it; wait for it, or choose another folder")

    def release() -> None:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
        with contextlib.suppress(OSError):
            if is_new:
                folder.rmdir()  # if nothing was written

    with undone(release):
        yield


def _open_lock(path: Path) -> int | None:
    """Return the locked file, None if another process has it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except FileNotFoundError:
            continue  # a run that wrote nothing has just ended, and removed the folder
        if not lock_bytes(descriptor, 0):
            os.close(descriptor)
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # removed by its owner, who has just ended
