"""Fetching the free corpora: resumes, checks size and hash, extracts."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ..._version import __version__
from ...artifacts import write_text
from ...errors import DeepnmfError
from ...progress import Progress
from .unpack import extract

BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Archive:
    """A file to fetch and extract.

    Attributes
    ----------
    url : str
        Where it is.
    digest : str
        ``md5:…`` or ``sha256:…`` as published; empty if nothing is: the hash of the first copy is then kept.
    size : int or None
        Its bytes, as published.
    only : str
        Members whose path begins with this are extracted; all if empty.
    name : str
        Its file name; by default that of the URL.
    """

    url: str
    digest: str = ""
    size: int | None = None
    only: str = ""
    name: str = ""

    @property
    def file(self) -> str:
        """Name of the archive on disk."""
        return self.name or PurePosixPath(urlsplit(self.url).path).name


def download(archives: Iterable[Archive], root: Path) -> None:
    """Fetch and extract `archives` into `root`; the work of an earlier run is kept.

    Each is fetched to ``NAME.part`` and renamed once its size and hash are right; an archive put there by hand serves
    as well. It is kept: delete it when the corpus is prepared.

    Raises
    ------
    DeepnmfError
        If one cannot be reached, which names all that are still to be fetched, breaks off or is damaged.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    waiting = [archive for archive in archives if not _done(archive, root).exists()]
    for number, archive in enumerate(waiting):
        path = root / archive.file
        if path.exists():
            check(archive, path)
        else:
            try:
                fetch(archive, path)
            except (OSError, HTTPException) as error:
                raise DeepnmfError(_by_hand(waiting[number:], root, error)) from None
        if not archive.digest:
            _record_hash(archive, path)
        extract(path, root, archive.only)
        _done(archive, root).touch()


def _done(archive: Archive, root: Path) -> Path:
    return root / f".{archive.file}.extracted"


def _by_hand(archives: list[Archive], root: Path, error: Exception) -> str:
    urls = " ".join(archive.url for archive in archives if not (root / archive.file).exists())
    reason = getattr(error, "reason", error)
    return f"{archives[0].url}: cannot be fetched ({reason}); run again to go on, or put into {root} by hand: {urls}"


def fetch(archive: Archive, path: Path) -> None:
    """Fetch an archive to `path`, going on where an earlier run stopped."""
    part = path.with_name(f"{path.name}.part")
    _receive(archive, part)
    check(archive, part)
    part.replace(path)


def _receive(archive: Archive, part: Path) -> None:
    """Download the rest of `part`, and its last byte again: a range after a complete file is empty."""
    have = max(0, part.stat().st_size - 1) if part.exists() else 0
    with _response(archive.url, have) as (response, start, total):
        bar = Progress(archive.file, total, "bytes", done=start, scaled=True)
        with part.open("r+b" if start else "wb") as file, bar:
            file.seek(start)
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
    total = archive.size or total
    if total and part.stat().st_size < total:
        raise OSError(f"broke off at {part.stat().st_size:,} of {total:,} bytes")


@contextmanager
def _response(url: str, have: int) -> Iterator[tuple[IO[bytes], int, int | None]]:
    """Open a URL at byte `have`; yield the stream, the byte it really starts at, and the size of the whole."""
    headers = {"User-Agent": f"deepnmf/{__version__}"}
    resumed = Request(url, headers={**headers, "Range": f"bytes={have}-"})
    try:
        response = urlopen(resumed if have else Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code != 416:  # range not satisfiable: the partial file does not match
            raise
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    start = have if response.status == 206 else 0  # a server that cannot resume sends the whole
    length = response.headers.get("Content-Length")
    with response:
        yield response, start, start + int(length) if length else None


def check(archive: Archive, path: Path) -> None:
    """Compare size and hash with the published ones; a wrong file that was fetched is deleted.

    Raises
    ------
    DeepnmfError
        If they differ.
    """
    wrong = ""
    if archive.size not in (None, path.stat().st_size):
        wrong = f"{path.stat().st_size:,} bytes, published are {archive.size:,}"
    elif expected := archive.digest or _recorded_hash(archive, path):
        kind, _, published = expected.partition(":")
        with path.open("rb") as file:
            found = _hash(kind, file)
        wrong = f"{kind} {found}, expected is {published}" if found != published else ""
    if not wrong:
        return
    if path.suffix == ".part":
        path.unlink()
        raise DeepnmfError(f"{archive.url}: damaged on the way ({wrong}) and deleted; run again")
    raise DeepnmfError(f"{path}: not the published file ({wrong}); delete it and run again")


def _record_hash(archive: Archive, path: Path) -> None:
    """Store the hash of an archive without a published one, to compare any later copy with it."""
    if _recorded_hash(archive, path):
        return
    with path.open("rb") as file:
        found = _hash("sha256", file)
    write_text(_hash_file(archive, path), f"{found}  {archive.file}\n")
    print(
        f"deepnmf: {archive.file}: no hash of it is published, so its contents are unchecked; its sha256 {found} is "
        f"kept in {_hash_file(archive, path).name}, and compared with any later copy",
        file=sys.stderr,
    )


def _recorded_hash(archive: Archive, path: Path) -> str:
    """Return the hash in the file beside an archive, as sha256sum writes it: ours, or one that the user has put."""
    file = _hash_file(archive, path)
    if not file.is_file():
        return ""
    words = file.read_text(encoding="utf-8", errors="replace").split()
    if not words or not re.fullmatch(r"[0-9a-f]{64}", words[0]):
        raise DeepnmfError(f"{file}: not the output of sha256sum; delete it")
    return f"sha256:{words[0]}"


def _hash_file(archive: Archive, path: Path) -> Path:
    return path.with_name(f"{archive.file}.sha256")


def _hash(kind: str, file: IO[bytes]) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
