"""Selection of the files to enhance, and of the files skipped, with reasons."""

from __future__ import annotations

import codecs
import contextlib
import glob
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..audio.formats import READABLE
from ..audio.inputs import STDIN
from ..audio.signatures import SIGNATURE_BYTES, signature
from ..errors import DeepnmfError
from ..text_files import read_bounded

SUFFIX = "_enhanced"
"""Appended to the stem of the input where no output is given."""
HIDDEN = "hidden"
NOT_AUDIO = "no audio suffix"
PERHAPS_AUDIO = "audio under another suffix, perhaps; name it to enhance it"
FOLDER = "a folder that a pattern matches"
EARLIER = "written by an earlier run"
IN_OUTPUT = "the output folder"
SEARCHED = "a link to a folder that is searched already"


class Input(NamedTuple):
    """A file to enhance; `folder` is the folder that was given, or None if the file was."""

    path: Path
    folder: Path | None = None


@dataclass
class Search:
    """Result of the search for inputs.

    Attributes
    ----------
    inputs : list of Input
        Files to enhance, in the order given, none twice.
    faults : list of (Path, DeepnmfError)
        Requested inputs that fail: names that do not exist, folders that cannot be listed.
    left_out : list of (Path, str)
        Files in a folder or matching a pattern that are not enhanced, with the reason.
    """

    inputs: list[Input] = field(default_factory=list)
    faults: list[tuple[Path, DeepnmfError]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)

    def fail(self, name: Path | str, reason: str) -> None:
        """Record a failed input."""
        self.faults.append((Path(name), DeepnmfError(f"{name}: {reason}" if str(name) else reason)))


def find_inputs(
    names: list[str], output: Path | None = None, is_output: Callable[[Path], bool] = lambda _: False
) -> Search:
    """Look for the files to enhance.

    Parameters
    ----------
    names : list of str
        Files, folders and patterns (``**`` is recursive). A file given by name is taken whatever its suffix; folders
        and patterns give those with the suffix of an audio format.
    output : Path, optional
        Output folder, which is not searched if it lies in a folder that is.
    is_output : callable
        Whether an earlier run wrote this file. Such files are skipped in folders and patterns unless they hold
        nothing else, and so is ``x_enhanced.wav`` in a list with ``x.wav``, as from a pattern expanded by the shell.
    """
    search = Search()
    listed = {_default_stem(Path(name)) for name in names}
    seen: set[str] = set()
    parents: dict[str, str] = {}
    for name in names:
        fresh = [found for found in _matches(name, output, search) if _is_new(found.path, seen, parents)]
        earlier = [found for found in fresh if _is_unasked(found, name, listed) and is_output(found.path)]
        if len(earlier) == len(fresh) > 0 and fresh[0].path != Path(name):
            earlier = []  # a folder or pattern of outputs only: they are the intended inputs
        search.left_out += [(found.path, EARLIER) for found in earlier]
        left_out = set(earlier)
        search.inputs += [found for found in fresh if found not in left_out]
    return search


def _is_new(path: Path, seen: set[str], parents: dict[str, str]) -> bool:
    place = _place(path, parents)
    is_new = place not in seen
    seen.add(place)
    return is_new


def _is_unasked(found: Input, name: str, listed: set[Path]) -> bool:
    return found.path != Path(name) or found.path.with_suffix("") in listed


def _place(path: Path, parents: dict[str, str]) -> str:
    """Return the path with links resolved; `parents` caches folders, which thousands of files may share."""
    if path.is_symlink():
        return os.path.realpath(path)
    parent = str(path.parent)
    if parent not in parents:
        parents[parent] = os.path.realpath(parent)
    return f"{parents[parent]}/{path.name}"


def _default_stem(path: Path) -> Path:
    return path.with_name(path.stem + SUFFIX) if path.name else path


