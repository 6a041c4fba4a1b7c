"""Means and paired differences of several systems, and the files that hold them: comparison.csv, .json and .md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import file_hash, read_csv, write_csv, write_json, write_text
from ..errors import DeepnmfError
from .folder import check_text, is_summary, numbers_of, read_summary
from .metrics import METRICS
from .scoring import PARTS
from .summary import Rows, paired_differences, summarise
from .tables import comparison_table

COMPARISON_SCORES, COMPARISON, COMPARISON_TABLE = "comparison.csv", "comparison.json", "comparison.md"
DIFFERENCE = ("difference",)


@dataclass(frozen=True)
class ComparisonFolder:
    """What a comparison wrote.

    Attributes
    ----------
    summary : dict
        Contents of ``comparison.json``.
    rows : dict of str to list of dict
        Lines of ``comparison.csv`` by the name of the system, in the order of the systems.
    metrics : tuple of str
        Keys of :data:`deepnmf.evaluation.metrics.METRICS`, in their order.
    """

    summary: dict[str, Any]
    rows: dict[str, Rows]
    metrics: tuple[str, ...]


def summarise_comparison(rows: dict[str, Rows], baseline: str, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Return means of each system and its differences from the baseline, over the recordings that all have scores of.

    Parameters
    ----------
    rows : dict of str to list of dict
        Lines of ``scores.csv`` of each system.
    baseline : str
        One of the systems.
    metrics : tuple of str
        Keys of :data:`deepnmf.evaluation.metrics.METRICS`.

    Returns
    -------
    dict
        ``baseline``, and ``systems``: a list of ``name``, ``files`` (all that it has scores of), ``scores`` (as of
        :func:`summarise`) and, except for the baseline, ``differences``: the same with ``difference`` in place of input
        and output.

    Raises
    ------
    DeepnmfError
        If no recording has scores of all systems.
    """
    common = set.intersection(*({row["id"] for row in members} for members in rows.values()))
    if not common:
        raise DeepnmfError("no recording was scored for all systems, so they cannot be compared")
    kept = {name: [row for row in members if row["id"] in common] for name, members in rows.items()}
    defined = _defined_for_all(kept, metrics)
    systems = [
        {
            "name": name,
            "files": len(rows[name]),
            "scores": summarise(members, metrics, PARTS),
            "differences": summarise(paired_differences(members, defined[baseline], metrics), metrics, DIFFERENCE),
        }
        for name, members in defined.items()
    ]
    for system in systems:
        if system["name"] == baseline:
            del system["differences"]
    return {"baseline": baseline, "systems": systems}


def _defined_for_all(rows: dict[str, Rows], metrics: tuple[str, ...]) -> dict[str, Rows]:
    """Return rows whose output is undefined wherever that of any system is, so that all means have the same files."""
    undefined = {
        (row["id"], f"{name}_output")
        for members in rows.values()
        for row in members
        for name in metrics
        if not math.isfinite(row[f"{name}_output"])
    }
    return {
        name: [
            {key: math.nan if (row["id"], key) in undefined else value for key, value in row.items()} for row in members
        ]
        for name, members in rows.items()
    }


def write_comparison(output: Path, rows: Rows, summary: dict[str, Any]) -> None:
    """Write the results: the summary has the checksum of the scores, and the table can be regenerated from the summary.

    Raises
    ------
    DeepnmfError
        If one of them cannot be written.
    """
    write_csv(output / COMPARISON_SCORES, rows)
    write_json(output / COMPARISON, {**summary, "scores_sha256": file_hash(output / COMPARISON_SCORES)})
    write_text(output / COMPARISON_TABLE, comparison_table(summary, tuple(summary["metrics"])))


def read_comparison(folder: Path) -> ComparisonFolder:
    """Read the output of a comparison.

    Raises
    ------
    DeepnmfError
        If a file is missing or damaged, or no comparison wrote it; the message names the file.
    """
    folder = Path(folder)
    summary = read_summary(folder / COMPARISON, folder / COMPARISON_SCORES)
    try:
        metrics = tuple(name for name in METRICS if name in summary["metrics"])
        rows: dict[str, Rows] = {str(system["name"]): [] for system in summary["systems"]}
        for row in read_csv(folder / COMPARISON_SCORES):
            rows[row.pop("system")].append(numbers_of(row))
        sound = bool(metrics) and _is_comparison(summary, rows, metrics)
    except (AttributeError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise DeepnmfError(f"{folder / COMPARISON}: not the summary of a comparison; compare again")
    return ComparisonFolder(summary, rows, metrics)


def check_comparison_table(folder: Path) -> None:
    """Raise `DeepnmfError` if ``comparison.md`` does not match its summary."""
    found = read_comparison(folder)
    check_text(Path(folder) / COMPARISON_TABLE, comparison_table(found.summary, found.metrics), COMPARISON)


def _is_comparison(summary: dict[str, Any], rows: dict[str, Rows], metrics: tuple[str, ...]) -> bool:
    systems = summary["systems"]
    others = [system for system in systems if system["name"] != summary["baseline"]]
    return (
        len(others) == len(systems) - 1
        and all(rows.values())
        and all(is_summary(system["scores"], metrics) and type(system["files"]) is int for system in systems)
        and all(is_summary(system["differences"], metrics) for system in others)
    )
