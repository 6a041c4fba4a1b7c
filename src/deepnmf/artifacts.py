"""Files that one stage writes for the next: whole or absent, checksummed, and equal for equal inputs."""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import hashlib
import io
import json
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DeepnmfError
from .strict_json import parse_json
from .tensor_file import canonical, open_tensors, serialise

_TEMPORARY = re.compile(r"\.deepnmf-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part")
_OURS: set[str] = set()
"""Temporary names of this process."""
_SWEPT: set[str] = set()
"""Folders in which it has looked for those of others."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on any failure.

    What killed processes have left in the folder is removed as well.

    Raises
    ------
    DeepnmfError
        If the folder cannot be made or written to.
    """
    path = Path(path)
    temporary = path.parent / _temporary_name(path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent)
        # Created with the permissions that it keeps: CIFS and exFAT refuse to change them.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _put_in_place(temporary, path)
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot write ({error.strerror or error})") from error
    finally:
        _forget(temporary)


def _temporary_name(suffix: str) -> str:
    """Return a hidden name that is short, whatever the final one is, and names this host and process."""
    name = f".deepnmf-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part{suffix if len(suffix) <= 16 else ''}"
    _OURS.add(name)
    return name


@functools.cache
def _host() -> str:
    """Return what stands for all processes among which a number names one: host, and container on it."""
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
    """Rename; copy where the file system refuses to rename, unless that would write over what is there for good."""
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
    """Remove the temporary files of processes of this host that are no more; once for each folder."""
    if (key := os.path.abspath(folder)) in _SWEPT:  # noqa: PTH100 - resolving links costs more than it saves
        return
    _SWEPT.add(key)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.match(entry.name)
            if match and match[1] == _host() and entry.name not in _OURS and not _alive(int(match[2])):
                with contextlib.suppress(OSError):  # on Windows, a file that is still open
                    Path(entry.path).unlink()


def _alive(pid: int) -> bool:
    if pid == os.getpid() or sys.platform == "win32":  # ours of today are known by name; a signal would end it there
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


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; of names that are not UTF-8, the odd bytes are escaped."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a table as JSON atomically, with sorted keys so that equal values give equal bytes.

    Its checksum is that of the contents and the file's name: another artifact in its place does not have it.
    """
    table = json.loads(json.dumps(value))
    record = {**table, "sha256": _json_hash(table, Path(path).name)}
    write_text(path, json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read what :func:`write_json` wrote, without its checksum.

    Raises
    ------
    DeepnmfError
        If it is missing, no JSON, or not as it was written.
    """
    try:
        value = parse_json(Path(path).read_bytes())
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); run the stage that writes it first") from None
    except ValueError as error:
        raise DeepnmfError(f"{path}: not a JSON file ({error}); {_ANEW}") from None
    if not isinstance(value, dict) or "sha256" not in value:
        raise DeepnmfError(f"{path}: has no checksum, so it is damaged or of deepnmf 0.1; {_ANEW}")
    if value.pop("sha256") != _json_hash(value, Path(path).name):
        raise DeepnmfError(f"{path}: checksum mismatch, it is damaged, renamed or was changed by hand; {_ANEW}")
    return value


_ANEW = "delete it and run the stage that writes it again"


def _json_hash(table: dict[str, Any], name: str = "") -> str:
    return hashlib.sha256(f"{name}\n{canonical(table)}".encode("utf-8", "surrogatepass")).hexdigest()


def checked_line(record: dict[str, Any]) -> str:
    """Return a line of JSON with its checksum, for files that grow line by line."""
    return json.dumps({**record, "sha256": _json_hash(json.loads(json.dumps(record)))}) + "\n"


def read_checked_line(line: bytes) -> dict[str, Any] | None:
    """Return what :func:`checked_line` wrote, or None if it is damaged."""
    with contextlib.suppress(ValueError):
        value = parse_json(line)
        if isinstance(value, dict) and value.pop("sha256", None) == _json_hash(value):
            return value
    return None


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV, atomically; the first row names the columns.

    A text that a spreadsheet would take for a formula gets an apostrophe in front; :func:`read_csv` takes it off.
    """
    names = list(rows[0]) if rows else []
    write_text(path, "".join(map(_csv_line, [names, *([_guarded(row[name]) for name in names] for row in rows)])))


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read what :func:`write_csv` wrote.

    Raises
    ------
    DeepnmfError
        If it is missing, or no CSV with as many cells in each row as there are columns.
    """
    try:
        reader = csv.DictReader(io.StringIO(Path(path).read_bytes().decode("utf-8"), newline=""), strict=True)
        rows = list(reader)
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); run the stage that writes it first") from None
    except (ValueError, csv.Error) as error:
        raise DeepnmfError(f"{path}: not a CSV file ({error}); {_ANEW}") from None
    if any(None in row or None in row.values() for row in rows):
        raise DeepnmfError(f"{path}: its rows do not have as many cells as columns; {_ANEW}")
    return [{name: cell[cell.startswith("'") :] for name, cell in row.items()} for row in rows]


def _csv_line(cells: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)  # ends in both kinds of line end, or would leave one of them unquoted in cells
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""What a spreadsheet takes a formula by, and the apostrophe, so that none is lost."""


def save_tensors(path: Path, tensors: dict[str, np.ndarray], kind: str, metadata: dict[str, Any]) -> None:
    """Write named arrays and JSON metadata as a safetensors file.

    The file holds no pickle and no time stamp: equal contents give equal bytes.

    Parameters
    ----------
    path : Path
        File to write.
    tensors : dict of str to ndarray
        Arrays by name.
    kind : str
        What the file is, such as ``"dictionary"``; :func:`load_tensors` refuses another kind.
    metadata : dict
        JSON values: configuration, STFT spec, history, provenance.
    """
    content = serialise(tensors, kind, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_tensors(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote, checking kind, version and checksum.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged, of another kind, or of a newer format.
    """
    file = open_tensors(path, kind)
    return file.copy(), file.metadata
