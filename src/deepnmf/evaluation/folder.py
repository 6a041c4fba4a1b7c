"""The folder that an evaluation writes, and reads again for the report: scores.csv, summary.json, table.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import file_hash, read_csv, read_json, write_csv, write_json, write_text
from ..artifacts.outputs import check_writable
from ..errors import DeepnmfError
from ..text_files import read_regular
from .metrics import METRICS
from .partial_scores import TIMING as TIMING
from .scoring import PARTS
from .tables import table

SCORES, SUMMARY, TABLE = "scores.csv", "summary.json", "table.md"
TEXT_COLUMNS = ("id", "speech", "noise_type")


@dataclass(frozen=True)
class EvaluationFolder:
    """What an evaluation wrote.

    Attributes
    ----------
    summary : dict
        Contents of ``summary.json``.
    rows : list of dict
        Lines of ``scores.csv``; scores and SNR as numbers, None for an unknown SNR.
    metrics : tuple of str
        Keys of :data:`deepnmf.evaluation.metrics.METRICS`, in their order.
    """

    summary: dict[str, Any]
    rows: list[dict[str, Any]]
    metrics: tuple[str, ...]

    @property
    def leading(self) -> str:
        """The metric by which recordings are ranked: SI-SDR, or the first that was computed."""
        return self.metrics[0]

    def ranked(self) -> list[dict[str, Any]]:
        """Return the rows that have an improvement in the leading metric, from the worst to the best."""
        gain = f"{self.leading}_improvement"
        return sorted((row for row in self.rows if math.isfinite(row[gain])), key=lambda row: (row[gain], row["id"]))


def check_output(output: Path) -> None:
    """Raise `InputError` unless the results can be written into a folder."""
    check_writable(*(Path(output) / name for name in (SCORES, SUMMARY, TABLE, TIMING)))


def write_evaluation(output: Path, rows: list[dict[str, Any]], summary: dict[str, Any], timing: dict[str, Any]) -> None:
    """Write the results: the summary has the checksum of the scores, and the table can be regenerated from the summary.

    Raises
    ------
    DeepnmfError
        If one of them cannot be written.
    """
    write_csv(output / SCORES, rows)
    write_json(output / SUMMARY, {**summary, "scores_sha256": file_hash(output / SCORES)})
    write_text(output / TABLE, table(summary, tuple(summary["metrics"])))
    write_json(output / TIMING, timing)


def read_evaluation(folder: Path) -> EvaluationFolder:
    """Read the output of an evaluation.

    Raises
    ------
    DeepnmfError
        If a file is missing or damaged, or no evaluation wrote it; the message names the file.
    """
    folder = Path(folder)
    summary = read_summary(folder / SUMMARY, folder / SCORES)
    try:
        rows = [numbers_of(row) for row in read_csv(folder / SCORES)]
        metrics = tuple(name for name in METRICS if name in summary["metrics"])
        sound = bool(rows) and bool(metrics) and is_summary(summary, metrics)
    except (AttributeError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise DeepnmfError(f"{folder / SUMMARY}: not the summary of an evaluation; run `deepnmf evaluate` again")
    return EvaluationFolder(summary, rows, metrics)


def read_summary(path: Path, scores: Path) -> dict[str, Any]:
    """Read a summary that holds the checksum of its scores, and compare that."""
    summary = read_json(path)
    if summary.get("scores_sha256") != file_hash(scores):
        raise DeepnmfError(f"{scores}: not the scores that {path.name} was made of; run `deepnmf evaluate` again")
    return summary


def check_table(folder: Path) -> None:
    """Raise `DeepnmfError` if ``table.md`` of an evaluation does not match its summary."""
    found = read_evaluation(folder)
    check_text(Path(folder) / TABLE, table(found.summary, found.metrics), SUMMARY)


def check_text(path: Path, text: str, summary: str) -> None:
    """Raise `DeepnmfError` if a file does not hold the text made of the summary of that name."""
    try:
        found = read_regular(path)
    except OSError as error:
        raise DeepnmfError(f"{path}: cannot read ({error.strerror}); run `deepnmf evaluate` again") from None
    if found != text.encode("utf-8", "backslashreplace"):
        raise DeepnmfError(f"{path}: not the table of {summary}; run `deepnmf evaluate` again")


def numbers_of(row: dict[str, str]) -> dict[str, Any]:
    """Return a line of ``scores.csv`` with its scores and SNR as numbers, None for an unknown SNR."""
    texts: dict[str, Any] = {name: row[name] for name in TEXT_COLUMNS}
    return texts | {name: float(cell) if cell else None for name, cell in row.items() if name not in texts}


def is_summary(summary: dict[str, Any], metrics: tuple[str, ...]) -> bool:
    """Return whether a table is one of :func:`.summary.summarise`; missing or odd entries raise built-in errors."""
    groups = [summary["overall"], *summary["by_snr"].values(), *summary["by_noise_type"].values()]
    scores = [group[name] for group in groups for name in metrics]
    counts = [group["files"] for group in groups] + [score[key] for score in scores for key in ("count", "undefined")]
    numbers = [
        number
        for score in scores
        for part in (*PARTS, "difference")
        if part in score
        for number in _estimate(score[part])
    ]
    labels = all(map(float, summary["by_snr"])) is not None
    return labels and all(type(count) is int for count in counts) and all(map(math.isfinite, numbers))


def _estimate(part: dict[str, Any]) -> list[float]:
    """Return the numbers of a mean and its interval, none where there are too few recordings."""
    mean, interval = part["mean"], part["ci95"]
    low, high = interval or (0.0, 0.0)
    return [0.0 if mean is None else mean, low, high]
