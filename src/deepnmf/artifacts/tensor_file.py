"""Files of named arrays and JSON metadata (safetensors), memory-mapped and fully validated before use.

The order of the checks matters: size and depth of the header, names, types, shapes and places of the arrays, and the
checksum, all before an array is copied. The checksum detects damage; the values of the arrays are validated by
:func:`.schema.check_arrays` and the schema of the file's kind. The header is read here rather than by
`safetensors.safe_open`, which has no bound on names and metadata, accepts duplicate names, and copies every
array that is hashed; a test compares the two readers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import mmap
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DeepnmfError
from .schema import shown
from .strict_json import parse_json

FORMAT_VERSION = 1
HEADER_LIMIT = 16 * 2**20
"""Most bytes of a header: names, shapes and metadata."""
ARRAYS_LIMIT = 10_000
NAME_LIMIT = 200
AXES_LIMIT = 8
MESSAGE_LIMIT = 300
"""Most characters of a reason in a message, which may quote the file."""
METADATA_KEY = "deepnmf"
"""One key holds all: safetensors does not order several, and equal contents must give equal bytes."""
DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


class TensorFile:
    """An artifact whose header, kind and checksum have been checked.

    Attributes
    ----------
    path : Path
        The file.
    metadata : dict
        Metadata beside the arrays, and ``kind``, ``format_version`` and ``sha256``.
    arrays : dict of str to ndarray
        Read-only and memory-mapped: only the pages used are read.
    """

    def __init__(self, path: Path, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.path = path
        self.metadata = metadata
        self.arrays = arrays

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays by name."""
        return {name: array.shape for name, array in self.arrays.items()}

    def copy(self) -> dict[str, np.ndarray]:
        """Return all arrays, copied into memory."""
        return {name: array.copy() for name, array in self.arrays.items()}


def open_tensors(path: Path, kind: str | None = None) -> TensorFile:
    """Open a tensor file, checking header, format, checksum and kind.

    Parameters
    ----------
    path : Path
        What :func:`deepnmf.artifacts.save_tensors` wrote.
    kind : str, optional
        The kind it must be of; any by default.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged, invalid, of another kind, or of a newer format.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
            raise DeepnmfError(f"{path}: no such {kind or 'tensor'} file, but a folder or device")
        with path.open("rb") as file:
            header, buffer = _read_header(file)
            text = _metadata_text(header.pop("__metadata__", None), path)
            arrays = _place(header, buffer)
    except FileNotFoundError:
        raise DeepnmfError(f"{path}: no such {kind or 'tensor'} file") from None
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read the {kind or 'tensor'} file ({error.strerror or error})") from None
    except ValueError as error:
        raise DeepnmfError(f"{path}: not a readable safetensors file ({error}); fetch or make it again") from None
    metadata = _checked_metadata(text, arrays, path)
    if kind not in {None, metadata["kind"]}:
        raise DeepnmfError(f"{path}: this is a {shown(metadata['kind'])} file; a {kind} file is needed here")
    return TensorFile(path, metadata, arrays)


@contextlib.contextmanager
def about(path: Path, remedy: str = "fetch or make it again") -> Iterator[None]:
    """Prefix errors in the contents of a file with its name, and append the remedy."""
    try:
        yield
    except DeepnmfError as error:
        problem = str(error) if len(str(error)) <= MESSAGE_LIMIT else f"{str(error)[:MESSAGE_LIMIT]}…"
        raise DeepnmfError(f"{path}: {problem}; {remedy}") from None


def serialise(tensors: Mapping[str, np.ndarray], kind: str, metadata: dict[str, Any]) -> bytes:
    """Return the bytes of a file; equal contents give equal bytes."""
    from safetensors.numpy import save

    tensors = {name: np.asarray(value, order="C") for name, value in sorted(tensors.items())}
    record = json.loads(json.dumps({**metadata, "kind": kind, "format_version": FORMAT_VERSION}))
    record.pop("sha256", None)  # of the file that these metadata were read from
    text = canonical({**record, "sha256": _digest(tensors, record)})
    return save(tensors, {METADATA_KEY: text.encode("utf-8", "backslashreplace").decode()})  # names that are not UTF-8


def canonical(value: Any) -> str:
    """Return canonical JSON."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], memoryview]:
    """Return the parsed header and a map of the data after it."""
    prefix = file.read(8)
    if len(prefix) < 8:
        raise ValueError("cut short")
    length = int.from_bytes(prefix, "little")
    if length > HEADER_LIMIT:
        raise ValueError(f"its header claims {length} bytes")
    text = file.read(length)
    if len(text) < length:
        raise ValueError("cut short")
    header = parse_json(text)
    if not isinstance(header, dict) or len(header) > ARRAYS_LIMIT + 1:
        raise ValueError(f"its header is not a table of at most {ARRAYS_LIMIT} arrays")
    return header, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[8 + length :]


def _metadata_text(metadata: Any, path: Path) -> str:
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise DeepnmfError(f"{path}: a safetensors file, but not one that deepnmf wrote")
    return text


def _place(header: dict[str, Any], buffer: memoryview) -> dict[str, np.ndarray]:
    """Return views of the arrays; they must cover the buffer from end to end, none over another."""
    entries = {name: _entry(name, value) for name, value in header.items()}
    arrays, end = {}, 0
    for name, (dtype, shape, begin, stop) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != end or stop > len(buffer):
            raise ValueError(f"array {name} is not where it should be")
        count = math.prod(shape)
        if stop - begin != count * dtype.itemsize:
            raise ValueError(f"array {name} of shape {shape} has {stop - begin} bytes")
        arrays[name] = np.frombuffer(buffer, dtype, count, begin).reshape(shape) if count else np.zeros(shape, dtype)
        end = stop
    if end != len(buffer):
        raise ValueError(f"{len(buffer) - end} bytes belong to no array")
    return dict(sorted(arrays.items()))


def _entry(name: str, value: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Return type, shape, first and last place of an array of the header."""
    if not name.isprintable() or len(name) > NAME_LIMIT:
        raise ValueError("an array with an odd name")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array {name} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"array {name} has the type {shown(dtype)}")
    if not _are_sizes(shape) or len(shape) > AXES_LIMIT:
        raise ValueError(f"array {name} has the shape {shown(shape)}")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"array {name} has the offsets {shown(offsets)}")
    return np.dtype(DTYPES[dtype]), tuple(shape), *offsets


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _checked_metadata(text: str, arrays: dict[str, np.ndarray], path: Path) -> dict[str, Any]:
    try:
        metadata = parse_json(text)
    except ValueError:
        metadata = {}  # fails the checksum
    if not isinstance(metadata, dict):
        metadata = {}
    version = metadata.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise DeepnmfError(f"{path}: written by a newer deepnmf (format {version}); upgrade deepnmf")
    if metadata.get("sha256") != _digest(arrays, {k: v for k, v in metadata.items() if k != "sha256"}):
        raise DeepnmfError(f"{path}: checksum mismatch, the file is damaged; fetch or make it again")
    if not isinstance(metadata.get("kind"), str):
        raise DeepnmfError(f"{path}: has no kind; fetch or make it again")
    return metadata


def _digest(arrays: Mapping[str, np.ndarray], metadata: dict[str, Any]) -> str:
    """Hash arrays and metadata alike: a changed μ corrupts a model as much as a changed weight."""
    digest = hashlib.sha256(canonical(metadata).encode(errors="surrogatepass"))
    for name, value in sorted(arrays.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode(errors="surrogatepass"))
        digest.update(value.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
