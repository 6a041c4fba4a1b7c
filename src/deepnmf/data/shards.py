"""Shards of features: of bounded size, whatever the number and length of recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..artifacts import save_tensors
from ..artifacts.schema import ArraySpec, Shapes, check_arrays
from ..artifacts.tensor_file import TensorFile, about, open_tensors
from ..errors import DeepnmfError
from .pieces import LAYOUTS, MAGNITUDES, Piece, Position

SHARD_FRAMES = 32_768
"""A shard is closed when it has this many frames: 100 MB of train or 135 MB of dev at 257 bins."""
SIGNALS = ("mixture", "speech", "noise")
"""First axis of a shard's magnitudes; its spectra have the first two."""


def write_shard(path: Path, split: str, pieces: Iterator[Piece], start: Position) -> None:
    """Write the next `SHARD_FRAMES` frames of `pieces`, or all that are left, into one file.

    It holds the values of the split (:data:`.pieces.LAYOUTS`), the mixture's causal ``level`` ``(frames,)``, and the
    ``frames`` of each of its recordings; its metadata have ``start``, ``end``, ``left_out`` and ``continued``: whether
    its first recording is the last one of the shard before.
    """
    taken, held = [next(pieces)], 0
    while (held := held + len(taken[-1].level)) < SHARD_FRAMES and (piece := next(pieces, None)):
        taken.append(piece)
    lengths: dict[int, int] = {}
    for piece in taken:
        if not piece.left_out:
            lengths[piece.start.entry] = lengths.get(piece.start.entry, 0) + len(piece.level)
    end = taken[-1].end
    metadata = {
        "start": [start.entry, start.frame],
        "end": [end.entry, end.frame],
        "left_out": [piece.left_out for piece in taken if piece.left_out],
        "rows": len(lengths),
        "continued": taken[0].start.frame > 0 and not taken[0].left_out,
    }
    tensors = {
        LAYOUTS[split].name: np.concatenate([piece.values for piece in taken], axis=1),
        "level": np.concatenate([piece.level for piece in taken]),
        "frames": np.array(list(lengths.values()), np.int64),
    }
    save_tensors(path, tensors, "features", metadata)


def open_shard(path: Path, split: str, bins: int, sha256: str | None = None) -> TensorFile:
    """Open a shard of a split, of F `bins`, checked and memory-mapped.

    Raises
    ------
    DeepnmfError
        If it is missing, damaged, no shard, or not the one with this checksum.
    """
    file = open_tensors(path, "features")
    with about(path, "delete it and run `deepnmf features` again"):
        if sha256 not in {None, file.metadata["sha256"]}:
            raise DeepnmfError("another shard than the one that features.json records")
        _check_shard(file, split, bins)
    return file


def _check_shard(file: TensorFile, split: str, bins: int) -> None:
    shapes = Shapes(file.shapes)
    (total,), (rows,) = shapes.axes("level", 1), shapes.axes("frames", 1)
    layout = LAYOUTS[split]
    axes = layout.signals, total, layout.parts * bins
    specs = {
        layout.name: ArraySpec(axes, nonnegative=layout is MAGNITUDES, dtypes=("float32",)),
        "level": ArraySpec((total,), nonnegative=True, dtypes=("float32",)),
        "frames": ArraySpec((rows,), nonnegative=True, dtypes=("int64",)),
    }
    check_arrays(specs, file.arrays)
    frames, level = file.arrays["frames"], file.arrays["level"]
    if rows and (frames.min() < 1 or frames.max() > total or frames.sum() != total or level.min() <= 0):
        raise DeepnmfError(f"its rows do not have {total} frames of positive level")
    left_out = file.metadata.get("left_out")
    if file.metadata.get("rows") != rows or not isinstance(left_out, list):
        raise DeepnmfError("its rows are not those that it records")
    for name in ("start", "end"):
        place = file.metadata.get(name)
        if not isinstance(place, list) or len(place) != 2 or not all(type(n) is int and n >= 0 for n in place):
            raise DeepnmfError(f"{name} must be two whole numbers")
    if type(file.metadata.get("continued")) is not bool:
        raise DeepnmfError("continued must be true or false")
