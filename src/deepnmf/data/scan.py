"""Search for the recordings of a corpus: links are followed, each file counts once, unreadable ones are reported."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..artifacts.paths import resolved
from ..audio.files import duration_seconds
from ..audio.formats import READABLE
from ..errors import DeepnmfError, InputError
from ..progress import Progress

SHORTEST_SECONDS = 0.025
"""Length of a frame."""
NAMED_SUFFIXES = 3
"""Most suffixes listed in the message where no audio is found."""


@dataclass(frozen=True)
class Clip:
    """An audio file of a corpus; `group` is its speaker or noise type, `name` its unique path below the root."""

    path: Path
    group: str
    seconds: float
    name: str = ""


@dataclass(frozen=True)
class Count:
    """Files found in a part of a corpus, and as published; several where the publications disagree."""

    part: str
    found: int
    published: tuple[int, ...]


@dataclass
class ScanReport:
    """Findings of the scan of a corpus: files left out and why, counts, and other notes."""

    left_out: list[str] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, part: str, found: int, *published: int) -> None:
        """Note how many files a part of the corpus has and should have."""
        self.counts.append(Count(part, found, published))

    def warnings(self) -> list[str]:
        """Return a line on the counts that differ from the published ones, if any, and the notes.

        Examples
        --------
        >>> report = ScanReport()
        >>> report.count("train", 7138, 7138)
        >>> report.count("dev", 12, 2460, 2454)
        >>> report.warnings()
        ['not the corpus as published: dev has 12 files, not 2,460; using the files present']
        """
        differing = [count for count in self.counts if count.found not in count.published]
        parts = ", ".join(f"{c.part} has {c.found:,} files, not {c.published[0]:,}" for c in differing)
        return [*([f"not the corpus as published: {parts}; using the files present"] if parts else []), *self.notes]


def find_recordings(folder: Path, report: ScanReport) -> list[Path]:
    """Return the audio files under `folder`, sorted, except hidden ones.

    Links to folders are followed. A file or folder that can be reached in several ways counts once, by the way that has
    no link if there is one. What cannot be listed, and links that lead nowhere, are left out in the report.

    Raises
    ------
    InputError
        If there is no such folder, or no audio in it.
    """
    folder = absolute(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    others: Counter[str] = Counter()
    found: dict[tuple[int, int], Path] = {}
    again = []
    for path in sorted(_walk(folder, report), key=Path.is_symlink):
        if path.suffix.lower() not in READABLE:
            others[path.suffix.lower()] += 1
        elif odd := _oddity(path):
            report.left_out.append(f"{path}: {odd}")
        elif (first := found.setdefault(_identity(path), path)) != path:
            again.append(f"{path} is {first}")
    if again:
        more = f", and {len(again) - 1} more" if again[1:] else ""
        report.notes.append(f"recordings with several names are used once: {again[0]}{more}")
    if not found:
        raise InputError(_none_found(folder, others, report))
    return sorted(found.values())


def absolute(path: Path) -> Path:
    """Return an absolute path without ``..``, links unresolved: they are the user's names."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow links


def _walk(folder: Path, report: ScanReport) -> Iterator[Path]:
    """Yield all but folders, below real folders first, then below links to folders; each folder once."""
    real, linked = [folder], list[Path]()
    seen = {_identity(parent) for parent in resolved(folder).parents}  # a link back up leads to another corpus
    while real or linked:
        here = real.pop() if real else linked.pop(0)
        try:
            identity = _identity(here)
            if identity in seen:
                continue
            seen.add(identity)
            names = sorted(os.listdir(here))  # noqa: PTH208 - it is the names that matter
            if names:
                os.lstat(here / names[0])  # fails in a folder that can be listed but not entered
        except OSError as error:
            report.left_out.append(f"{here}: the folder cannot be entered or listed ({error.strerror})")
            continue
        for path in (here / name for name in names if not name.startswith(".")):
            if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a link leads into a locked folder
                yield path
            elif path.is_symlink():
                linked.append(path)
            else:
                real.append(path)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _oddity(path: Path) -> str:
    """Return the reason why a path is not a readable file, if any."""
    try:
        return "" if stat.S_ISREG(path.stat().st_mode) else "not a file but a device or pipe"
    except OSError as error:
        return f"{'a link that leads nowhere' if path.is_symlink() else 'cannot read'} ({error.strerror})"


def _none_found(folder: Path, others: Counter[str], report: ScanReport) -> str:
    what = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common(NAMED_SUFFIXES))
    why = [f"it has {what}"] if what else []
    return f"{folder}: no audio files in it" + "".join(f"; {line}" for line in (why + report.left_out)[:2])


def read_clips(paths: Iterable[Path], root: Path, report: ScanReport, group: Callable[[Path], str]) -> list[Clip]:
    """Return the readable ones of `paths`, grouped by `group`, named by their path below `root`.

    A line for each other file goes to the report.
    """
    paths, root = list(paths), absolute(root)
    stems = Counter(path.with_suffix("") for path in paths)
    clips = []
    with Progress(f"prepare {root.name}", len(paths), "recordings") as progress:
        for path in paths:
            name = path if stems[path.with_suffix("")] > 1 else path.with_suffix("")  # a.wav beside a.flac
            try:
                clips.append(Clip(path, group(path), usable_seconds(path), name.relative_to(root).as_posix()))
            except DeepnmfError as error:
                report.left_out.append(str(error))
            progress.update()
    return clips


def usable_seconds(path: Path) -> float:
    """Return the length of a recording.

    Raises
    ------
    DeepnmfError
        If it cannot be read, or has not a single frame.
    """
    seconds = duration_seconds(path)
    if seconds < SHORTEST_SECONDS:
        raise InputError(f"{path}: only {1000 * seconds:.3g} ms long, shorter than a frame")
    return seconds


def counted(left_out: list[str]) -> str:
    """Return how many recordings were left out.

    Examples
    --------
    >>> counted(["a.wav: empty"])
    '1 recording was left out'
    """
    return f"{len(left_out)} recording{' was' if len(left_out) == 1 else 's were'} left out"


def folder_level(base: Path, level: int = 1) -> Callable[[Path], str]:
    """Return the rule by which folders group recordings: the folder at a level below `base`, or the last before it.

    A recording in `base` itself has the group of `base`'s name.

    Examples
    --------
    >>> speaker = folder_level(Path("/speech"))
    >>> speaker(Path("/speech/ann/monday/1.wav")), speaker(Path("/speech/1.wav"))
    ('ann', 'speech')
    """

    def group(path: Path) -> str:
        folders = path.relative_to(base).parts[:-1]
        return folders[min(level, len(folders)) - 1] if folders else base.name

    return group
