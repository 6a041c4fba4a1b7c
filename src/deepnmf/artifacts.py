"""Files that one stage writes for the next: whole or absent, checksummed, and equal for equal inputs."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DeepnmfError

FORMAT_VERSION = 1
_UMASK_LOCK = threading.Lock()


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on any failure.

    Raises
    ------
    DeepnmfError
        If the folder cannot be made or written to.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=f".part{path.suffix}", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot write ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    with _UMASK_LOCK:  # reading means writing: two threads at once could leave it at 0 for good
        current = os.umask(0)
        os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, with sorted keys so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON artifact.

    Raises
    ------
    DeepnmfError
        If it is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); run the stage that writes it first") from None
    except ValueError:
        raise DeepnmfError(f"{path}: not a JSON file; delete it and run the stage that writes it again") from None


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV, atomically; the first row names the columns."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


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
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())}
    record = json.loads(json.dumps({**metadata, "kind": kind, "format_version": FORMAT_VERSION}))
    record.pop("sha256", None)  # of the file that these metadata were read from
    text = _canonical({**record, "sha256": _digest(tensors, record)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {"deepnmf": text}))  # one key: safetensors does not order several


def load_tensors(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote, checking kind, version and checksum.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged, of another kind, or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise DeepnmfError(f"{path}: no such {kind} file")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("deepnmf")
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError) as error:
        raise DeepnmfError(f"{path}: not a readable safetensors file ({error})") from None
    if text is None:
        raise DeepnmfError(f"{path}: a safetensors file, but not one that deepnmf wrote")
    metadata = _parsed(text)
    if metadata.get("format_version", 0) > FORMAT_VERSION:
        raise DeepnmfError(f"{path}: written by a newer deepnmf (format {metadata['format_version']}); upgrade deepnmf")
    if metadata.get("sha256") != _digest(tensors, {k: v for k, v in metadata.items() if k != "sha256"}):
        raise DeepnmfError(f"{path}: checksum mismatch, the file is damaged; fetch or train it again")
    if metadata["kind"] != kind:
        raise DeepnmfError(f"{path}: this is a {metadata['kind']} file; a {kind} file is needed here")
    return tensors, metadata


def _parsed(text: str) -> dict[str, Any]:
    """Parse metadata; what damage has left unreadable becomes empty, which no checksum fits."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _digest(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> str:
    """Hash arrays and metadata alike: a changed μ spoils a model as much as a changed weight."""
    digest = hashlib.sha256(_canonical(metadata).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
