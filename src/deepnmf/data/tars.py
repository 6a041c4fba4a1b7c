"""A corpus in tar files, in WebDataset's layout: the clips in them, and members read in their order."""

from __future__ import annotations

import glob
import itertools
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..audio.formats import READABLE
from ..audio.tar_members import TarIndex, container, tar_index
from ..errors import DeepnmfError, InputError, require
from ..progress import Progress
from .scan import Clip, ScanReport, absolute, folder_level, usable_seconds

MOST_TARS = 100_000
HELD_BYTES = 2**28
"""Most bytes in memory of members that are read ahead."""


def is_tar_pattern(name: str | Path) -> bool:
    """Return whether a name stands for tar files, also compressed ones, rather than for a folder."""
    return re.search(r"\.(tar(\.\w+)?|tgz)}?$", str(name)) is not None and not Path(name).is_dir()


def tar_paths(pattern: str | Path) -> list[Path]:
    """Return the tar files that a pattern such as ``speech-{000000..000099}.tar`` names, in order.

    Raises
    ------
    InputError
        If it is not a pattern, names too many, or one that does not exist.
    MissingExtra
        If webdataset is not installed.
    """
    require("a corpus in tar files", "webdataset")
    from braceexpand import braceexpand

    try:
        names = list(itertools.islice(_matching(braceexpand(str(pattern))), MOST_TARS + 1))
    except ValueError as error:
        raise InputError(f"{pattern}: not a pattern such as speech-{{000000..000099}}.tar ({error})") from None
    if len(names) > MOST_TARS:
        raise InputError(f"{pattern}: names more than {MOST_TARS:,} tar files; pack larger ones")
    paths = [absolute(Path(name)) for name in dict.fromkeys(names)]
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such tar file ({len(missing)} of {len(paths)} that {pattern} names)")
    return paths


def _matching(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield from sorted(glob.glob(name)) or [name] if glob.has_magic(name) else [name]  # noqa: PTH207


def tar_clips(pattern: str | Path, report: ScanReport, level: int = 1) -> list[Clip]:
    """Return the readable recordings in tar files, grouped by the folders in their keys, or else by tar file.

    A line for each tar, and each entry of one, that cannot be used goes to the report.

    Raises
    ------
    InputError
        If the pattern names no tar files, or there is no readable audio in them.
    """
    paths, clips = tar_paths(pattern), list[Clip]()
    base = Path(os.path.commonpath([path.parent for path in paths]))
    with Progress(f"prepare {base.name}", len(paths), "tar files") as progress:
        for path in paths:
            try:
                clips += _clips(path, tar_index(path), base, report, level)
            except DeepnmfError as error:
                report.left_out.append(str(error))
            progress.update()
    if not clips:
        raise InputError(f"{pattern}: no readable audio in it" + "".join(f" ({line})" for line in report.left_out[-1:]))
    return clips


def _clips(tar: Path, index: TarIndex, base: Path, report: ScanReport, level: int) -> Iterator[Clip]:
    report.left_out += index.left_out
    names = [name for name in index.members if not Path(name).name.startswith(".")]
    paths = sorted(tar / name for name in names if Path(name).suffix.lower() in READABLE)
    stems, group = Counter(path.with_suffix("") for path in paths), folder_level(tar, level)
    for path in paths:
        name = path if stems[path.with_suffix("")] > 1 else path.with_suffix("")
        try:
            yield Clip(path, group(path), usable_seconds(path), name.relative_to(base).as_posix())
        except DeepnmfError as error:
            report.left_out.append(str(error))


class MembersInOrder:
    """Members of tar files in memory, read once and in the order of their tar, as long as they are asked for so."""

    def __init__(self) -> None:
        self._tar: Path | None = None
        self._files: Iterator[dict[str, Any]] = iter(())
        self._wanted: set[str] = set()
        self.held: dict[str, bytes] = {}

    def load(self, names: Sequence[str]) -> None:
        """Hold these members, as far as `HELD_BYTES` allow and their tar has them ahead; the others are not held."""
        self._wanted = set(names)
        self.held = {name: data for name, data in self.held.items() if name in self._wanted}
        for tar, members in itertools.groupby(names, container):
            missing = {name for name in members if name not in self.held}
            if tar is not None and missing:
                self._read(tar, missing)

    def _read(self, tar: Path, missing: set[str]) -> None:
        if tar != self._tar:
            self._tar, self._files = tar, self._members(tar)
        size = sum(map(len, self.held.values()))
        try:
            while missing and size < HELD_BYTES and (found := next(self._files, None)):
                name = str(tar / found["fname"])
                self.held[name] = found["data"]
                size += len(found["data"])
                missing.discard(name)
        except (tarfile.TarError, OSError, ValueError):  # whoever opens the member reports it
            self._files = iter(())

    def _members(self, tar: Path) -> Iterator[dict[str, Any]]:
        from webdataset.tariterators import tar_file_iterator

        sound = tar_index(tar).members

        def is_wanted(name: str) -> bool:
            return name in sound and str(tar / name) in self._wanted

        with tar.open("rb") as file:
            yield from tar_file_iterator(file, skip_meta=None, select_files=is_wanted)
