"""The recordings to score: rows of a manifest, or files paired by their relative path, and who enhances them."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..artifacts import file_hash
from ..artifacts.paths import resolved
from ..audio.files import find_audio, read, read_mono
from ..audio.reader import AudioReader
from ..audio.tar_members import file_of
from ..data.manifest import MixtureEntry, read_manifest
from ..data.mixing import load_mixture
from ..errors import DeepnmfError, InputError
from .systems import EnhancedFiles, System

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
    row : MixtureEntry or None
        The manifest row to mix; None for files.
    clean, noisy, enhanced : str or None
        Files; those enhanced already are not enhanced again.
    known : mapping of str to float
        Scores of the noisy signal that need not be computed again.
    """

    id: str
    speech: str
    noise_type: str = ""
    snr_db: float | None = None
    row: MixtureEntry | None = None
    clean: str | None = None
    noisy: str | None = None
    enhanced: str | None = None
    known: Mapping[str, float] = field(default_factory=dict, compare=False)

    def signals(self, system: System | None, rate_hz: int | None = None) -> Signals:
        """Read or mix the signals; `system` enhances those that are not enhanced yet.

        Manifest rows are mixed at `rate_hz`, by default the rate of the clean file, which is always that of files.
        """
        reference, noisy, rate_hz = self._inputs(rate_hz)
        if self.enhanced is not None:
            return Signals(reference, _fitted(Path(self.enhanced), reference, rate_hz), noisy, rate_hz)
        assert system is not None
        assert noisy is not None
        start = time.perf_counter()
        enhanced = system(noisy, rate_hz)
        return Signals(reference, enhanced, noisy, rate_hz, time.perf_counter() - start)

    def _inputs(self, rate_hz: int | None) -> tuple[np.ndarray, np.ndarray | None, int]:
        """Return the clean and the noisy signal, and their rate."""
        if self.row is not None:
            mixture = load_mixture(self.row, rate_hz or _rate_of(self.row.speech))
            return mixture.speech, mixture.noisy, mixture.rate_hz
        assert self.clean is not None
        samples, found_hz = read(Path(self.clean))
        reference = samples.mean(axis=0, dtype=np.float32)
        return reference, _fitted(Path(self.noisy), reference, found_hz) if self.noisy else None, found_hz

    @property
    def has_reference(self) -> bool:
        """Whether it has a clean side."""
        return self.row is not None or self.clean is not None

    def stamp(self) -> list[object]:
        """Return a key that changes with the recording: its description, and size and time of its files."""
        row = self.row
        files = (row.speech, row.noise, row.noisy) if row else ()
        described = {name: value for name, value in dataclasses.asdict(self).items() if name != "known"}
        return [described, [_size_and_time(file) for file in (*files, self.clean, self.noisy, self.enhanced) if file]]


def _rate_of(path: str) -> int:
    with AudioReader(path) as reader:
        return reader.encoding.rate_hz


def _size_and_time(file: str) -> list[int] | None:
    try:
        found = file_of(file).stat()
    except (OSError, ValueError):  # missing, inaccessible or an invalid name: scoring reports it
        return None
    return [found.st_size, found.st_mtime_ns]


Items = tuple[list[Item], list[str]]
"""Recordings in their order, and one line for each file without its partner."""


class Recordings(Protocol):
    """Where recordings come from."""

    @property
    def has_reference(self) -> bool:
        """Whether there are clean recordings."""

    def items(self, enhanced: EnhancedFiles | None = None) -> Items:
        """Return the recordings, with their enhanced files if there are any."""

    def about(self) -> dict[str, Any]:
        """Return the entries of the summary on these recordings."""

    def paths(self) -> dict[str, str]:
        """Return where they are."""


