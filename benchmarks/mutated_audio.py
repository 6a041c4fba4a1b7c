"""Mutated recordings: each is read, with salvage or without, or refused in one line that names it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from corruption import damaged_bytes

from deepnmf.audio.files import duration_seconds
from deepnmf.audio.reader import AudioReader
from deepnmf.errors import DeepnmfError

FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III", "aiff": "PCM_24", "au": "FLOAT",
           "caf": "PCM_16", "w64": "PCM_16", "rf64": "PCM_16"}  # fmt: skip
MOST_SAMPLES = 10**7
"""More than any mutation of these files may claim and get."""


def mutations(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Mutate recordings and yield the format, the change, and ``"read"``, ``"named"`` or what is wrong."""
    rng = np.random.default_rng(seed)
    sound = {suffix: _encoded(suffix, subtype) for suffix, subtype in FORMATS.items()}
    for index in range(count):
        suffix = list(FORMATS)[index % len(FORMATS)]
        head = index % 3 == 0  # headers are small, and the rest is mostly samples
        what, data = damaged_bytes(sound[suffix][: 200 if head else None], list(sound.values()), rng)
        path = folder / f"mutated.{suffix}"
        path.write_bytes(data + sound[suffix][200:] if head else data)
        yield suffix, what, _outcome(path, salvage=bool(index % 2))


def _encoded(suffix: str, subtype: str) -> bytes:
    t = np.arange(8000) / 16000
    samples = np.stack([0.3 * np.sin(900 * t), 0.1 * np.random.default_rng(0).standard_normal(len(t))], axis=1)
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, subtype, format=suffix.upper())
    return file.getvalue()


def _outcome(path: Path, salvage: bool) -> str:
    try:
        with AudioReader(path, salvage=salvage) as reader:
            total = 0
            for block in reader.blocks():
                total += block.size
                if block.dtype != np.float32 or not np.isfinite(block).all() or total > MOST_SAMPLES:
                    return f"{block.dtype} samples, {total} of them, finite: {np.isfinite(block).all()}"
        duration_seconds(path)
    except DeepnmfError as error:
        return "named" if str(path) in str(error) and "\n" not in str(error) else f"unnamed: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"
