"""Scores of many recordings: in one process or several, resumable, with equal results either way."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from .._version import __version__
from ..audio.files import write
from ..config import fingerprint
from ..errors import DeepnmfError, printable
from ..progress import Progress
from .items import Item, Signals
from .metrics import METRICS
from .partial_scores import Score, append_partial_scores, read_partial_scores
from .systems import System
from .workers import score_each

DECIMALS = 6
"""Scores are rounded to these, so that the last bits of another machine's arithmetic do not show."""
PARTS = ("input", "output", "improvement")


@dataclass(frozen=True)
class ScoringConfig:
    """How every recording is scored.

    Attributes
    ----------
    metrics : tuple of str
        Keys of :data:`deepnmf.evaluation.metrics.METRICS`.
    system : System or None
        Enhances manifest rows; None for pairs of files.
    audio : Path or None
        Folder for the enhanced recordings (float WAV); None keeps none.
    """

    metrics: tuple[str, ...]
    system: System | None = None
    audio: Path | None = None

    def key(self, item: Item) -> str:
        """Return a hash of everything that determines the scores of `item`."""
        variants = {name: METRICS[name].variant for name in self.metrics}
        system = self.system and [self.system.name, self.system.rate_hz, self.system.sha256]
        return fingerprint([__version__, variants, system, str(self.audio), item.stamp()])


@dataclass
class ScoredRun:
    """Results of all recordings, in their order."""

    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def score_all(items: list[Item], config: ScoringConfig, partial: Path, jobs: int = 1) -> ScoredRun:
    """Score `items`; progress and one line for each failure go to stderr.

    Parameters
    ----------
    items : list of Item
        Recordings.
    config : ScoringConfig
        Metrics and system.
    partial : Path
        Every score is appended to this file at once; scores found there of the same recording and configuration are
        not made again, except damaged ones.
    jobs : int
        Processes; each runs on one thread.

    Raises
    ------
    DeepnmfError
        If `partial` cannot be written, or a process dies.
    """
    keys = [config.key(item) for item in items]
    known, damaged = read_partial_scores(partial)
    done = {index: known[key] for index, key in enumerate(keys) if key in known}
    todo = {index: item for index, item in enumerate(items) if index not in done}
    failed: dict[int, str] = {}
    with (
        Progress("evaluate", len(items), "files", done=len(done)) as progress,
        append_partial_scores(partial) as append,
    ):
        if damaged:
            progress.write(
                f"deepnmf: {partial}: {damaged} damaged or unfinished lines; their recordings are scored again"
            )
        for index, result in score_each(todo, config, jobs, score_item, warm_up):
            if isinstance(result, Score):
                done[index] = result
                append(keys[index], result)
            else:
                failed[index] = result
                progress.write(f"deepnmf: {result}")
            progress.update()
    return ScoredRun([done[index] for index in sorted(done)], [failed[index] for index in sorted(failed)])


def score_item(item: Item, config: ScoringConfig) -> Score:
    """Score one recording on one thread.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, the system fails, or a signal is not finite.
    """
    with threadpool_limits(limits=1):
        signals = item.signals(config.system)
        if config.audio is not None:
            write(_audio_path(config.audio, item.id), signals.enhanced[None], signals.rate_hz, "FLOAT")
        row = {
            "id": printable(item.id),
            "speech": printable(item.speech),
            "noise_type": printable(item.noise_type),
            "snr_db": item.snr_db,
            "seconds": round(len(signals.reference) / signals.rate_hz, DECIMALS),
        }
        for name in config.metrics:
            row.update(_score_metric(name, signals))
    return Score(row, signals.enhance_seconds)


def _score_metric(name: str, signals: Signals) -> dict[str, float]:
    score = METRICS[name].score
    output = round(score(signals.reference, signals.enhanced, signals.rate_hz), DECIMALS)
    if signals.noisy is None:
        return {f"{name}_output": output}
    before = round(score(signals.reference, signals.noisy, signals.rate_hz), DECIMALS)
    values = (before, output, round(output - before, DECIMALS))
    return {f"{name}_{part}": value for part, value in zip(PARTS, values, strict=True)}


def _audio_path(folder: Path, identity: str) -> Path:
    path = Path(f"{folder / identity}.wav")
    if ".." in path.parts or folder not in path.parents:
        raise DeepnmfError(f"{identity}: would be written outside {folder}; choose ids without .. and leading /")
    return path


def warm_up(config: ScoringConfig) -> None:
    """Run everything once: libraries load before threads are limited, and no file's time includes it."""
    rate_hz = config.system.rate_hz if config.system else 16000
    click = np.eye(1, rate_hz, rate_hz // 2, dtype=np.float32)[0]
    with contextlib.suppress(DeepnmfError):  # scoring the recordings reports the error
        if config.system is not None:
            config.system(click)
    for name in config.metrics:
        METRICS[name].score(click, click, rate_hz)
