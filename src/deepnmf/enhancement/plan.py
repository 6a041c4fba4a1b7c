"""Output paths: outputs of earlier runs are overwritten, never an input or another file."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..artifacts.paths import resolved
from ..audio.formats import EXTENSIONS, is_m4a, is_video
from ..audio.inputs import STDIN
from ..errors import DeepnmfError
from ..shards import WHOLE, Shard
from .encodings import SUGGESTION, is_writable
from .inputs import SUFFIX, Input, Search, find_inputs, kind
from .record import Records

FILE_SUFFIX = re.compile(r"\.(?=\w*[a-zA-Z])\w{1,5}")
"""Suffix that marks a file name: ``out.wav`` and ``out.docx``, but not ``2024.05.01``, ``v1.2`` or ``Dr. Who``."""

MOST_NAME_BYTES = 255
"""Longest file name in bytes."""


class Job(NamedTuple):
    """One file to enhance.

    Attributes
    ----------
    source, target : Path
        Input and output.
    root : Path
        Folder that records the output.
    """

    source: Path
    target: Path
    root: Path = Path()


@dataclass
class Plan:
    """Jobs of a run.

    Attributes
    ----------
    jobs : list of Job
        In the order of the inputs, none twice.
    faults : list of (Path, DeepnmfError)
        Inputs that cannot be enhanced, and why.
    left_out : list of (Path, str)
        Files in folders or matching patterns that are not enhanced, with the reason.
    shard : Shard
        Which part of the inputs these are.
    total : int
        Number of inputs of all shards, with those that cannot be enhanced.
    """

    jobs: list[Job] = field(default_factory=list)
    faults: list[tuple[Path, DeepnmfError]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)
    shard: Shard = WHOLE
    total: int = 0


def plan_outputs(
    inputs: list[str],
    output: str | Path | None = None,
    suffix: str | None = None,
    records: Records | None = None,
    shard: Shard = WHOLE,
) -> Plan:
    """Pair every input file, or those of a shard, with its output.

    Without `output`, ``x.wav`` goes to ``x_enhanced.wav`` beside it and the folder ``x`` to ``x_enhanced``. An `output`
    with the suffix of a file is a file, for one recording. Any other, one that ends in a slash and an existing folder
    is a folder, in which the paths of the inputs below their deepest common folder are preserved.

    Parameters
    ----------
    inputs : list of str
        Files, folders and patterns (``**`` is recursive).
    output : str or Path, optional
        File or folder.
    suffix : str, optional
        Suffix of the outputs, such as ``".flac"``; each input's own by default, or ``".wav"`` if that is not writable.
    records : Records, optional
        Outputs of earlier runs: skipped in folders and patterns, and overwritten.
    shard : Shard
        Which part of the inputs. Outputs are the same, however many shards there are.

    Raises
    ------
    DeepnmfError
        If `output` is a file and there are several inputs, or it or `suffix` is not a format that can be written.

    Examples
    --------
    >>> plan_outputs(["README.md"], "clean.flac").jobs[0].target.name
    'clean.flac'
    """
    records = records or Records()
    if suffix is not None and not _is_output(Path(f"x{suffix}")):
        raise DeepnmfError(f"{suffix} is not a format to write; {SUGGESTION}")
    file = output is not None and is_file_name(str(output))
    folder = None if output is None or file else Path(output)
    if output is not None and not str(output).strip():
        raise DeepnmfError("an empty name for the output; is a variable unset?")
    if folder is not None and kind(folder) in ("file", "special"):
        raise DeepnmfError(f"{folder}: a file, not a folder for outputs; choose another name")
    search = find_inputs(inputs, folder, records.is_output)
    plan = Plan([], shard.of(search.faults), shard.of(search.left_out), shard, len(search.inputs) + len(search.faults))
    if file:
        jobs = _into_file(search, Path(str(output)), suffix)
    elif folder is None:
        roots = [_root(found) for found in search.inputs]
        jobs = _jobs(search.inputs, [_beside(*pair) for pair in zip(search.inputs, roots, strict=True)], roots, suffix)
    else:
        shared = _shared_folder(search.inputs)
        targets = [folder / _below(found.path, shared) for found in search.inputs]
        jobs = _jobs(search.inputs, targets, [folder] * len(targets), suffix)
    _refuse_harm(jobs, plan, None if file else records)
    return plan


def is_file_name(output: str) -> bool:
    """Whether an output is a file by its name: it has a suffix, no slash at the end, and is not an existing folder.

    Examples
    --------
    >>> [is_file_name(name) for name in ("a.wav", "a.m4a", "b/a.3gp", "a", "a.wav/", "2024.05", "v1.2", ".hidden")]
    [True, True, True, False, False, False, False, False]
    """
    if output.endswith(("/", os.sep)) or kind(Path(output)) == "folder":
        return False
    return FILE_SUFFIX.fullmatch(Path(output).suffix) is not None


def _into_file(search: Search, output: Path, suffix: str | None) -> list[Job]:
    inputs, hint = search.inputs, f"for a folder of that name, {output}/"
    asked = len(inputs) + len(search.faults)  # also if but one of the names is that of a recording
    if asked > 1 or any(found.folder is not None for found in inputs):
        raise DeepnmfError(f"{output}: one file, for a folder or several recordings; {hint}")
    if not _is_output(output):
        raise DeepnmfError(f"{output}: {output.suffix} is not a format to write; {SUGGESTION}; {hint}")
    if suffix is not None and suffix != output.suffix.lower():
        raise DeepnmfError(f"{output}: not {suffix[1:]} by its name; leave out the output format, or change the name")
    for found in inputs:
        if is_video(output) and found.path.suffix.lower() in EXTENSIONS:
            raise DeepnmfError(f"{output}: a video needs the pictures of one, and {found.path} has none; choose .wav")
    return [Job(found.path, output, output.parent) for found in inputs]


def _root(found: Input) -> Path:
    """Return the default folder of the outputs."""
    if found.folder is None:
        return found.path.parent
    name = resolved(found.folder) if found.folder.name in ("", "..") else found.folder  # "." has no stem
    return name.with_name(name.name + SUFFIX)


def _beside(found: Input, root: Path) -> Path:
    if found.folder is None:
        return root / f"{found.path.stem}{SUFFIX}{found.path.suffix}"
    return root / found.path.relative_to(found.folder)


def _shared_folder(inputs: list[Input]) -> str:
    # abspath and not resolve: links keep the user's names.
    folders = {os.path.abspath(found.folder or found.path.parent) for found in inputs}  # noqa: PTH100
    try:
        return os.path.commonpath(folders) if folders else "."
    except ValueError:  # several drives on Windows
        raise DeepnmfError("inputs on several drives share no folder; enhance them one drive at a time") from None


def _below(source: Path, root: str) -> Path:
    return Path(os.path.relpath(os.path.abspath(source), root))  # noqa: PTH100


def _jobs(inputs: list[Input], targets: list[Path], roots: list[Path], suffix: str | None) -> list[Job]:
    """Give targets their suffix; where two would be equal (x.wav and x.mp3), it is appended to the old one."""
    renamed = [target.with_suffix(suffix or _own_suffix(target)) for target in targets]
    count = Counter(str(target).casefold() for target in renamed)
    jobs = []
    for found, target, new, root in zip(inputs, targets, renamed, roots, strict=True):
        alone = new == target or count[str(new).casefold()] == 1
        jobs.append(Job(found.path, new if alone else target.with_name(target.name + new.suffix), root))
    return jobs


def _own_suffix(target: Path) -> str:
    return target.suffix if is_writable(target) or is_video(target) else ".wav"


def _is_output(path: Path) -> bool:
    return is_writable(path) or is_video(path) or is_m4a(path)


def _refuse_harm(jobs: list[Job], plan: Plan, records: Records | None) -> None:
    """Add the shard's jobs to the plan, or faults for those that would overwrite other files than earlier outputs.

    Without `records`, the user has named the outputs, and existing files are overwritten.
    """
    sources = {identity: job.source for job in jobs if (identity := _identity(job.source)) is not None}
    first = {str(job.target).casefold(): job for job in reversed(jobs)}
    for job in plan.shard.of(jobs):
        fault = _harm(job, sources, records)
        if fault is None and first[str(job.target).casefold()] is not job:
            fault = f"{job.source}: its output would be {job.target}, as another input's; enhance it on its own"
        if fault is None:
            plan.jobs.append(job)
        else:
            plan.faults.append((job.source, DeepnmfError(fault)))


def _harm(job: Job, sources: dict[tuple[int, int], Path], records: Records | None) -> str | None:
    """Return why a job is refused, else None."""
    source, target = job.source, job.target
    if kind(target) == "special":
        return f"{target}: a FIFO or device; choose -, which is stdout, as the output, and redirect that"
    if str(source) == STDIN and records is not None:
        return "-: stdin has no name for its output; give an output"
    there = _identity(target)
    if there in sources:
        what = "the output is the input"
        if sources[there] != source:
            what = f"an input, and would be the output for {source}"
        return f"{target}: {what}; choose another output"
    if len(os.fsencode(target.name)) > MOST_NAME_BYTES:
        return f"{source}: with {SUFFIX} its name is too long for an output; choose another output"
    if kind(target) == "folder":
        return f"{target}: the output is a folder; choose another output"
    if records is None:
        return None
    if target.parent == source.parent and kind(source) == "special":
        return f"{source}: not a regular file, so the output needs a name; give an output"
    if there is not None and not records.wrote(target):
        return f"{target}: exists and was not written by deepnmf; delete it, or choose another output"
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = os.fstat(sys.stdin.fileno()) if str(path) == STDIN else path.stat()
    except (OSError, ValueError, AttributeError):  # stdin is closed or replaced
        return None
    return stat.st_dev, stat.st_ino
