"""Recordings scored in this process or in several, one thread each; a failure is one line and does not stop the run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from ..errors import DeepnmfError, printable
from ..interrupts import held_back, undone
from ..spawned import GUARD, UNGUARDED, end_if_unguarded, end_with_parent, spawning
from .items import Item
from .partial_scores import Score

Config = TypeVar("Config")

_ending = threading.Event()
"""Set in a process that a signal ends."""


def score_each(
    items: dict[int, Item],
    config: Config,
    jobs: int,
    score: Callable[[Item, Config], Score],
    warm_up: Callable[[Config], None],
) -> Iterator[tuple[int, Score | str]]:
    """Yield the index of each item with its score, or the line with the reason of its failure, as they complete.

    Parameters
    ----------
    items : dict of int to Item
        What to score.
    config : object
        How, for `score` and `warm_up`, which are functions of a module.
    jobs : int
        Processes.
    score : callable
        Scores one item.
    warm_up : callable
        Is called once in each process before.

    Raises
    ------
    DeepnmfError
        If a process dies.
    """
    if jobs <= 1 or len(items) <= 1:
        warm_up(config)
        for index, item in items.items():
            yield index, _attempt(score, item, config)
        return
    end_if_unguarded()
    context = spawning((score, warm_up, config))
    pool = ProcessPoolExecutor(min(jobs, len(items)), context, _start_worker, (warm_up, config))
    started: list[BaseProcess] = []
    try:
        with _ended_after(started):
            with held_back(), _added_to(started):
                futures = {pool.submit(_attempt, score, item, config): index for index, item in items.items()}
            for future in as_completed(futures):
                yield futures[future], future.result()
            pool.shutdown()
    except BrokenProcessPool:
        pool.shutdown(cancel_futures=True)  # waits, so that the processes have exit codes
        raise DeepnmfError(f"evaluate: {_cause(started)}; finished scores are kept") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _added_to(processes: list[BaseProcess]) -> Iterator[None]:
    """Add the processes to a list that are started in the context."""
    others = set(multiprocessing.active_children())
    try:
        yield
    finally:
        processes += set(multiprocessing.active_children()) - others


def _ended_after(processes: list[BaseProcess]) -> contextlib.AbstractContextManager[None]:
    """End processes at the end of the context, which would finish their current recordings."""

    def end() -> None:
        for process in processes:
            process.terminate()

    return undone(end)


def _cause(processes: list[BaseProcess]) -> str:
    """Return why processes have died, and what to do."""
    codes = {process.exitcode for process in processes}
    if UNGUARDED in codes:
        return f"each process imports the script, in which the call has to stand below {GUARD!r}, or use one job"
    if 1 in codes:
        return "a process could not import the script or what the script defines, for the reason above"
    return "a process died, perhaps out of memory; run again with fewer jobs"


def _attempt(score: Callable[[Item, Config], Score], item: Item, config: Config) -> Score | str:
    """Return the score, or the line with the reason of the failure: one bad file must not stop the others."""
    if _ending.is_set():
        sys.exit()
    try:
        return score(item, config)
    except DeepnmfError as error:
        return printable(f"{item.id}: {error}")
    except Exception as error:
        return printable(f"{item.id}: unexpected {type(error).__name__} ({error})")


def _start_worker(warm_up: Callable[[Config], None], config: Config) -> None:
    _on_signals(lambda *_: os._exit(1))  # nothing is half written yet, and Python would print a traceback
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with_parent()
    with contextlib.suppress(DeepnmfError):
        warm_up(config)
    _on_signals(_end)


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _end(*_: object) -> None:
    """Unwind the current task, and start no other."""
    # A second one must not interrupt the removal of files. Python would complain of SIG_IGN for one that is pending.
    _on_signals(lambda *_: None)
    _ending.set()
    sys.unraisablehook = lambda _: None  # a destructor cannot raise: Python would print a traceback, and go on
    sys.exit()
