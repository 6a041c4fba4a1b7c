"""The part of a file visible to a decoder, without its name."""

from __future__ import annotations

import io
from typing import BinaryIO

ENDLESS_BYTES = 2**40
ID3V1_BYTES = 128


class Window:
    """The part of a file from `start` to `stop`, as a file without a name, for a decoder.

    Parameters
    ----------
    file : binary file
        Seekable.
    start, stop : int
        Positions in it.
    endless : bool
        Whether to report an unlimited length, so that a decoder that estimates lengths reads to the end.

    Attributes
    ----------
    patch : (int, bytes)
        A position, and bytes that replace those of the file there.
    failure : OSError or None
        Why reading failed; an exception cannot pass through C.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int, endless: bool = False) -> None:
        self._file, self._start, self._stop = file, start, stop
        self.length = ENDLESS_BYTES if endless else stop - start
        self._position = 0
        self.patch = (0, b"")
        self.failure: OSError | None = None

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes."""
        left = max(0, self._stop - self._start - self._position)
        if self._position >= ENDLESS_BYTES - 2 * ID3V1_BYTES:
            return bytes(max(0, min(count, self.length - self._position)))  # where libmpg123 searches for tags
        try:
            self._file.seek(self._start + self._position)
            data = self._file.read(left if count < 0 else min(count, left))
        except OSError as error:
            self.failure = error
            return b""
        data = _patched(data, self._position, *self.patch)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.length}[whence]
        if base + offset >= 0:  # else the position is unchanged, as for a file
            self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


def _patched(data: bytes, at: int, patch_at: int, patch: bytes) -> bytes:
    """Return the data from position `at` with `patch` applied."""
    start, stop = max(at, patch_at), min(at + len(data), patch_at + len(patch))
    if start >= stop:
        return data
    return data[: start - at] + patch[start - patch_at : stop - patch_at] + data[stop - at :]
