"""Extracting archives of corpora: whole or not at all, and nothing outside the folder."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from ...errors import DeepnmfError

BLOCK_BYTES = 1 << 20


def extract(archive: Path, root: Path, only: str = "") -> None:
    """Extract the plain files of a zip or tar archive into `root`; links, devices and the like are skipped.

    Raises
    ------
    DeepnmfError
        If a member would lie outside `root`, or the archive is damaged; nothing is extracted then.
    """
    folder = root / f".{archive.name}.extracting"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        for name, stream in _members(archive):
            parts = _inside(name, archive)
            if "/".join(parts).startswith(only):
                _write(stream, folder.joinpath(*parts))
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            place = root / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    except OSError as error:
        if error.errno is not None:  # a full disk, say; a damaged gzip file has none
            raise DeepnmfError(f"{root}: cannot write ({error.strerror})") from None
        raise DeepnmfError(f"{archive}: damaged ({error}); delete it and run again") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise DeepnmfError(f"{archive}: damaged ({error}); delete it and run again") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(stream: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(stream, file, BLOCK_BYTES)


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and contents of each plain file of an archive, in its order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    with zipped.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(archive, "r|*") as packed:
        for member in packed:
            contents = packed.extractfile(member) if member.isfile() else None
            if contents is not None:
                yield member.name, contents


def _inside(name: str, archive: Path) -> tuple[str, ...]:
    """Return the parts of a member's path, refusing those that lead out of the folder on any system."""
    parts = PurePosixPath(name).parts
    windows = PureWindowsPath(name)
    if not parts or ".." in (*parts, *windows.parts) or name.startswith("/") or windows.drive or windows.root:
        raise DeepnmfError(f"{archive}: a member would lie outside the folder ({name!r}); do not use this archive")
    return parts
