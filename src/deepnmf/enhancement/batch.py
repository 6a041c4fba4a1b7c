"""Many files: several at a time, the good ones done even if some are bad, stopped cleanly."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from ..errors import DeepnmfError
from .plan import Job
from .stream import Progress

Work = Callable[[Job, Progress], list[str]]
"""Do one job, calling the second argument after each block; return warnings."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its warnings, or the error that ended it."""

    job: Job
    warnings: tuple[str, ...] = ()
    error: DeepnmfError | None = None


class _Stopped(Exception):  # noqa: N818 - raised inside workers to end them, never seen outside
    pass


def run_jobs(jobs: Iterable[Job], work: Work, workers: int = 1, progress: Progress | None = None) -> Iterator[Outcome]:
    """Do the jobs and yield their outcomes as they come.

    Threads suffice: nearly all the time goes into matrix products, transforms and codecs, which run outside Python's
    lock. If the consumer stops, or Ctrl-C is pressed, running jobs end at their next block and leave no file behind.

    Parameters
    ----------
    jobs : iterable of Job
        May be long: it is drawn from as work gets done.
    work : callable
        Does one job.
    workers : int
        Files worked on at a time.
    progress : callable, optional
        Called after each block, from any thread, with its length in seconds.
    """
    stop = threading.Event()

    def tick(seconds: float) -> None:
        if stop.is_set():
            raise _Stopped
        if progress is not None:
            progress(seconds)

    if workers == 1:  # in this thread, where Ctrl-C arrives
        for job in jobs:
            yield _outcome(job, work, tick)
        return
    waiting = iter(jobs)
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[Outcome]] = set()
        try:
            while True:
                for job in itertools.islice(waiting, workers - len(running)):
                    running.add(pool.submit(_outcome, job, work, tick))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            stop.set()


def _outcome(job: Job, work: Work, progress: Progress) -> Outcome:
    try:
        return Outcome(job, tuple(work(job, progress)))
    except DeepnmfError as error:
        return Outcome(job, error=error)
    except MemoryError:
        return Outcome(job, error=DeepnmfError(f"{job.source}: not enough memory"))
