"""Scores of many recordings: in one process or several, resumable, with equal results either way."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .._version import __version__
from ..audio.files import write
from ..config import fingerprint
from ..errors import DeepnmfError, printable
from ..progress import Progress, note
from ..shards import WHOLE, Shard
from .items import Item, Signals
from .metrics import METRICS
from .no_reference import score_without_reference
from .partial_scores import (
    PartialScores,
    Score,
    append_partial_scores,
    is_merged,
    partial_path,
    read_all_partial_scores,
)
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
        Enhances the noisy recordings; None if they are enhanced already.
    audio : Path or None
        Folder for the enhanced recordings (float WAV); None keeps none.
    rate_hz : int or None
        Rate at which manifest rows are mixed; None for that of the clean file.
    """

    metrics: tuple[str, ...]
    system: System | None = None
    audio: Path | None = None
    rate_hz: int | None = None

    def key(self, item: Item) -> str:
        """Return a hash of everything that determines the scores of `item`."""
        variants = {name: METRICS[name].variant for name in self.metrics}
        system = self.system and [self.system.name, self.system.rate_hz, self.system.sha256]
        return fingerprint([__version__, variants, system, str(self.audio), self.rate_hz, item.stamp()])


@dataclass
class ScoredRun:
    """Results of all recordings, in their order; `remaining` of them are left to other shards."""

    recordings: str
    """Hash of everything that determines the scores."""
    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    remaining: int = 0


def score_all(
    items: list[Item], config: ScoringConfig, folder: Path, jobs: int = 1, shard: Shard = WHOLE
) -> ScoredRun | None:
    """Score `items`, or a shard of them; progress and one line for each failure go to stderr.

    Parameters
    ----------
    items : list of Item
        Recordings.
    config : ScoringConfig
        Metrics and system.
    folder : Path
        Every score is appended to a file of it at once; scores found in such files of the same recording and
        configuration, by whichever shard, are not made again, except damaged ones.
    jobs : int
        Processes; each runs on one thread.
    shard : Shard
        Which recordings to score. Results of the others are those that the other shards have found so far.

    Returns
    -------
    ScoredRun or None
        What all shards have found; None if another shard has merged it already.

    Raises
    ------
    DeepnmfError
        If a file of `folder` cannot be read or written, or a process dies.
    """
    keys = [config.key(item) for item in items]
    if not shard.is_whole and is_merged(folder, fingerprint(keys)):
        return None
    known = read_all_partial_scores(folder)
    for path, count in known.damaged.items():
        note(f"{path}: {count} damaged or unfinished lines; their recordings are scored again")
    own = shard.of(range(len(items)))
    todo = {index: items[index] for index in own if keys[index] not in known.scores}
    path = partial_path(folder, shard)
    with (
        Progress("evaluate", len(own), "files", done=len(own) - len(todo)) as progress,
        append_partial_scores(path) as append,
    ):
        for index, result in score_each(todo, config, jobs, score_item, warm_up):
            append(keys[index], result)
            if isinstance(result, Score):
                known.scores[keys[index]] = result
            else:
                known.failures[keys[index]] = result
                progress.write(f"deepnmf: {result}")
            progress.update()
    if not shard.is_whole:
        known = read_all_partial_scores(folder)
        if not path.exists():
            return None
    return _in_order(keys, known)


def _in_order(keys: list[str], known: PartialScores) -> ScoredRun:
    failures = [known.failures[key] for key in keys if key in known.failures and key not in known.scores]
    scores = [known.scores[key] for key in keys if key in known.scores]
    return ScoredRun(fingerprint(keys), scores, failures, len(keys) - len(scores) - len(failures))


def score_item(item: Item, config: ScoringConfig) -> Score:
    """Score one recording on one thread.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, the system fails, or a signal is not finite.
    """
    with threadpool_limits(limits=1):
        if item.has_reference:
            return _score_signals(item, config)
        is_known = all(name in item.known for name in config.metrics)
        found, seconds, enhance_seconds = score_without_reference(item, config.system, not is_known)
        before = item.known if is_known else found.get("input", {})
        scores = [_parts(name, before.get(name), found["output"][name]) for name in config.metrics]
        return Score(_row(item, seconds, scores), enhance_seconds)


def _score_signals(item: Item, config: ScoringConfig) -> Score:
    signals = item.signals(config.system, config.rate_hz)
    if config.audio is not None:
        write(_audio_path(config.audio, item.id), signals.enhanced[None], signals.rate_hz, "FLOAT")
    scores = [_score_metric(name, signals, item.known.get(name)) for name in config.metrics]
    return Score(_row(item, len(signals.reference) / signals.rate_hz, scores), signals.enhance_seconds)


def _row(item: Item, seconds: float, scores: list[dict[str, float]]) -> dict[str, Any]:
    """Return a line of ``scores.csv``."""
    row = {
        "id": printable(item.id),
        "speech": printable(item.speech),
        "noise_type": printable(item.noise_type),
        "snr_db": item.snr_db,
        "seconds": round(seconds, DECIMALS),
    }
    for parts in scores:
        row.update(parts)
    return row


def _score_metric(name: str, signals: Signals, known: float | None) -> dict[str, float]:
    score = METRICS[name].score
    output = score(signals.reference, signals.enhanced, signals.rate_hz)
    before = known
    if signals.noisy is not None and known is None:
        before = score(signals.reference, signals.noisy, signals.rate_hz)
    return _parts(name, before, output)


def _parts(name: str, before: float | None, output: float) -> dict[str, float]:
    """Return the scores of a metric as a line of ``scores.csv`` has them."""
    output = round(output, DECIMALS)
    if before is None:
        return {f"{name}_output": output}
    before = round(before, DECIMALS)
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
        if METRICS[name].needs_reference:  # DNSMOS has threads of its own, and would take a second
            METRICS[name].score(click, click, rate_hz)
