"""Common to the corpora: finding their folders, pairing files by path, counting files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...config import PrepareConfig
from ...errors import DeepnmfError
from ..manifest import MixtureEntry, Split
from ..scan import Clip, ScanReport, absolute, find_recordings, read_clips
from .download import Archive


@dataclass(frozen=True)
class PrepareOptions:
    """How to prepare a corpus: mixtures, seed, and the speakers held out where the corpus has no dev split."""

    config: PrepareConfig
    seed: int
    dev_speakers: tuple[str, ...] = ()
    report: ScanReport = field(default_factory=ScanReport)


@dataclass(frozen=True)
class CorpusSpec:
    """A corpus supported by `deepnmf prepare --corpus`.

    Attributes
    ----------
    licence : str
        Its licence.
    splits : str
        How it is split into train, dev and test.
    roots : tuple of str
        What the folders given with ``--root`` are, in order.
    rows : callable
        From the roots and the options to the rows of the manifest.
    archives : tuple of tuple of Archive
        What ``--download`` fetches into each root; empty if the corpus is not free.
    """

    licence: str
    splits: str
    roots: tuple[str, ...]
    rows: Callable[[Sequence[Path], PrepareOptions], Iterable[MixtureEntry]]
    archives: tuple[tuple[Archive, ...], ...] = ()


def locate(root: Path, marker: str, *below: str) -> Path:
    """Return `root`, or the first of the folders `below` it, that has an entry matching the glob `marker`.

    Raises
    ------
    DeepnmfError
        If none has it.
    """
    root = absolute(root)
    if not root.is_dir():
        raise DeepnmfError(f"{root}: no such folder")
    for folder in (root, *(root / name for name in below)):
        if any(folder.glob(marker)):
            return folder
    places = "".join(f" or in {name}" for name in below)
    raise DeepnmfError(f"{root}: no {marker} in it{places}; data/README.md has the layout of the corpus")


def recordings_of(part: Path, report: ScanReport) -> list[Path]:
    """Return the audio files of a part of a corpus; a missing part has none."""
    return find_recordings(part, report) if part.is_dir() else []


def pairs(
    noisy: Path, clean: Path, report: ScanReport, speaker: Callable[[Path], str]
) -> Iterator[tuple[Clip, Path, str]]:
    """Yield each readable file under `noisy`, the clean file at the same relative path, and its name.

    A missing part of the corpus has no files, which shows in the counts.
    """
    noisy, clean = absolute(noisy), absolute(clean)
    for clip in read_clips(recordings_of(noisy, report), noisy, report, speaker):
        relative = clip.path.relative_to(noisy)
        if (clean / relative).is_file():
            yield clip, clean / relative, clip.name
        else:
            report.left_out.append(f"{clip.path}: no clean file {clean / relative}")


def pair_entry(
    split: Split, clip: Clip, clean: Path, name: str, *, snr_db: float | None = None, noise_type: str = ""
) -> MixtureEntry:
    """Return the manifest row of a recorded pair."""
    return MixtureEntry(
        id=name,
        split=split,
        speech=str(clean),
        noisy=str(clip.path),
        snr_db=snr_db,
        noise_type=noise_type,
        speaker=clip.group,
        seconds=round(clip.seconds, 3),
    )
