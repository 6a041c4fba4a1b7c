"""The gains of a recording as a ``.npy`` file, written incrementally."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..artifacts import atomic_path
from ..errors import DeepnmfError
from .enhancer import Observer


@contextlib.contextmanager
def mask_file(path: Path) -> Iterator[Observer]:
    """Yield an observer that collects gains into ``(frames, F)``, or ``(frames, channels, F)`` if channels differ.

    F counts the bins at the recording's rate; times the STFT of the recording (:func:`deepnmf.dsp.stft.stft` with
    :func:`deepnmf.enhancement.rates.spec_at_rate`) the gains give the STFT of the output, but for what a filter over
    several frames adds below 3 kHz. Float32.

    Raises
    ------
    DeepnmfError
        If the name does not end in ``.npy``, or the file cannot be written.
    """
    if path.suffix != ".npy":
        raise DeepnmfError(f"{path}: gains are written as .npy; choose a name with that suffix")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        writer = _GainWriter(file, path)
        yield writer.push
        file.seek(0)
        writer.write_header()


class _GainWriter:
    def __init__(self, file: BinaryIO, shown: Path) -> None:
        self._file = file
        self._shown = shown
        self._frames = 0
        self._shape: tuple[int, ...] = ()

    def push(self, _: np.ndarray, gains: np.ndarray, __: np.ndarray) -> None:
        """Append gains ``(channels or 1, F, N)``."""
        rows = gains.transpose(2, 0, 1)
        rows = rows[:, 0] if rows.shape[1] == 1 else rows
        try:
            if not self._frames:
                self._shape = rows.shape[1:]
                self.write_header()
            self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        except OSError as error:  # here, to avoid an error that names the audio output
            raise DeepnmfError(f"{self._shown}: cannot write ({error.strerror})") from None
        self._frames += len(rows)

    def write_header(self) -> None:
        # NumPy leaves room in the header for the first axis to grow, so the final one has the same size.
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._frames, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
