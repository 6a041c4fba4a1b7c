"""Scores of many recordings: in one process or several, resumed after a kill, equal whichever way."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ..audio.files import write
from ..config import fingerprint
from ..errors import DeepnmfError
from .items import Item, Signals
from .metrics import METRICS
from .partial_scores import Score, journal, read_journal
from .systems import System

DECIMALS = 6
"""Scores are rounded to these, so that the last bits of another machine's arithmetic do not show."""
PARTS = ("input", "output", "improvement")


@dataclass(frozen=True)
class Plan:
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
        """Return a hash of all that decides the scores of `item`."""
        from .._version import __version__

        variants = {name: METRICS[name].variant for name in self.metrics}
        system = self.system and [self.system.name, self.system.rate_hz, self.system.sha256]
        return fingerprint([__version__, variants, system, str(self.audio), item.stamp()])


@dataclass
class Scores:
    """What came of all recordings, in their order."""

    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def score_all(items: list[Item], plan: Plan, partial: Path, jobs: int = 1) -> Scores:
    """Score `items`; a bar and one line for each failure go to stderr.

    Parameters
    ----------
    items : list of Item
        Recordings.
    plan : Plan
        Metrics and system.
    partial : Path
        Every score is appended to this file at once; scores found there of the same recording and plan are not made
        again. It is removed when all recordings have been scored.
    jobs : int
        Processes; each runs on one thread.

    Raises
    ------
    DeepnmfError
        If `partial` cannot be written, or a process dies.
    """
    keys = [plan.key(item) for item in items]
    known = read_journal(partial)
    done = {index: known[key] for index, key in enumerate(keys) if key in known}
    todo = {index: item for index, item in enumerate(items) if index not in done}
    failed: dict[int, str] = {}
    bar = tqdm(total=len(items), initial=len(done), desc="evaluate", unit="file", file=sys.stderr)
    with bar, journal(partial) as append:
        for index, result in _results(todo, plan, jobs):
            if isinstance(result, Score):
                done[index] = result
                append(keys[index], result)
            else:
                failed[index] = result
                tqdm.write(f"deepnmf: {result}", file=sys.stderr)
            bar.update()
    if not failed:
        partial.unlink(missing_ok=True)
    return Scores([done[index] for index in sorted(done)], [failed[index] for index in sorted(failed)])


def score_item(item: Item, plan: Plan) -> Score:
    """Score one recording on one thread.

    Raises
    ------
    DeepnmfError
        If a file cannot be read, or the system fails.
    """
    with threadpool_limits(limits=1):
        signals = item.signals(plan.system)
        if plan.audio is not None:
            write(_audio_path(plan.audio, item.id), signals.enhanced[None], signals.rate_hz, "FLOAT")
        row = {
            "id": item.id,
            "speech": item.speech,
            "noise_type": item.noise_type,
            "snr_db": item.snr_db,
            "seconds": round(len(signals.reference) / signals.rate_hz, DECIMALS),
        }
        for name in plan.metrics:
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


def _results(todo: dict[int, Item], plan: Plan, jobs: int) -> Iterator[tuple[int, Score | str]]:
    if jobs <= 1 or len(todo) <= 1:
        _warm_up(plan)
        for index, item in todo.items():
            yield index, _attempt(item, plan)
        return
    context = multiprocessing.get_context("spawn")  # fork would copy locked thread pools
    pool = ProcessPoolExecutor(min(jobs, len(todo)), context, _start_worker, (plan,))
    try:
        futures = {pool.submit(_attempt, item, plan): index for index, item in todo.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise DeepnmfError(
            "evaluate: a process died, perhaps out of memory; run again with fewer jobs, finished scores are kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(item: Item, plan: Plan) -> Score | str:
    """Return the score, or the line that says why there is none."""
    try:
        return score_item(item, plan)
    except DeepnmfError as error:
        return f"{item.id}: {error}"


def _start_worker(plan: Plan) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:  # a parent that is killed cannot stop its workers

        def leave() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=leave, daemon=True).start()
    _warm_up(plan)


def _warm_up(plan: Plan) -> None:
    """Run everything once: libraries load before threads are limited, and no file pays for it in its time."""
    rate_hz = plan.system.rate_hz if plan.system else 16000
    click = np.eye(1, rate_hz, rate_hz // 2, dtype=np.float32)[0]
    with contextlib.suppress(DeepnmfError):  # the recordings will tell
        if plan.system is not None:
            plan.system(click)
    for name in plan.metrics:
        METRICS[name].score(click, click, rate_hz)
