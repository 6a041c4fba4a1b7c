"""Figures of each split of a manifest, and warnings on those too small for reliable scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .folders import SPLITS
from .manifest import MixtureEntry

LEAST_RECORDINGS = 4
"""With fewer recordings of speech, scores do not generalise."""
LEAST_TRAINING_MINUTES = 10.0
COLUMNS = ("mixtures", "recordings", "speakers", "minutes", "noise_types")


def split_figures(entries: Iterable[MixtureEntry]) -> dict[str, dict[str, float]]:
    """Return the figures of each split: `COLUMNS`. Minutes are those of the speech, each recording counted once.

    Examples
    --------
    >>> split_figures([MixtureEntry("a", "train", "s.wav", "n.wav", snr_db=0, seconds=36)])
    {'train': {'mixtures': 1, 'recordings': 1, 'speakers': 0, 'minutes': 0.6, 'noise_types': 0}}
    """
    splits: dict[str, list[MixtureEntry]] = {}
    for entry in entries:
        splits.setdefault(entry.split, []).append(entry)
    return {split: _figures(of_split) for split, of_split in splits.items()}


def _figures(entries: list[MixtureEntry]) -> dict[str, float]:
    seconds = {entry.speech: entry.seconds for entry in entries}
    return {
        "mixtures": len(entries),
        "recordings": len(seconds),
        "speakers": len({entry.speaker for entry in entries if entry.speaker}),
        "minutes": round(sum(seconds.values()) / 60, 2),
        "noise_types": len({entry.noise_type for entry in entries if entry.noise_type}),
    }


def figures_table(splits: dict[str, Any]) -> str:
    """Return figures of splits as a table; an unknown number is a dash.

    Examples
    --------
    >>> print(figures_table(split_figures([MixtureEntry("a", "dev", "s.wav", "n.wav", snr_db=0, seconds=36)])))
    split  mixtures  recordings  speakers  minutes  noise types
    dev           1           1         –      0.6            –
    """
    lines = [["split", *(column.replace("_", " ") for column in COLUMNS)]]
    lines += [
        [split, *(f"{row[column]:,}" if row[column] else "–" for column in COLUMNS)]
        for split, row in ((split, splits[split]) for split in SPLITS if split in splits)
    ]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    first, *others = widths
    return "\n".join(
        f"{line[0]:<{first}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], others, strict=True))
        for line in lines
    )


def cautions(entries: Sequence[MixtureEntry]) -> list[str]:
    """Return a line for each reason why scores, or the model, are less reliable than they look."""
    splits = {split: [entry for entry in entries if entry.split == split] for split in SPLITS}
    lines = [] if splits["dev"] else ["there is no dev split, which training needs to select its best epoch"]
    if both := {entry.speech for entry in entries} & {entry.noise for entry in entries if entry.noise}:
        lines.append(f"recordings that are both speech and noise ({len(both)}), such as {min(both)}: keep them apart")
    for split, of_split in splits.items():
        if few := _too_few(_figures(of_split), split == "train"):
            lines.append(f"{split} has {', '.join(few)}: too little for reliable results")
        if split != "train":
            lines += _shared(split, of_split, splits["train"])
    return lines


def _too_few(figures: dict[str, float], training: bool) -> list[str]:
    """Return which figures of a split are too small; those that are 0 are unknown."""
    few = []
    if 0 < figures["recordings"] < LEAST_RECORDINGS:
        few.append(f"fewer than {LEAST_RECORDINGS} recordings of speech ({figures['recordings']})")
    few += [
        what
        for what, column in (("one speaker", "speakers"), ("one noise type", "noise_types"))
        if figures[column] == 1
    ]
    if training and 0 < figures["minutes"] < LEAST_TRAINING_MINUTES:
        few.append(f"{figures['minutes']:g} minutes of speech")
    return few


def _shared(split: str, entries: list[MixtureEntry], train: list[MixtureEntry]) -> list[str]:
    """Return the overlap of a split with train, which makes its scores optimistic."""
    lines = []
    for what, name in (("speakers", "speaker"), ("recordings of speech", "speech"), ("recordings of noise", "noise")):
        shared = {getattr(entry, name) for entry in entries} & {getattr(entry, name) for entry in train}
        if shared := {value for value in shared if value}:
            lines.append(f"{split} shares {what} with train ({len(shared)}): its scores are optimistic")
    return lines
