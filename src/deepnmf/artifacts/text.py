"""Text artifacts: JSON and CSV with checksums, equal bytes for equal values."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from ..errors import DeepnmfError, unread
from ..text_files import read_regular
from .atomic import atomic_path
from .strict_json import parse_json
from .tensor_file import canonical


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; of names that are not UTF-8, the odd bytes are escaped."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a table as JSON atomically, with sorted keys so that equal values give equal bytes.

    Its checksum is that of the contents and the file's name: another artifact in its place fails the check.
    """
    table = json.loads(json.dumps(value))
    record = {**table, "sha256": _json_hash(table, Path(path).name)}
    write_text(path, json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read the output of :func:`write_json`, without its checksum.

    Raises
    ------
    DeepnmfError
        If it is missing, no JSON, or not as it was written.
    """
    try:
        value = parse_json(read_regular(path))
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
    """Parse a line of :func:`checked_line`; None if it is damaged."""
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
    """Read the output of :func:`write_csv`.

    Raises
    ------
    DeepnmfError
        If it is missing, or no CSV with as many cells in each row as there are columns.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_regular(path).decode("utf-8"), newline=""), strict=True)
        rows = list(reader)
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); run the stage that writes it first") from None
    except UnicodeDecodeError as error:
        raise DeepnmfError(f"{path}: not a CSV file ({unread(error)}); {_ANEW}") from None
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
"""First characters of spreadsheet formulas, and the apostrophe, so that escaping is reversible."""
