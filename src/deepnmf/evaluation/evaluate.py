"""Scores of a model on a manifest, or of any folder of enhanced files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import DeepnmfError, InputError, require
from ..model import DEFAULT_MODEL
from ..progress import note
from ..shards import WHOLE, Shard
from .folder import check_output, read_evaluation, write_evaluation
from .items import FolderRecordings, Item, ManifestRecordings, Recordings
from .metrics import GROUPS, METRICS, available_metrics, metrics_of
from .partial_scores import partial_paths
from .scoring import ScoredRun, ScoringConfig, score_all
from .summary import metric_notes, summarise
from .systems import EnhancedFiles, System, model_system
from .tables import table


class NothingScored(DeepnmfError):  # noqa: N818 - an outcome, not an error of the program
    """Not one recording could be scored."""


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
    remaining : int
        Recordings left to other shards. While there are any nothing is merged: `summary` and `table` are empty.
    """

    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    table: str
    failures: list[str]
    real_time_factor: float | None
    remaining: int = 0


def evaluate(
    recordings: Path | Recordings,
    output: Path,
    *,
    model: str | Path | System | EnhancedFiles = DEFAULT_MODEL,
    split: str = "test",
    jobs: int = 1,
    limit: int | None = None,
    save_audio: bool = False,
    only: Sequence[str] = (),
    shard: Shard = WHOLE,
    rate_hz: int | None = None,
    known: Mapping[str, Mapping[str, float]] | None = None,
) -> Evaluation:
    """Mix, enhance and score recordings, such as one split of a manifest.

    Writes ``scores.csv`` (per file), ``summary.json`` and ``table.md`` to `output`: equal bytes for equal inputs,
    however many `jobs`; ``timing.json`` differs from run to run. A run that was killed resumes when started again.

    Parameters
    ----------
    recordings : Path or Recordings
        A manifest written by `deepnmf prepare`, or a :class:`ManifestRecordings` or :class:`FolderRecordings`.
    output : Path
        Folder for the results.
    model : str, Path, System or EnhancedFiles
        Name or path of a model, any other system, or the files that one has enhanced.
    split : str
        Which rows of a manifest: train, dev or test.
    jobs : int
        Processes; each runs on one thread.
    limit : int, optional
        Score only this many recordings, from the first.
    save_audio : bool
        Also write the enhanced recordings, ``audio/<id>.wav``, as float so that nothing clips.
    only : sequence of str
        Keys of :data:`deepnmf.evaluation.metrics.METRICS`, or ``"dnsmos"`` for its four. By default all that are
        installed and need a clean reference; DNSMOS for recordings without one.
    shard : Shard
        Which part of the recordings to score. The last shard to finish merges all scores, into the bytes of one run; so
        does a run without shards, which also scores what is missing.
    rate_hz : int, optional
        Rate at which manifest rows are mixed and scored; by default that of the system, else of the clean file.
    known : mapping of str to mapping, optional
        Scores of the noisy recordings by id and metric, which are then not computed again.

    Raises
    ------
    DeepnmfError
        If the model or manifest cannot be read, `output` cannot be written, or no recording could be scored. Those that
        fail while others do not are in ``failures``.
    """
    check_output(output)
    recordings = recordings_of(recordings, split)
    metrics = _metrics(only, recordings.has_reference, save_audio)
    system = model if isinstance(model, System | EnhancedFiles) else model_system(model)
    items, problems = recordings.items(system if isinstance(system, EnhancedFiles) else None)
    items = _limited(items, limit, known or {})
    config = _scoring_config(metrics, system, Path(output) / "audio" if save_audio else None, rate_hz)
    return _run(items, config, Path(output), jobs, recordings.about() | _about_system(config.system), problems, shard)


