"""Reading, writing and resampling of audio. One convention: ``(channels, samples)``, float32, full scale 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .artifacts import atomic_path
from .errors import DeepnmfError

EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64")


def find_audio(folder: Path) -> list[Path]:
    """Return the audio files under `folder`, sorted.

    Raises
    ------
    DeepnmfError
        If the folder is missing or has none.
    """
    if not Path(folder).is_dir():
        raise DeepnmfError(f"{folder}: no such folder")
    found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    if not found:
        raise DeepnmfError(f"{folder}: no audio files in it ({', '.join(EXTENSIONS)})")
    return found


def duration_seconds(path: Path) -> float:
    """Return the length of an audio file from its header, in seconds."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise unreadable(path, error) from None
    return info.frames / info.samplerate


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
        If the file is missing, not audio, empty, truncated or holds NaN or infinite samples.
    """
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            samples = file.read(dtype="float32", always_2d=True).T
            rate_hz, promised = file.samplerate, file.frames
    except (soundfile.SoundFileError, OSError) as error:
        raise unreadable(path, error) from None
    if not samples.shape[1]:
        raise DeepnmfError(f"{path}: no samples in it")
    if samples.shape[1] < promised:
        raise DeepnmfError(f"{path}: truncated, {samples.shape[1]} of {promised} samples can be read")
    if not np.isfinite(samples).all():
        raise DeepnmfError(f"{path}: holds NaN or infinite samples")
    return np.ascontiguousarray(samples), rate_hz


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
    """Write ``(channels, samples)`` atomically in the format that the suffix names."""
    import soundfile

    with atomic_path(path) as temporary:
        try:
            soundfile.write(str(temporary), samples.T, rate_hz, subtype)
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            raise DeepnmfError(f"{path}: cannot write ({error})") from None


def unreadable(path: Path, error: Exception) -> DeepnmfError:
    """Return the error to raise for a file that cannot be read as audio."""
    if not Path(path).exists():
        return DeepnmfError(f"{path}: no such file")
    if Path(path).is_dir():
        return DeepnmfError(f"{path}: a folder, not an audio file")
    reason = "the file is empty" if Path(path).stat().st_size == 0 else str(error).rpartition(": ")[2].rstrip(".")
    return DeepnmfError(f"{path}: not readable as audio ({reason})")
