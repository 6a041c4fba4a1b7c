"""Evaluation: scores of a model on a manifest, or of any folder of enhanced files, as CSV, JSON and a table."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._version import __version__
from ..artifacts import write_csv, write_json, write_text
from ..errors import DeepnmfError, InputError, require
from ..model import DEFAULT_MODEL
from .items import Item, folder_items, manifest_items
from .metrics import METRICS, available_metrics
from .scoring import Plan, Scores, score_all
from .summary import metric_notes, summarise
from .systems import Enhance, System, model_system
from .tables import table

__all__ = ["Enhance", "Evaluation", "System", "evaluate", "evaluate_folders"]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    rows : list of dict
        Lines of ``scores.csv``.
    summary : dict
        Contents of ``summary.json``.
    table : str
        Contents of ``table.md``.
    failures : list of str
        One line for each recording that could not be scored.
    real_time_factor : float or None
        Seconds of enhancement per second of audio, on one thread; None if nothing was enhanced.
    """

    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    table: str
    failures: list[str]
    real_time_factor: float | None


def evaluate(
    manifest: Path,
    output: Path,
    *,
    model: str | Path | System = DEFAULT_MODEL,
    split: str = "test",
    jobs: int = 1,
    limit: int | None = None,
    save_audio: bool = False,
    only: Sequence[str] = (),
) -> Evaluation:
    """Mix, enhance and score one split of a manifest.

    Writes ``scores.csv`` (per file), ``summary.json`` and ``table.md`` to `output`: equal bytes for equal inputs,
    however many `jobs`. ``timing.json`` holds what differs from run to run. A run that was killed goes on where it
    stopped when it is started again.

    Parameters
    ----------
    manifest : Path
        As `deepnmf prepare` writes it.
    output : Path
        Folder for the results.
    model : str, Path or System
        Name or path of a model, or any other system.
    split : str
        Which rows: train, dev or test.
    jobs : int
        Processes; each runs on one thread.
    limit : int, optional
        Score only this many rows, from the first.
    save_audio : bool
        Also write the enhanced recordings, ``audio/<id>.wav``, as float so that nothing clips.
    only : sequence of str
        Keys of :data:`deepnmf.evaluation.metrics.METRICS` to score by; all that are installed by default.

    Raises
    ------
    DeepnmfError
        If the model or manifest cannot be read, `output` cannot be written, or no row could be scored. Rows that
        fail while others do not are in ``failures``.
    """
    system = model if isinstance(model, System) else model_system(model)
    items = _limited(manifest_items(Path(manifest), split), limit)
    audio = Path(output) / "audio" if save_audio else None
    plan = Plan(_metrics(only), system, audio)
    about = {
        "manifest_sha256": hashlib.sha256(Path(manifest).read_bytes()).hexdigest(),
        "split": split,
        "system": {"name": system.name, "rate_hz": system.rate_hz, "model_sha256": system.sha256},
    }
    return _run(items, plan, Path(output), jobs, about, [])


def evaluate_folders(
    clean: Path,
    enhanced: Path,
    output: Path,
    *,
    noisy: Path | None = None,
    jobs: int = 1,
    limit: int | None = None,
    only: Sequence[str] = (),
) -> Evaluation:
    """Score files that any system has enhanced, paired with the clean ones by relative path.

    Channels are averaged, and files are resampled to the rate of the clean one. Lengths may differ by 50 ms.

    Parameters
    ----------
    clean, enhanced : Path
        Folders of audio; suffixes may differ.
    output : Path
        Folder for ``scores.csv``, ``summary.json`` and ``table.md``.
    noisy : Path, optional
        Folder of the unprocessed recordings; with it there are input scores and improvements.
    jobs, limit, only
        As in :func:`evaluate`.

    Raises
    ------
    DeepnmfError
        If a folder has no audio, nothing pairs, `output` cannot be written, or no file could be scored.
    """
    items, problems = folder_items(clean, enhanced, noisy)
    for problem in problems:
        print(f"deepnmf: {problem}", file=sys.stderr)
    return _run(_limited(items, limit), Plan(_metrics(only)), Path(output), jobs, {}, problems)


def _limited(items: list[Item], limit: int | None) -> list[Item]:
    if limit is not None and limit < 1:
        raise DeepnmfError(f"limit: {limit} leaves nothing to score; give 1 or more")
    return items[:limit]


def _metrics(only: Sequence[str]) -> tuple[str, ...]:
    if unknown := set(only) - set(METRICS):
        raise InputError(f"metric {', '.join(sorted(unknown))} is unknown; there are: {', '.join(METRICS)}")
    names = [name for name in METRICS if name in only or not only]
    if not only and "pesq_wb" not in available_metrics():
        print("deepnmf: PESQ left out, its package is missing: pip install pesq", file=sys.stderr)
        names.remove("pesq_wb")
    packages = dict.fromkeys(package for name in names for package in METRICS[name].packages)
    require(f"scoring by {', '.join(names)}", *packages)
    return tuple(names)


def _run(
    items: list[Item], plan: Plan, output: Path, jobs: int, about: dict[str, Any], problems: list[str]
) -> Evaluation:
    scored = score_all(items, plan, output / "scores.partial.jsonl", jobs)
    failures = problems + scored.failures
    if not scored.scores:
        raise DeepnmfError(f"{output}: none of {len(items)} recordings could be scored; the lines above say why")
    rows = [score.row for score in scored.scores]
    summary = {
        **about,
        **summarise(rows, plan.metrics),
        "deepnmf": __version__,
        "failed": failures,
        "metrics": metric_notes(plan.metrics),
    }
    text = table(summary, plan.metrics)
    write_csv(output / "scores.csv", rows)
    write_json(output / "summary.json", summary)
    write_text(output / "table.md", text)
    return Evaluation(rows, summary, text, failures, _write_timing(output, scored, jobs) if plan.system else None)


def _write_timing(output: Path, scored: Scores, jobs: int) -> float:
    enhance_seconds = sum(score.enhance_seconds for score in scored.scores)
    audio_seconds = sum(score.row["seconds"] for score in scored.scores)
    timing = {
        "audio_seconds": audio_seconds,
        "enhance_seconds": enhance_seconds,
        "jobs": jobs,
        "real_time_factor": enhance_seconds / audio_seconds,
    }
    write_json(output / "timing.json", timing)
    return timing["real_time_factor"]
