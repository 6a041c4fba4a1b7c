"""Extraction of corpus archives: atomic, and confined to the folder."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from ...errors import DeepnmfError, InputError

BLOCK_BYTES = 1 << 20


RATIO_LIMIT = 50
"""Largest compression ratio of recordings; an archive beyond it is treated as a zip bomb."""
ALLOWANCE_BYTES = 64 * 2**20
MEMBERS_LIMIT = 2_000_000


def extract(archive: Path, root: Path, only: str = "") -> None:
    """Extract the plain files of a zip or tar archive into `root`; links, devices and the like are skipped.

    Raises
    ------
    InputError
        If a member would lie outside `root`, the archive is encrypted, or more than `RATIO_LIMIT` times as large when
        unpacked, or it is damaged; nothing is extracted then.
    """
    folder = root / f".{archive.name}.extracting"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        budget = _Budget(archive)
        for name, stream in _members(archive, folder, budget):
            parts = _inside(name, archive)
            if "/".join(parts).startswith(only):
                _write(stream, folder.joinpath(*parts), budget)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            place = root / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    except OSError as error:
        if error.errno is not None:  # such as a full disk; a damaged gzip file has none
            raise InputError(f"{archive}: cannot be unpacked into {root} ({error.strerror})") from None
        raise _damaged(archive, error) from None
    except NotImplementedError as error:
        raise InputError(f"{archive}: cannot be unpacked by Python ({error}); unpack it into {root} by hand") from None
    except DAMAGE as error:
        raise _damaged(archive, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError)


def _damaged(archive: Path, error: Exception) -> DeepnmfError:
    if isinstance(error, DeepnmfError):
        return error
    return InputError(f"{archive}: damaged ({error}); delete it and run again")


class _Budget:
    """Bytes that may come out of an archive: as many as its size allows."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._limit = RATIO_LIMIT * archive.stat().st_size + ALLOWANCE_BYTES
        self._declared = self._written = self._members = 0

    def declare(self, size: int) -> None:
        """Count a member of `size` bytes, as the archive claims."""
        self._declared += max(0, size)
        self._members += 1
        self._check(self._declared, "claims to hold")

    def write(self, size: int) -> None:
        """Count bytes that came out of it."""
        self._written += size
        self._check(self._written, "holds")

    def _check(self, count: int, verb: str) -> None:
        if count > self._limit or self._members > MEMBERS_LIMIT:
            raise InputError(
                f"{self._archive}: {verb} more than {self._limit >> 20:,} MB or {MEMBERS_LIMIT:,} files, which no "
                "corpus of this size does; do not use this archive"
            )


def _write(stream: IO[bytes], path: Path, budget: _Budget) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while block := stream.read(BLOCK_BYTES):
            budget.write(len(block))
            file.write(block)


def _members(archive: Path, folder: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and contents of each plain file of an archive, in its order."""
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive, budget)
        return
    with tarfile.open(archive, "r|*") as packed:
        for member in packed:
            budget.declare(member.size)
            if not member.isfile():
                continue
            _inside(member.name, archive)
            if hasattr(tarfile, "data_filter"):  # Python 3.12, and late releases of those before
                tarfile.data_filter(member, str(folder))
            if contents := packed.extractfile(member):
                yield member.name, contents


def _zip_members(archive: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as zipped:
        members = [info for info in zipped.infolist() if not info.is_dir() and not _is_link(info)]
        for info in members:
            budget.declare(info.file_size)
            if info.flag_bits & ENCRYPTED:
                raise InputError(f"{archive}: {info.filename!r} is encrypted; unpack it by hand, with its password")
        for info in members:
            with zipped.open(info) as stream:
                yield info.filename, stream


ENCRYPTED = 0x1
"""Bit of a zip member's flags."""


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _inside(name: str, archive: Path) -> tuple[str, ...]:
    """Return the parts of a member's path, refusing those that lead out of the folder on any system."""
    parts = PurePosixPath(name).parts
    windows = PureWindowsPath(name)
    if (
        "\0" in name
        or not parts
        or ".." in (*parts, *windows.parts)
        or name.startswith("/")
        or windows.drive
        or windows.root
    ):
        raise InputError(f"{archive}: a member would lie outside the folder ({name!r}); do not use this archive")
    return parts
