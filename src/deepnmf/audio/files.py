"""Reading, writing and resampling of audio files. One convention: ``(channels, samples)``, float32, full scale 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..artifacts import atomic_path
from ..errors import DeepnmfError, InputError
from .formats import READABLE, encoding_for
from .reader import BLOCK_SECONDS, AudioReader
from .writer import AudioWriter


def find_audio(folder: Path) -> list[Path]:
    """Return the files under `folder` with suffixes of `READABLE`, sorted; hidden ones are left out.

    Raises
    ------
    DeepnmfError
        If the folder is missing or has none.
    """
    if not Path(folder).is_dir():
        raise DeepnmfError(f"{folder}: no such folder")
    found = sorted(
        p
        for p in Path(folder).rglob("*")
        if p.suffix.lower() in READABLE and not p.name.startswith(".") and p.is_file()
    )
    if not found:
        raise DeepnmfError(f"{folder}: no audio files in it ({', '.join(READABLE)})")
    return found


def duration_seconds(path: Path) -> float:
    """Return the length of an audio file in seconds; if the header lacks it, the file is decoded to count.

    Raises
    ------
    DeepnmfError
        If the file is missing, not audio, truncated, or a FIFO, which cannot be read twice.
    """
    if not Path(path).is_file() and Path(path).exists():
        raise DeepnmfError(f"{path}: not a regular file, so its length is unknown before it is read")
    with AudioReader(path) as reader:
        return reader.count_frames() / reader.encoding.rate_hz


def read(path: Path) -> tuple[np.ndarray, int]:
    """Read a whole file.

    Returns
    -------
    samples : ndarray
        Shape ``(channels, samples)``, float32.
    rate_hz : int
        Sampling rate.

    Raises
    ------
    DeepnmfError
        If the file is missing, not audio, empty, truncated, or holds samples that are NaN, infinite or above 1e6.
    """
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks(BLOCK_SECONDS)), axis=1), reader.encoding.rate_hz


def read_mono(path: Path, rate_hz: int) -> np.ndarray:
    """Read a file as the mean of its channels at `rate_hz`, shape ``(samples,)``."""
    samples, found_hz = read(path)
    return resample(samples.mean(axis=0, dtype=np.float32), found_hz, rate_hz)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample along the last axis at high quality; returns float32."""
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(samples.T, from_hz, to_hz).T.astype(np.float32, copy=False)


def write(path: Path, samples: np.ndarray, rate_hz: int, subtype: str | None = None) -> None:
    """Write ``(channels, samples)`` atomically in the format given by the suffix.

    Samples above full scale are clipped unless the subtype is ``FLOAT`` or ``DOUBLE``.

    Raises
    ------
    DeepnmfError
        If the shape is another one, the format is unknown or cannot hold the subtype, or the file cannot be written.
    """
    if np.ndim(samples) != 2:
        raise InputError(f"{path}: samples must have shape (channels, samples), not {np.shape(samples)}")
    encoding = encoding_for(path, rate_hz, len(samples), samples.shape[1], subtype=subtype)
    with atomic_path(path) as temporary, AudioWriter(temporary, encoding, shown=path) as writer:
        writer.write(samples)