@dataclass(frozen=True)
class ManifestRecordings:
    """The rows of one split of a manifest; enhanced files have the rows' ids as relative paths."""

    manifest: Path
    split: str

    has_reference = True

    def items(self, enhanced: EnhancedFiles | None = None) -> Items:
        """Return the rows, in the order of the manifest.

        Raises
        ------
        DeepnmfError
            If the manifest is missing, damaged or has no row of that split, or no enhanced file belongs to a row.
        """
        items = manifest_items(self.manifest, self.split)
        if enhanced is None:
            return items, []
        files = _by_name(enhanced.folder)
        paired = [dataclasses.replace(item, enhanced=str(files[item.id])) for item in items if item.id in files]
        if not paired:
            raise DeepnmfError(f"{enhanced.folder}: no file has the id of a row of {self.manifest} as relative path")
        return paired, [
            f"{item.id}: no file of this name in {enhanced.folder}" for item in items if item.id not in files
        ]

    def about(self) -> dict[str, Any]:
        """Return the hash of the manifest and the split."""
        return {"manifest_sha256": file_hash(self.manifest), "split": self.split}

    def paths(self) -> dict[str, str]:
        """Return the path of the manifest."""
        return {"manifest": str(resolved(self.manifest))}


@dataclass(frozen=True)
class FolderRecordings:
    """Files of folders, paired by their relative path; without a clean folder they can be scored by DNSMOS only."""

    clean: Path | None = None
    noisy: Path | None = None

    @property
    def has_reference(self) -> bool:
        """Whether there are clean recordings."""
        return self.clean is not None

    def items(self, enhanced: EnhancedFiles | None = None) -> Items:
        """Return the files, sorted by path.

        Raises
        ------
        DeepnmfError
            If a folder is missing or has no audio, two files of one differ in the suffix only, or nothing pairs.
        """
        if enhanced is None and self.noisy is None:
            raise InputError("there are no noisy recordings to enhance; name their folder")
        return folder_items(self.clean, enhanced.folder if enhanced else None, self.noisy)

    def about(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def paths(self) -> dict[str, str]:
        """Return the paths of the folders."""
        given = {"clean": self.clean, "noisy": self.noisy}
        return {name: str(resolved(folder)) for name, folder in given.items() if folder is not None}


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
            noise_type=row.noise_type,
            snr_db=row.snr_db,
            row=row,
        )
        for row in read_manifest(manifest, split)
    ]


def folder_items(clean: Path | None, enhanced: Path | None, noisy: Path | None) -> Items:
    """Pair the audio files of folders by relative path; the suffix may differ.

    Raises
    ------
    DeepnmfError
        If a folder is missing or has no audio, two files of one differ in the suffix only, or nothing pairs.
    """
    given = {"clean": clean, "enhanced": enhanced, "noisy": noisy}
    folders = {kind: Path(folder) for kind, folder in given.items() if folder is not None}
    files = {kind: _by_name(folder) for kind, folder in folders.items()}
    everywhere = sorted(set.intersection(*(set(found) for found in files.values())))
    if not everywhere:
        raise DeepnmfError(f"{enhanced or noisy}: no file has the same relative path as one in {clean or noisy}")
    problems = [
        f"{found[name]}: no file of this name in {folders[other]}"
        for found in files.values()
        for other in folders
        for name in sorted(found.keys() - files[other].keys())
    ]
    paths = [{kind: str(found[name]) for kind, found in files.items()} for name in everywhere]
    return [
        Item(name, name, clean=path.get("clean"), noisy=path.get("noisy"), enhanced=path.get("enhanced"))
        for name, path in zip(everywhere, paths, strict=True)
    ], problems


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_audio(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DeepnmfError(f"{path}: {found[name].name} beside it has the same name; keep one of the two")
        found[name] = path
    return found


def _fitted(path: Path, reference: np.ndarray, rate_hz: int) -> np.ndarray:
    samples = read_mono(path, rate_hz)
    missing = len(reference) - len(samples)
    if abs(missing) > LENGTH_SLACK_SECONDS * rate_hz:
        raise DeepnmfError(
            f"{path}: {len(samples) / rate_hz:.3f} s long, but its clean file {len(reference) / rate_hz:.3f} s; "
            "score recordings of equal length"
        )
    return np.pad(samples[: len(reference)], (0, max(0, missing)))
