"""The recordings to score: rows of a manifest, enhanced on the way, or files paired by their relative path."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio.files import find_audio, read, read_mono
from ..data.manifest import MixtureEntry, read_manifest
from ..data.mixing import load_mixture
from ..errors import DeepnmfError
from .systems import System

LENGTH_SLACK_SECONDS = 0.05
"""Enhanced files up to this much longer or shorter than the clean one, as from block-wise systems, are cut to fit."""


@dataclass(frozen=True)
class Signals:
    """What the metrics need of one recording, each ``(samples,)``."""

    reference: np.ndarray
    enhanced: np.ndarray
    noisy: np.ndarray | None
    rate_hz: int
    enhance_seconds: float = 0.0
    """Processing time; 0 for files that were already enhanced."""

    def __post_init__(self) -> None:
        for name in ("reference", "enhanced", "noisy"):
            samples = getattr(self, name)
            if samples is not None and not np.isfinite(samples).all():
                raise DeepnmfError(f"the {name} signal has NaN or infinite samples")


@dataclass(frozen=True)
class Item:
    """One recording to score.

    Attributes
    ----------
    id : str
        Unique name.
    speech : str
        Name of the clean recording. Several mixtures of one are not independent; confidence intervals respect that.
    noise_type, snr_db
        Groups of the table; empty and None if unknown.
    files : tuple of str
        All files that it is made of.
    row : MixtureEntry or None
        The manifest row to mix and enhance; None for a pair: `files` are then clean, enhanced and, if given, noisy.
    """

    id: str
    speech: str
    files: tuple[str, ...]
    noise_type: str = ""
    snr_db: float | None = None
    row: MixtureEntry | None = None

    def signals(self, system: System | None) -> Signals:
        """Read or make the signals; `system` enhances the mixture of a manifest row."""
        if self.row is None:
            return _read_pair(*map(Path, self.files))
        assert system is not None
        mixture = load_mixture(self.row, system.rate_hz)
        start = time.perf_counter()
        enhanced = system(mixture.noisy)
        return Signals(mixture.speech, enhanced, mixture.noisy, system.rate_hz, time.perf_counter() - start)

    def stamp(self) -> list[object]:
        """Return what changes if the recording does: its description, and size and time of its files."""
        return [dataclasses.asdict(self), [_size_and_time(file) for file in self.files]]


def _size_and_time(file: str) -> list[int] | None:
    try:
        found = Path(file).stat()
    except (OSError, ValueError):  # missing, inaccessible or an invalid name: scoring reports it
        return None
    return [found.st_size, found.st_mtime_ns]


def manifest_items(manifest: Path, split: str) -> list[Item]:
    """Return the rows of one split of a manifest, in its order.

    Raises
    ------
    DeepnmfError
        If the manifest is missing, damaged or has no row of that split.
    """
    folder = Path(manifest).parent
    return [
        Item(
            id=row.id,
            speech=Path(os.path.relpath(row.speech, folder)).as_posix(),
            files=tuple(f for f in (row.speech, row.noise, row.noisy) if f),
            noise_type=row.noise_type,
            snr_db=row.snr_db,
            row=row,
        )
        for row in read_manifest(manifest, split)
    ]


def folder_items(clean: Path, enhanced: Path, noisy: Path | None) -> tuple[list[Item], list[str]]:
    """Pair the audio files of folders by relative path; the suffix may differ.

    Returns
    -------
    items : list of Item
        Sorted by path.
    problems : list of str
        One line for each file without its partner.

    Raises
    ------
    DeepnmfError
        If a folder is missing or has no audio, two files of one differ in the suffix only, or nothing pairs.
    """
    folders = [Path(folder) for folder in (clean, enhanced, noisy) if folder is not None]
    files = [_by_name(folder) for folder in folders]
    everywhere = sorted(set.intersection(*(set(found) for found in files)))
    if not everywhere:
        raise DeepnmfError(f"{enhanced}: no file has the same relative path as one in {clean}")
    problems = [
        f"{found[name]}: no file of this name in {other_folder}"
        for found in files
        for other_folder, other in zip(folders, files, strict=True)
        for name in sorted(found.keys() - other.keys())
    ]
    return [Item(id=name, speech=name, files=tuple(str(f[name]) for f in files)) for name in everywhere], problems


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_audio(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DeepnmfError(f"{path}: {found[name].name} beside it has the same name; keep one of the two")
        found[name] = path
    return found


def _read_pair(clean: Path, enhanced: Path, noisy: Path | None = None) -> Signals:
    samples, rate_hz = read(clean)
    reference = samples.mean(axis=0, dtype=np.float32)
    return Signals(
        reference,
        _fitted(enhanced, reference, rate_hz),
        _fitted(noisy, reference, rate_hz) if noisy else None,
        rate_hz,
    )


def _fitted(path: Path, reference: np.ndarray, rate_hz: int) -> np.ndarray:
    samples = read_mono(path, rate_hz)
    missing = len(reference) - len(samples)
    if abs(missing) > LENGTH_SLACK_SECONDS * rate_hz:
        raise DeepnmfError(
            f"{path}: {len(samples) / rate_hz:.3f} s long, but its clean file {len(reference) / rate_hz:.3f} s; "
            "score recordings of equal length"
        )
    return np.pad(samples[: len(reference)], (0, max(0, missing)))
