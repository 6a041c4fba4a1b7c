"""Inputs as bytes: files, FIFOs, process substitutions and stdin, opened without hanging, in bounded memory."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError

STDIN = "-"
DEV_STDIN = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
STDIN_NAMES = (STDIN, *DEV_STDIN)
STDOUT = "-"
STDOUT_NAMES = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
READ_BYTES = 1 << 16
WRITER_SECONDS = 10.0
"""Timeout for a FIFO that no program opens for writing."""


class ByteStream:
    """Bytes of an input, with a look ahead; seekable if it is a file.

    Parameters
    ----------
    file : binary file
        With ``read``, or ``read1`` (stdin), which returns available bytes without waiting for more.
    name : str
        Name to give in errors.
    seekable : bool
        Whether it is a regular file, of known length.
    """

    def __init__(self, file: BinaryIO, name: str, seekable: bool) -> None:
        self.file = file
        self.name = name
        self.size = _size(file) if seekable else None
        self._held = b""
        self._read: Any = getattr(file, "read1", file.read)

    def read_some(self, count: int) -> bytes:
        """Return up to `count` bytes as soon as there are any; none at the end."""
        if self._held:
            data, self._held = self._held[:count], self._held[count:]
            return data
        return self._more(count)

    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        parts, missing = [], count
        largest = READ_BYTES if self.size is None else count
        while missing and (data := self.read_some(min(missing, largest))):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def peek(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer only at the end, without consuming them."""
        self.put_back(self.read(count))
        return self._held[:count]

    def put_back(self, data: bytes) -> None:
        """Push `data` back."""
        self._held = data + self._held

    def skip(self, count: int) -> bool:
        """Skip `count` bytes; return whether there were as many."""
        if self.size is not None:
            self.seek(self.tell() + count)
            return self.tell() <= self.size
        while count and (data := self.read_some(min(count, READ_BYTES))):
            count -= len(data)
        return not count

    def tell(self) -> int:
        """Return the position in a file."""
        return self.file.tell() - len(self._held)

    def seek(self, position: int) -> None:
        """Go to a position in a file."""
        self._held = b""
        self.file.seek(position)

    def spool(self, limit: int | None = None) -> None:
        """Spool the rest into a temporary file and read from that: for formats that need seeking.

        Raises
        ------
        DeepnmfError
            If the disk is full, or there are more than `limit` bytes.
        """
        if self.size is not None:
            return
        try:
            import tempfile

            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stream
            while data := self.read_some(READ_BYTES):
                if file.write(data) and limit is not None and file.tell() > limit:
                    raise InputError(f"{self.name}: not readable as audio (unknown format signature)")
            file.seek(0)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self.name}: cannot be spooled to a temporary file ({reason}); set TMPDIR") from None
        self.close()
        self.file, self._read, self.size = file, file.read, _size(file)

    def close(self) -> None:
        """Close the input, unless it is stdin."""
        if sys.stdin is None or self.file is not sys.stdin.buffer:
            self.file.close()

    def _more(self, count: int) -> bytes:
        try:
            return bytes(self._read(count) or b"")
        except (OSError, ValueError) as error:
            raise InputError(f"{self.name}: cannot read ({getattr(error, 'strerror', None) or error})") from None


def open_input(source: Path | str) -> ByteStream:
    """Open a file, a member of a tar, a FIFO, a process substitution, or stdin (``"-"``).

    Raises
    ------
    DeepnmfError
        If there is no such file, it is a folder or a device, cannot be opened, or is a FIFO that nothing writes to.
    """
    name = str(source)
    if name == STDIN:
        return _stdin(name)
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name}: a folder, not an audio file")
        if stat.S_ISFIFO(mode):
            return _open_fifo(name)
        if name in DEV_STDIN and stat.S_ISSOCK(mode):  # a socket cannot be reopened, only read through its descriptor
            return _stdin(name)
        if not stat.S_ISREG(mode):
            raise InputError(f"{name}: a device, not an audio file")
        return ByteStream(Path(name).open("rb"), name, seekable=True)
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        from .tar_members import open_member

        return open_member(name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{name}: cannot read ({getattr(error, 'strerror', None) or error})") from None


def _stdin(name: str) -> ByteStream:
    if sys.stdin is None:
        raise InputError(f"{name}: stdin is closed; give a file")
    file = sys.stdin.buffer
    try:
        os.set_blocking(file.fileno(), True)  # another program may have made it non-blocking
        seekable = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):  # replaced by something that is not a file
        seekable = False
    return ByteStream(file, name, seekable)


def _open_fifo(name: str) -> ByteStream:
    """Open a FIFO; opening one without a writer would block for ever."""
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    deadline = time.monotonic() + WRITER_SECONDS
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    first = b""
    while not poll.poll(50):
        try:
            if first := os.read(handle, 1):
                break  # data arrived since the poll
        except BlockingIOError:
            break  # empty, but opened for writing
        if time.monotonic() > deadline:
            os.close(handle)
            raise InputError(f"{name}: a FIFO that no program writes to; start that program first")
    os.set_blocking(handle, True)
    stream = ByteStream(open(handle, "rb", buffering=0), name, seekable=False)  # noqa: PTH123, SIM115 - closed with it
    stream.put_back(first)
    return stream


def _size(file: BinaryIO) -> int:
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(position)
    return size
