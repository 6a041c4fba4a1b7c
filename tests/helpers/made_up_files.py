"""Model files that nobody trained: valid ones with one thing changed, and the checksum made to fit."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepnmf.artifacts import tensor_file
from deepnmf.artifacts.tensor_file import canonical, open_tensors, serialise

DEEP: Any = json.loads("[" * 200 + "]" * 200)
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 1e300, float("nan"), float("inf"), 2**40, 10**9, -(2**60), "4", "", "x" * 10**6, "\x1b[2J",
    [], {}, [[]], [0.5], [10**9], [-1], [0] * 5000, {"layers": 1}, DEEP,
)  # fmt: skip
"""Values to put in the place of any other."""

Arrays = dict[str, np.ndarray]
Metadata = dict[str, Any]


def changed_metadata(path: Path, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return what was done, and the file: one value anywhere in the metadata is another, gone, or has company."""
    file = open_tensors(path, "model")
    metadata = copy.deepcopy({name: value for name, value in file.metadata.items() if name != "sha256"})
    table, key = _any_place(metadata, rng)
    change = rng.integers(10)
    if change == 0:
        del table[key]
    elif change == 1:
        table["colour"] = table[key]
    else:
        table[key] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
    return f"{key}: {str(table.get(key, 'gone'))[:30]}", _serialised(file.copy(), metadata)


def _any_place(table: Metadata, rng: np.random.Generator) -> tuple[Metadata, str]:
    """Return a table of the metadata and one of its keys, those of features and network more often than others."""
    key = str(rng.choice(["features", "network", *sorted(table)]))
    while isinstance(table[key], dict) and table[key] and rng.random() < 0.9:
        table = table[key]
        key = str(rng.choice(sorted(table)))
    return table, key


def _serialised(arrays: Arrays, metadata: Metadata) -> bytes:
    """Return a file with these metadata as they are, kind and version included."""
    text = canonical({**metadata, "sha256": tensor_file._digest(arrays, metadata)})
    return _with_metadata(serialise(arrays, "model", {}), text)


def _with_metadata(content: bytes, text: str) -> bytes:
    header, buffer = _parts(content)
    return _joined({**header, "__metadata__": {"deepnmf": text}}, buffer)


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: Any, buffer: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + buffer


def _nan(array: np.ndarray) -> np.ndarray:
    return np.where(np.arange(array.size).reshape(array.shape) == array.size // 2, np.nan, array).astype(array.dtype)


ARRAY_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nan": _nan,
    "infinite": lambda array: _nan(array) * 0 + np.float32(np.inf),
    "negative": lambda array: -1 - np.abs(array),
    "float64": lambda array: array.astype(np.float64),
    "integers": lambda array: array.astype(np.int64),
    "flags": lambda array: array > 0,
    "bytes": lambda array: array.astype(np.uint8),
    "flat": np.ravel,
    "more axes": lambda array: array[None],
    "empty": lambda array: array[:0],
    "scalar": lambda array: array.ravel()[0],
    "longer": lambda array: np.concatenate([array, array]),
    "shorter": lambda array: array[:-1],
    "zero wide": lambda array: np.zeros((*array.shape, 0), array.dtype),
}


def changed_array(path: Path, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return what was done, and the file: an array of another type, shape, sign or name, or with NaN."""
    file = open_tensors(path, "model")
    arrays = file.copy()
    name = str(rng.choice(sorted(arrays)))
    change = str(rng.choice([*ARRAY_CHANGES, "renamed", "gone", "more"]))
    if change in ARRAY_CHANGES:
        arrays[name] = np.asarray(ARRAY_CHANGES[change](arrays[name]))
    elif change == "more":
        arrays["x\nTraceback" if rng.random() < 0.5 else "dictionary.99"] = arrays[name]
    else:
        array = arrays.pop(name)
        arrays.update({f"{name}.0": array} if change == "renamed" else {})
    return f"{name}: {change}", serialise(arrays, "model", file.metadata)


ENTRIES: dict[str, dict[str, Any]] = {
    "another key": {"x": 1},
    "unknown dtype": {"dtype": "F128"},
    "dtype a list": {"dtype": []},
    "huge shape": {"shape": [2**40, 2**40]},
    "wrapping shape": {"shape": [2**32, 2**32]},
    "huge empty shape": {"shape": [2**60, 0]},
    "negative shape": {"shape": [-1, -1]},
    "fractional shape": {"shape": [1.5]},
    "many axes": {"shape": [1] * 5000},
    "text shape": {"shape": "12"},
    "no shape": {"shape": None},
    "all over": {"data_offsets": [0, 2**62]},
    "backwards": {"data_offsets": [8, 4]},
    "negative place": {"data_offsets": [-8, -4]},
    "one offset": {"data_offsets": [0]},
}
"""What an array's entry in the header may claim."""
METADATA: dict[str, Any] = {
    "metadata a list": [], "metadata a table": {"deepnmf": {}}, "metadata empty": {"deepnmf": ""},
    "metadata deep": {"deepnmf": "[" * 10**6}, "metadata foreign": {"format": "pt"},
}  # fmt: skip
HEADERS: dict[str, bytes] = {
    "no table": b"[]", "a number": b"5", "nothing": b"", "deep": b"[" * 100_000, "not UTF-8": b'{"\xff": 1}',
    "deep and closed": b'{"a":' * 5000 + b"1" + b"}" * 5000, "huge integer": b'{"x": ' + b"9" * 6000 + b"}",
    "surrogate": b'{"\\ud800": 1}', "many arrays": json.dumps(dict.fromkeys(map(str, range(20_000)))).encode(),
}  # fmt: skip


def changed_header(path: Path, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return what was done, and the file: a header that does not describe what is behind it."""
    header, buffer = _parts(path.read_bytes())
    name = str(rng.choice(sorted(header.keys() - {"__metadata__"})))
    change = str(rng.choice([*ENTRIES, *METADATA, *HEADERS, "twin", "key twice", "long"]))
    if change in ENTRIES:
        header[name].update(ENTRIES[change])
    elif change in METADATA:
        header["__metadata__"] = METADATA[change]
    elif change == "twin":
        header["twin"] = header[name]
    elif change == "key twice":
        header = json.dumps(header)[:-1].encode() + f', "{name}": 1}}'.encode()
    elif change == "long":
        return change, struct.pack("<Q", int(rng.choice([2**63, 2**40, 10**8]))) + buffer
    return change, _joined(HEADERS.get(change, header), buffer)


def made_up_files(paths: list[Path], count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files with a word on each, made from the valid model files `paths`."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        change = (changed_metadata, changed_metadata, changed_array, changed_header)[index % 4]
        path = paths[index // 4 % len(paths)]
        what, content = change(path, rng)
        yield f"{index} {path.stem} {what}", content
