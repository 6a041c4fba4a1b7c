"""The manifest: one JSON line for each mixture, either a recorded pair or a recipe for mixing speech with noise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..artifacts import write_jsonl
from ..errors import DeepnmfError

Split = Literal["train", "dev", "test"]


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
    """SNR to mix at, or that of the pair if known."""
    noise_type: str = ""
    speaker: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise DeepnmfError(
                f"manifest row {self.id}: split must be {', '.join(get_args(Split))}, not {self.split!r}"
            )
        if (self.noise is None) == (self.noisy is None):
            raise DeepnmfError(f"manifest row {self.id}: exactly one of noise and noisy must be given")
        if self.noise is not None and self.snr_db is None:
            raise DeepnmfError(f"manifest row {self.id}: a row that mixes needs snr_db")


def write_manifest(path: Path, rows: Iterable[MixtureEntry]) -> None:
    """Write a manifest; fields that hold their default are left out."""
    defaults = {f.name: f.default for f in dataclasses.fields(MixtureEntry)}
    write_jsonl(path, ({k: v for k, v in dataclasses.asdict(row).items() if v != defaults[k]} for row in rows))


def read_manifest(path: Path, split: str | None = None) -> list[MixtureEntry]:
    """Read the rows of a manifest, or of one of its splits.

    Raises
    ------
    DeepnmfError
        If the file is missing or damaged, or has no row of that split.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeepnmfError(f"{path}: cannot read the manifest ({error}); `deepnmf prepare` writes it") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_resolved(MixtureEntry(**json.loads(line)), path.parent))
        except (ValueError, TypeError) as error:
            raise DeepnmfError(f"{path}:{number}: not a manifest row ({error})") from None
    rows = [row for row in rows if split in (None, row.split)]
    if not rows:
        raise DeepnmfError(f"{path}: no rows" + (f" in split {split}" if split else ""))
    return rows


def _resolved(row: MixtureEntry, folder: Path) -> MixtureEntry:
    def path(value: str | None) -> str | None:
        return str(folder / value) if value else None

    return dataclasses.replace(row, speech=str(folder / row.speech), noise=path(row.noise), noisy=path(row.noisy))
