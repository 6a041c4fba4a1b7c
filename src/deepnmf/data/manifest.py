"""The manifest: one JSON line for each mixture, either a recorded pair or a recipe for mixing speech with noise."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..artifacts import read_json, write_text
from ..artifacts.schema import NumberSpec, shown
from ..artifacts.strict_json import parse_json
from ..errors import DeepnmfError, InputError, unread
from ..text_files import read_regular

Split = Literal["train", "dev", "test"]
MANIFEST, CORPUS = "manifest.jsonl", "corpus.json"
"""What `deepnmf prepare` writes: the manifest, and how it was made, with its checksum."""


@dataclass(frozen=True)
class MixtureEntry:
    """One mixture: ``speech`` + ``noise`` to be mixed, or a recorded ``noisy`` file with its ``speech``.

    Paths are absolute, or relative to the manifest's folder.
    """

    id: str
    split: Split
    speech: str
    """Clean speech file."""
    noise: str | None = None
    """Noise file to mix in; None for a pair."""
    noisy: str | None = None
    """Recorded mixture; None for a mix."""
    noise_start: float = 0.0
    """Where in the noise file the excerpt starts, as a share of its length; it wraps around at the end."""
    snr_db: float | None = None
    """SNR to mix at, or that of the pair if given."""
    noise_type: str = ""
    speaker: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise InputError(f"mixture {self.id}: split must be {', '.join(get_args(Split))}, not {self.split!r}")
        if (self.noise is None) == (self.noisy is None):
            raise InputError(f"mixture {self.id}: exactly one of noise and noisy must be given")
        if self.noise is not None and self.snr_db is None:
            raise InputError(f"mixture {self.id}: snr_db is missing, which mixing needs")


def write_manifest(path: Path, entries: Iterable[MixtureEntry]) -> None:
    """Write a manifest; fields that hold their default are left out.

    Raises
    ------
    InputError
        If two entries have one id, or it cannot be written.
    """
    entries = list(entries)
    (again, count), *_ = Counter(entry.id for entry in entries).most_common(1) or [("", 0)]
    if count > 1:
        raise InputError(f"{path}: {count} mixtures have the id {again!r}; give each a unique id")
    write_text(path, _text(entries))


def manifest_hash(entries: Iterable[MixtureEntry]) -> str:
    """Return the SHA-256 of the file that :func:`write_manifest` writes."""
    return hashlib.sha256(_text(entries).encode("utf-8", "backslashreplace")).hexdigest()


def _text(entries: Iterable[MixtureEntry]) -> str:
    defaults = {f.name: f.default for f in dataclasses.fields(MixtureEntry)}
    given = ({k: v for k, v in dataclasses.asdict(entry).items() if v != defaults[k]} for entry in entries)
    return "".join(json.dumps(values, ensure_ascii=False) + "\n" for values in given)


def read_manifest(path: Path, split: str | None = None) -> list[MixtureEntry]:
    """Read the entries of a manifest, or of one of its splits.

    Raises
    ------
    InputError
        If the file is missing or not as ``corpus.json`` beside it records, a line is not an entry (the message has its
        number and the key), two have one id, or there is no entry of that split.
    """
    path = Path(path)
    try:
        content = read_regular(path)
        lines = content.decode("utf-8-sig").rstrip().split("\n")  # splitlines would split at U+2028 too
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the manifest ({unread(error)}); `deepnmf prepare` writes it") from None
    _check_recorded(path, content)
    numbers: dict[str, int] = {}
    entries = []
    for number, line in enumerate(lines if lines != [""] else [], 1):
        try:
            entry = _entry(line)
            if (first := numbers.setdefault(entry.id, number)) != number:
                raise InputError(f"id {shown(entry.id)} is that of line {first} too")
        except (DeepnmfError, ValueError) as error:
            raise InputError(f"{path}:{number}: {error}; correct this line") from None
        entries.append(_resolved(entry, path.parent))
    if split is not None:
        check_splits(path, entries, [split])
    elif not entries:
        raise InputError(f"{path}: no mixtures")
    return [entry for entry in entries if split in (None, entry.split)]


NUMBERS = {"noise_start": NumberSpec(0, 1), "snr_db": NumberSpec(-100, 100), "seconds": NumberSpec(0, 1e8)}
REQUIRED = ("id", "split", "speech")
KEYS = tuple(f.name for f in dataclasses.fields(MixtureEntry))


def _entry(line: str) -> MixtureEntry:
    """Return the entry that a line of JSON describes, every key of it checked."""
    values = parse_json(line) if line.strip() else None
    if not isinstance(values, dict):
        raise InputError(f"not a table of keys and values but {shown(line.strip())}")
    if unknown := sorted(values.keys() - set(KEYS)):
        raise InputError(f"unknown key {shown(unknown[0])}; valid keys: {', '.join(KEYS)}")
    if missing := [key for key in REQUIRED if key not in values]:
        raise InputError(f"{missing[0]} is missing")
    optional = {key for key in ("noise", "noisy", "snr_db") if values.get(key, "") is None}
    for key in values.keys() - optional:
        if key in NUMBERS:
            NUMBERS[key].check(key, values[key])
            values[key] = float(values[key])
        else:
            _check_text(key, values[key])
    return MixtureEntry(**values)


def _check_text(key: str, value: object) -> None:
    if not isinstance(value, str):
        raise InputError(f"{key} must be text, not {shown(value)}")
    if "\0" in value or not (value.strip() or key in {"noise_type", "speaker"}):
        raise InputError(f"{key} must not be empty or hold a zero byte")


def check_splits(path: Path, entries: Sequence[MixtureEntry], splits: Iterable[str]) -> None:
    """Raise `InputError` unless a manifest has entries of all these splits."""
    for split in splits:
        if all(entry.split != split for entry in entries):
            raise InputError(f"{path}: no mixtures in split {split}")


def _check_recorded(path: Path, content: bytes) -> None:
    """Raise if a prepared manifest is not as it was written; one with another name is the user's."""
    if path.name != MANIFEST or not (path.parent / CORPUS).exists():
        return
    record: dict[str, Any] = {}
    with contextlib.suppress(DeepnmfError):  # a damaged record raises where it is needed
        record = read_json(path.parent / CORPUS)
    if record.get("manifest_sha256", "") not in ("", hashlib.sha256(content).hexdigest()):
        raise InputError(
            f"{path}: damaged, or changed since `deepnmf prepare` wrote it; prepare again, or give a manifest of your "
            "own another name"
        )


def _resolved(entry: MixtureEntry, folder: Path) -> MixtureEntry:
    def path(value: str | None) -> str | None:
        return str(folder / value) if value else None

    return dataclasses.replace(
        entry, speech=str(folder / entry.speech), noise=path(entry.noise), noisy=path(entry.noisy)
    )