def evaluate_folders(
    clean: Path,
    enhanced: Path,
    output: Path,
    *,
    noisy: Path | None = None,
    jobs: int = 1,
    limit: int | None = None,
    only: Sequence[str] = (),
    shard: Shard = WHOLE,
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
    jobs, limit, only, shard
        As in :func:`evaluate`.

    Raises
    ------
    DeepnmfError
        If a folder has no audio, nothing pairs, `output` cannot be written, or no file could be scored.
    """
    recordings, files = FolderRecordings(clean, noisy), EnhancedFiles(Path(enhanced).name, Path(enhanced))
    return evaluate(recordings, output, model=files, jobs=jobs, limit=limit, only=only, shard=shard)


def recordings_of(recordings: Path | Recordings, split: str) -> Recordings:
    """Return a split of a manifest as recordings, and recordings as they are."""
    return ManifestRecordings(Path(recordings), split) if isinstance(recordings, str | Path) else recordings


def _scoring_config(
    metrics: tuple[str, ...], system: System | EnhancedFiles, audio: Path | None, rate_hz: int | None
) -> ScoringConfig:
    if isinstance(system, EnhancedFiles):  # nothing is enhanced, so nothing is saved
        return ScoringConfig(metrics, None, None, rate_hz)
    return ScoringConfig(metrics, system, audio, rate_hz or system.rate_hz)


def _about_system(system: System | None) -> dict[str, Any]:
    if system is None:
        return {}
    return {"system": {"name": system.name, "rate_hz": system.rate_hz, "model_sha256": system.sha256}}


def _limited(items: list[Item], limit: int | None, known: Mapping[str, Mapping[str, float]]) -> list[Item]:
    """Return the first items, with their known scores."""
    if limit is not None and limit < 1:
        raise DeepnmfError(f"limit: {limit} leaves nothing to score; give 1 or more")
    return [dataclasses.replace(item, known=known.get(item.id, {})) for item in items[:limit]]


def _metrics(only: Sequence[str], has_reference: bool, save_audio: bool) -> tuple[str, ...]:
    """Return the metrics that are asked for, by default those that the recordings are scored by.

    Raises
    ------
    DeepnmfError
        If there is no such metric, it or saving needs a clean reference that is not there, or a package is missing.
    """
    wanted = {name for one in only for name in GROUPS.get(one, (one,))} or set(metrics_of(has_reference))
    if unknown := wanted - set(METRICS):
        raise InputError(f"metric {', '.join(sorted(unknown))} is unknown; there are: {', '.join([*METRICS, *GROUPS])}")
    names = [name for name in METRICS if name in wanted]
    if lacking := [name for name in names if METRICS[name].needs_reference and not has_reference]:
        raise InputError(f"{', '.join(lacking)}: needs clean recordings; score by {', '.join(GROUPS)} without them")
    if save_audio and not has_reference:
        raise InputError(
            "only recordings with a clean reference can be saved while they are scored; enhance the others first"
        )
    if not only and has_reference and "pesq_wb" not in available_metrics():
        note("PESQ left out, its package is missing: pip install pesq")
        names.remove("pesq_wb")
    packages = dict.fromkeys(package for name in names for package in METRICS[name].packages)
    require(f"scoring by {', '.join(names)}", *packages)
    return tuple(names)


def _run(
    items: list[Item],
    config: ScoringConfig,
    output: Path,
    jobs: int,
    about: dict[str, Any],
    problems: list[str],
    shard: Shard,
) -> Evaluation:
    for problem in problems if shard.index == 0 else ():
        note(problem)
    run = score_all(items, config, output, jobs, shard)
    if run is None:
        return _merged_by_another(output)
    failures = problems + run.failures
    if run.remaining:
        return Evaluation([score.row for score in run.scores], {}, "", failures, None, run.remaining)
    if not run.scores:
        raise NothingScored(f"{output}: none of {len(items)} recordings could be scored, for the reasons above")
    rows = [score.row for score in run.scores]
    summary = {
        **about,
        **summarise(rows, config.metrics),
        "deepnmf": __version__,
        "failed": failures,
        "metrics": metric_notes(config.metrics),
    }
    timing = _timing(run, jobs) if config.system else {}
    write_evaluation(output, rows, summary, {**timing, "recordings": run.recordings})
    if not run.failures:
        for path in partial_paths(output):
            path.unlink(missing_ok=True)
    return Evaluation(rows, summary, table(summary, config.metrics), failures, timing.get("real_time_factor"))


def _merged_by_another(output: Path) -> Evaluation:
    """Return the results that another shard has written."""
    found = read_evaluation(output)
    summary = {name: value for name, value in found.summary.items() if name != "scores_sha256"}
    return Evaluation(found.rows, summary, table(summary, found.metrics), summary["failed"], None)


def _timing(run: ScoredRun, jobs: int) -> dict[str, Any]:
    enhance_seconds = sum(score.enhance_seconds for score in run.scores)
    audio_seconds = sum(score.row["seconds"] for score in run.scores)
    return {
        "audio_seconds": audio_seconds,
        "enhance_seconds": enhance_seconds,
        "jobs": jobs,
        "real_time_factor": enhance_seconds / audio_seconds if audio_seconds else None,
    }
