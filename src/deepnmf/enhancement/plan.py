"""Which output each input gets."""

from __future__ import annotations

import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..audio.files import find_audio
from ..audio.formats import EXTENSIONS, READABLE
from ..errors import DeepnmfError

SUFFIX = "_enhanced"


@dataclass(frozen=True)
class Job:
    """One file to enhance."""

    source: Path
    target: Path

    @property
    def done(self) -> bool:
        """Whether the output is there, is another file than the input, and is not older."""
        try:
            source, target = self.source.stat(), self.target.stat()
        except OSError:
            return False
        return not os.path.samestat(source, target) and target.st_mtime >= source.st_mtime


def plan(
    inputs: list[str], output: Path | None = None, suffix: str | None = None
) -> tuple[list[Job], list[DeepnmfError]]:
    """Pair every input file with its output; inputs that are missing or hold no audio come back as errors.

    Without `output`, ``x.wav`` goes to ``x_enhanced.wav`` beside it and the folder ``x`` to ``x_enhanced``. With it,
    one file goes to exactly that name if it has an audio suffix; anything else is a folder, in which the inputs keep
    their paths below the deepest folder that they share, so that equal names never meet.

    Parameters
    ----------
    inputs : list of str
        Files, folders and globs (``**`` is recursive).
    output : Path, optional
        File or folder.
    suffix : str, optional
        Suffix of the outputs, such as ``".flac"``; each input's own by default, or ``".wav"`` if that is not written.

    Returns
    -------
    jobs : list of Job
        In the order of the inputs, none twice.
    faults : list of DeepnmfError
        One for each input that cannot be used.
    """
    found, faults = _expand(inputs, output)
    if output is None:
        pairs = [(source, _beside(source, folder)) for source, folder in found]
    elif len(found) == 1 and found[0][1] is None and output.suffix.lower() in EXTENSIONS and not output.is_dir():
        return [Job(found[0][0], output)], faults
    else:
        root = _shared_folder(found)
        pairs = [(source, output / _below(source, root)) for source, _ in found]
    return _without_clashes(pairs, suffix), faults


def _expand(inputs: list[str], output: Path | None) -> tuple[list[tuple[Path, Path | None]], list[DeepnmfError]]:
    """Return each file once with the input folder that it came from, if it came from one."""
    found: dict[str, tuple[Path, Path | None]] = {}
    faults = []
    for name in inputs:
        try:
            for source, folder in _files(name):
                if folder is None or output is None or not source.is_relative_to(output):  # not our own results
                    found.setdefault(os.path.realpath(source), (source, folder))
        except DeepnmfError as error:
            faults.append(error)
    return list(found.values()), faults


def _files(name: str) -> list[tuple[Path, Path | None]]:
    path = Path(name)
    if path.is_dir():
        return [(file, path) for file in find_audio(path)]
    if path.exists() or not glob.has_magic(name):
        if not path.exists():
            raise DeepnmfError(f"{name}: no such file or folder")
        return [(path, None)]
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - Path has no ** at any depth of an absolute pattern
    files = [match for match in matches if match.suffix.lower() in READABLE and match.is_file()]
    if not files:
        raise DeepnmfError(f"{name}: no audio file matches")
    return [(file, None) for file in files]


def _beside(source: Path, folder: Path | None) -> Path:
    if folder is None:
        return source.with_name(f"{source.stem}{SUFFIX}{source.suffix}")
    name = folder.resolve() if folder.name in ("", "..") else folder  # "." has no name of its own
    return name.with_name(name.name + SUFFIX) / source.relative_to(folder)


def _shared_folder(found: list[tuple[Path, Path | None]]) -> str:
    # abspath and not resolve: links keep the names that the user sees.
    folders = {os.path.abspath(source.parent if folder is None else folder) for source, folder in found}  # noqa: PTH100
    try:
        return os.path.commonpath(folders) if folders else "."
    except ValueError:  # several drives on Windows
        raise DeepnmfError("inputs on several drives share no folder; enhance them one drive at a time") from None


def _below(source: Path, root: str) -> Path:
    return Path(os.path.relpath(os.path.abspath(source), root))  # noqa: PTH100


def _without_clashes(pairs: list[tuple[Path, Path]], suffix: str | None) -> list[Job]:
    """Give targets their suffix; where that makes two equal (x.wav and x.mp3), a new one comes after the old one."""
    renamed = [target.with_suffix(suffix or _own_suffix(target)) for _, target in pairs]
    count = Counter(str(target).casefold() for target in renamed)
    jobs = []
    for (source, target), new in zip(pairs, renamed, strict=True):
        alone = new == target or count[str(new).casefold()] == 1
        jobs.append(Job(source, new if alone else target.with_name(target.name + new.suffix)))
    return jobs


def _own_suffix(target: Path) -> str:
    return target.suffix if target.suffix.lower() in EXTENSIONS else ".wav"
