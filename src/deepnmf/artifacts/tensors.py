"""Tensor artifacts: named arrays and JSON metadata in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .atomic import atomic_path
from .tensor_file import open_tensors, serialise


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
    """Read the output of :func:`save_tensors`, checking kind, version and checksum.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged, of another kind, or of a newer format.
    """
    file = open_tensors(path, kind)
    return file.copy(), file.metadata
