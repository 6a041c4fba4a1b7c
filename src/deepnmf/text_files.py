"""Reading of text files that people name, which may be pipes and devices: bounded, and not for ever."""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST = 1 << 28
"""Bytes: a list of millions of names is shorter."""


def read_regular(path: Path) -> bytes:
    """Return the contents of a file that is no pipe or device: it is read more than once, or was written here.

    Raises
    ------
    OSError
        If it cannot be read or is no such file.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # of which the message is the system's
        raise OSError(errno.EINVAL, "a pipe or device; save it as a file")
    return Path(path).read_bytes()


def read_bounded(file: BinaryIO) -> bytes:
    """Return the contents of a file, pipe or device.

    Raises
    ------
    OSError
        If it cannot be read, or does not end.
    """
    found = file.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise OSError(errno.EFBIG, f"longer than {LARGEST >> 20} MB")
    return found