def kind(path: Path) -> str:
    """Return ``"folder"``, ``"file"``, ``"special"`` (a FIFO, a device), or the reason why it is none of them."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a broken link" if os.path.islink(path) else "no such file or folder"  # noqa: PTH114
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        return f"cannot be reached ({getattr(error, 'strerror', None) or error})"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "special"


def _matches(name: str, output: Path | None, search: Search) -> Iterator[Input]:
    path = Path(name)
    found = kind(path)
    if not name.strip():
        search.fail(name, "an empty name; is a shell variable unset?")
    elif found == "folder" and name != STDIN:
        yield from _walk(path, output, search)
    elif found in ("file", "special") or name == STDIN:
        yield Input(path)
    elif glob.has_magic(name) and not os.path.lexists(path):
        yield from _expand(name, search)
    elif "://" in name:
        search.fail(name, "an address, not a file; download it, or pipe it in: curl -sL ADDRESS | deepnmf enhance -")
    else:
        search.fail(name, found)


def _expand(pattern: str, search: Search) -> Iterator[Input]:
    found = False
    for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - Path has no ** at any depth of an absolute pattern
        path = Path(match)
        if kind(path) == "folder":
            search.left_out.append((path, FOLDER))
        elif _is_audio(path, search):
            found = True
            yield Input(path)
    if not found:
        search.fail(pattern, "no audio file matches")


def _walk(folder: Path, output: Path | None, search: Search) -> Iterator[Input]:
    def refuse(error: OSError) -> None:
        search.fail(error.filename, f"cannot list the folder ({error.strerror})")

    found: list[Path] = []
    faults = len(search.faults)
    entered = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(parent)
        folders[:] = [name for name in sorted(folders) if _enter(here / name, output, entered, search)]
        found += [here / name for name in files if _is_audio(here / name, search)]
    if not found and len(search.faults) == faults:
        search.fail(folder, "no file in it has the suffix of an audio format")
    yield from (Input(path, folder) for path in sorted(found))


def _enter(folder: Path, output: Path | None, entered: set[str], search: Search) -> bool:
    """Whether to search a folder: not hidden ones, the output folder, or one already reached by a link."""
    place = os.path.realpath(folder)
    reason = None
    if place in entered:
        reason = SEARCHED
    elif folder.name.startswith("."):
        reason = HIDDEN
    elif output is not None and place == os.path.realpath(output):
        reason = IN_OUTPUT
    entered.add(place)
    if reason is not None:
        search.left_out.append((folder, reason))
    return reason is None


def _is_audio(path: Path, search: Search) -> bool:
    """Whether a file found in a folder or by a pattern is an input; if not, the reason is recorded."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        if not path.name.startswith(".deepnmf-"):  # our record and temporary files
            search.left_out.append((path, HIDDEN))
    elif suffix not in READABLE:
        search.left_out.append((path, PERHAPS_AUDIO if _has_signature(path) else NOT_AUDIO))
    elif (found := kind(path)) == "file":
        return True
    else:
        reason = "a FIFO or device; give it by name to read from it" if found == "special" else found
        search.fail(path, reason)
    return False


def _has_signature(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return signature(file.read(SIGNATURE_BYTES))
    except OSError:
        return False


def read_file_list(source: str) -> list[str]:
    """Return the names in a list, one per line, or separated by zero bytes as ``find -print0`` does.

    Parameters
    ----------
    source : str
        A file, or ``"-"`` for stdin.

    Raises
    ------
    DeepnmfError
        If the list cannot be read or is empty.
    """
    try:
        with _stdin() if source == STDIN else Path(source).open("rb") as file:
            data = read_bounded(file)
    except OSError as error:
        raise DeepnmfError(f"{source}: cannot read the list of files ({error.strerror})") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as written by PowerShell
        data = data.decode("utf-16", errors="replace").encode()
    elif signature(data[:SIGNATURE_BYTES]):
        raise DeepnmfError(f"{source}: a recording, not a list of files")
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.split(b"\0") if b"\0" in data else [line.rstrip(b"\r") for line in data.split(b"\n")]
    names = [os.fsdecode(line) for line in lines if line.strip()]
    if not names:
        raise DeepnmfError(f"{source}: lists no files")
    return [f"./{name}" if name == STDIN else name for name in names]


def _stdin() -> contextlib.AbstractContextManager[BinaryIO]:
    if sys.stdin is None:
        raise DeepnmfError("-: stdin is closed")
    return contextlib.nullcontext(sys.stdin.buffer)
