"""Check of every artifact below a folder, as the stage that reads it does."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..artifacts import read_json
from ..artifacts.records import read_features
from ..artifacts.schema import ArraySpec, Shapes, check_arrays, shown
from ..artifacts.tensor_file import about, open_tensors
from ..data.decoded import read_index
from ..data.features import read_record
from ..data.inventory import INVENTORY, read_inventory
from ..data.manifest import CORPUS, MANIFEST, read_manifest
from ..data.pieces import LAYOUTS
from ..data.shards import open_shard
from ..enhancement.profile import load_profile
from ..errors import DeepnmfError, InputError
from ..evaluation.comparison import (
    COMPARISON,
    COMPARISON_SCORES,
    COMPARISON_TABLE,
    check_comparison_table,
    read_comparison,
)
from ..evaluation.folder import SCORES, SUMMARY, TABLE, TIMING, check_table, read_evaluation
from ..evaluation.partial_scores import is_partial, read_partial_scores
from ..model import BEST, load_model
from ..nmf.dictionary import load_dictionary
from .experiment import EXPERIMENT, read_experiment
from .files import CHECKPOINT, DICTIONARY, LAST

NAMED_KINDS = {
    BEST: "model",
    LAST: "model",
    DICTIONARY: "dictionary",
    CHECKPOINT: "checkpoint",
}
"""Expected kind of the tensor files of these names."""
SHARD = re.compile(r"(train|dev)-\d{6,}-\d{4,}\.safetensors")


@dataclass
class Verification:
    """What :func:`verify` found.

    Attributes
    ----------
    checked : list of Path
        All artifacts, in order.
    problems : list of str
        One line for each that is damaged, missing or replaced by another.
    unlisted : list of str
        One line for each folder below that cannot be listed: what is in it has not been checked.
    """

    checked: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def verify(folder: Path) -> Verification:
    """Check every artifact below a folder, such as an experiment's: that it is complete and valid.

    Parameters
    ----------
    folder : Path
        Folder, or one artifact. Files that no stage writes are ignored; links to folders are not followed.

    Returns
    -------
    Verification
        The artifacts, and a line for each that is damaged, and for each folder that cannot be listed.

    Raises
    ------
    DeepnmfError
        If there is no such folder, it cannot be listed, or there is no artifact in it.
    """
    folder = Path(folder)
    found = Verification()
    for path in _files(folder, found.unlisted):
        check = _check_partial if is_partial(path.name) else CHECKS.get(path.name) or CHECKS.get(path.suffix)
        if check is None:
            continue
        found.checked.append(path)
        try:
            check(path)
        except DeepnmfError as error:
            found.problems.append(str(error))
        except OSError as error:
            found.problems.append(f"{path}: cannot read ({error.strerror})")
    if not found.checked and not found.unlisted:
        raise InputError(f"{folder}: no artifact of deepnmf; name an experiment, its folders or one of its files")
    found.problems = list(dict.fromkeys(found.problems))  # a damaged file may fail those that refer to it in one line
    return found


def _files(folder: Path, unlisted: list[str]) -> Iterator[Path]:
    """Yield the files below a folder, or the file itself; add a line for each folder below that cannot be listed."""

    def fail(error: OSError) -> None:
        line = f"{error.filename}: cannot list ({error.strerror})"
        if Path(error.filename) == folder:
            raise InputError(line)
        unlisted.append(line)

    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        raise InputError(f"{folder}: no such folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: cannot read ({getattr(error, 'strerror', error)})") from None
    if not is_folder:
        yield folder
        return
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def _check_tensors(path: Path) -> None:
    if SHARD.fullmatch(path.name):
        _check_shard(path)
        return
    kind = open_tensors(path, NAMED_KINDS.get(path.name)).metadata["kind"]
    if kind not in LOADERS:
        raise DeepnmfError(f"{path}: {shown(kind)} is not a kind of file of this version; upgrade deepnmf")
    LOADERS[kind](path)


def _check_model(path: Path) -> None:
    load_model(path.parent if path.name == BEST else path)


def _check_shard(path: Path) -> None:
    """Check a shard, and that it is the one in the record of its folder."""
    split = found[1] if (found := SHARD.fullmatch(path.name)) else "train"
    record: dict[str, Any] = {}
    recorded: list[str] = []
    with contextlib.suppress(DeepnmfError):  # a damaged record has a line of its own
        record = read_json(path.parent / "plan.json")
    with contextlib.suppress(DeepnmfError):
        record = read_record(path.parent)
        recorded = [files[path.name] for files in record["shards"].values() if path.name in files]
    if record:
        with about(path.parent / "plan.json"):
            bins = read_features(record.get("features")).stft.bins
    else:
        bins = Shapes(open_tensors(path).shapes).size(LAYOUTS[split].name, -1) // LAYOUTS[split].parts
    open_shard(path, split, bins, *recorded)


def _check_features(path: Path) -> None:
    """Check the record of a folder of features, and that the shards are there."""
    record = read_record(path.parent)
    for name in [name for files in record["shards"].values() for name in files]:
        if not (path.parent / name).exists():
            raise DeepnmfError(f"{path.parent / name}: no such shard, but {path.name} has it; run `deepnmf features`")


def _check_checkpoint(path: Path) -> None:
    file = open_tensors(path)
    with about(path, "delete it and train again"):
        types = ("float32", "float64", "int64", "bool", "uint8")
        check_arrays({name: ArraySpec(array.shape, dtypes=types) for name, array in file.arrays.items()}, file.arrays)


def _check_scores(path: Path) -> None:
    if (path.parent / SUMMARY).exists():
        read_evaluation(path.parent)


def _check_summary(path: Path) -> None:
    read_evaluation(path.parent)


def _check_table(path: Path) -> None:
    if (path.parent / SUMMARY).exists():
        check_table(path.parent)


def _check_comparison(path: Path) -> None:
    if (path.parent / COMPARISON).exists():
        read_comparison(path.parent)


def _check_comparison_table(path: Path) -> None:
    if (path.parent / COMPARISON).exists():
        check_comparison_table(path.parent)


def _check_partial(path: Path) -> None:
    if damaged := read_partial_scores(path).damaged[path]:
        raise DeepnmfError(f"{path}: {damaged} damaged or unfinished lines; `deepnmf evaluate` scores them again")


LOADERS: dict[str, Callable[[Path], object]] = {
    "model": _check_model,
    "dictionary": load_dictionary,
    "profile": load_profile,
    "features": _check_shard,
    "checkpoint": _check_checkpoint,
}
"""How tensor files are checked, by their kind."""
CHECKS: dict[str, Callable[[Path], object]] = {
    ".safetensors": _check_tensors,
    ".int16": lambda path: read_index(path.with_suffix(".json")),
    EXPERIMENT: read_experiment,
    CORPUS: read_json,
    INVENTORY: read_inventory,
    "plan.json": read_json,
    "features.json": _check_features,
    MANIFEST: read_manifest,
    SCORES: _check_scores,
    SUMMARY: _check_summary,
    TABLE: _check_table,
    TIMING: read_json,
    COMPARISON: _check_comparison,
    COMPARISON_SCORES: _check_comparison,
    COMPARISON_TABLE: _check_comparison_table,
}
"""How artifacts are checked, by name or by suffix."""
