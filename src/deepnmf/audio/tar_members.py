"""Recordings in tar files, named as if the tar were a folder: ``shards/speech-000000.tar/ann/1.flac``.

A tar is read, never unpacked. Only its regular files count, of bounded size, whose names do not lead outside.
"""

from __future__ import annotations

import functools
import io
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, printable
from .inputs import ByteStream

SUFFIX = ".tar"
LARGEST_MEMBER = 2**31
"""Largest size of a member in bytes, three hours of 48 kHz stereo in 32 bits."""
LARGEST_HEADER = 2**20
BLOCK = 512

_HELD: dict[str, bytes] = {}
"""Members that a sequential reader has in memory, by their names."""


@dataclass(frozen=True)
class Member:
    """Where a file lies in a tar."""

    offset: int
    size: int


@dataclass
class TarIndex:
    """The files of a tar by name, in their order, and a line for each entry that is not used."""

    members: dict[str, Member] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def container(name: str | Path) -> Path | None:
    """Return the tar that a recording is in, None if it is a file of its own."""
    if f"{SUFFIX}/" not in str(name):
        return None
    return next((path for path in Path(name).parents if path.suffix == SUFFIX and path.is_file()), None)


def file_of(name: str | Path) -> Path:
    """Return the file on disk that a recording is, or is in."""
    return container(name) or Path(name)


def open_member(name: str) -> ByteStream:
    """Open a recording in a tar.

    Raises
    ------
    InputError
        If there is no such tar or member, or the tar is damaged.
    """
    if (data := _HELD.get(name)) is not None:
        return ByteStream(io.BytesIO(data), name, seekable=True)
    if (tar := container(name)) is None:
        raise InputError(f"{name}: no such file")
    member = tar_index(tar).members.get(Path(name).relative_to(tar).as_posix())
    if member is None:
        raise InputError(f"{name}: no such recording in {tar.name}")
    return ByteStream(io.BufferedReader(_Slice(tar, member)), name, seekable=True)


def hold(members: dict[str, bytes]) -> None:
    """Keep these members in memory, and no others."""
    _HELD.clear()
    _HELD.update(members)


def tar_index(path: Path) -> TarIndex:
    """Return the files of a tar, from its headers alone; remembered until its size or time changes.

    Raises
    ------
    InputError
        If it is missing, no uncompressed tar, or damaged.
    """
    try:
        found = path.stat()
        return _indexed(path, found.st_size, found.st_mtime_ns)
    except (OSError, tarfile.TarError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a sound, uncompressed tar file ({reason}); pack it again") from None


@functools.lru_cache(maxsize=256)
def _indexed(path: Path, *_: int) -> TarIndex:
    index, repeated = TarIndex(), set[str]()
    with _Headers(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for entry in tar:
            if entry.isdir():
                continue
            if reason := _oddity(entry):
                index.left_out.append(printable(f"{path}/{entry.name}: {reason}"))
            elif entry.name in index.members or entry.name in repeated:
                repeated.add(entry.name)
            else:
                index.members[entry.name] = Member(entry.offset_data, entry.size)
            tar.members.clear()  # type: ignore[attr-defined]
        file.seek(tar.offset)
        if file.read(BLOCK).strip(b"\0"):
            raise tarfile.ReadError(f"it is damaged at byte {tar.offset}")
    for name in repeated:
        del index.members[name]
        index.left_out.append(printable(f"{path}/{name}: several files have this name"))
    return index


def _oddity(entry: tarfile.TarInfo) -> str:
    """Return the reason why an entry of a tar is not used, if any."""
    if not entry.isreg() or entry.issparse():
        return "a link, device or sparse file"
    if entry.name.startswith(("/", "\\")) or ".." in entry.name.replace("\\", "/").split("/") or "\0" in entry.name:
        return "its name leads outside the tar"
    if entry.size > LARGEST_MEMBER:
        return f"{entry.size:,} bytes, more than {LARGEST_MEMBER:,}"
    return ""


class _Headers(io.FileIO):
    """A tar of which only headers are read, so that memory is bounded, whatever the stated sizes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size) or b""


class _Slice(io.RawIOBase):
    """A member of a tar as a file."""

    def __init__(self, path: Path, member: Member) -> None:
        self._file, self._member, self._at = path.open("rb", buffering=0), member, 0
        if os.fstat(self._file.fileno()).st_size < member.offset + member.size:
            raise InputError(f"{path}: the tar ends within a recording; pack it again")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._member.size}[whence]
        self._at = max(0, base + position)
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        self._file.seek(self._member.offset + self._at)
        count = self._file.readinto(memoryview(buffer)[: max(0, self._member.size - self._at)])
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
