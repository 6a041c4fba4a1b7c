"""The gains of a recording as a ``.npy`` file, written as they come."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from ..artifacts import atomic_path
from ..errors import DeepnmfError


class MaskFile:
    """Collect gains into ``(frames, F)``, or ``(frames, channels, F)`` where channels have their own, float32.

    F counts the bins at the recording's rate; times the STFT of the recording (:func:`deepnmf.stft.stft` with
    :func:`deepnmf.enhancement.enhancer.spec_at_rate`) the gains give the STFT of the output.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix != ".npy":
            raise DeepnmfError(f"{path}: gains are written as .npy; choose such a name")
        self._stack = contextlib.ExitStack()
        self._path = path
        self._frames = 0
        self._shape: tuple[int, ...] = ()

    def push(self, _: np.ndarray, gains: np.ndarray) -> None:
        """Append gains ``(channels or 1, F, N)``; an observer of the enhancer."""
        rows = gains.transpose(2, 0, 1)
        rows = rows[:, 0] if rows.shape[1] == 1 else rows
        if not self._frames:
            self._shape = rows.shape[1:]
            self._write_header()
        self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self._frames += len(rows)

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the first axis to grow, so the final one has the same size.
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._frames, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> MaskFile:
        self._file = self._stack.enter_context(self._stack.enter_context(atomic_path(self._path)).open("wb"))
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._file.seek(0)
            self._write_header()
        self._stack.__exit__(kind, *rest)  # type: ignore[arg-type]
