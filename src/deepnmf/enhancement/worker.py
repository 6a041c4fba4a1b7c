"""A process that enhances files for another one: jobs arrive on stdin, their outcomes leave on stdout.

The messages are pickled. The first is the batch, answered by ``None``; then each job is answered by the seconds of each
block as it is done, and by a :class:`Reply`. The end of stdin ends the process.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..interrupts import stop_on_signals
from .outcome import Outcome, outcome_of
from .record import Records


class Reply(NamedTuple):
    """The answer to a job.

    Attributes
    ----------
    outcome : Outcome
        What became of it.
    unrecorded : list of (Path, str or None)
        Folders whose record lacks an output so far, and why.
    """

    outcome: Outcome
    unrecorded: list[tuple[Path, str | None]]


def main() -> None:
    """Enhance the files requested on stdin. Ctrl-C is for the other process, which starts this one with it blocked."""
    with stop_on_signals():
        _enhance_all()


def _enhance_all() -> None:
    jobs, replies = _streams()
    batch = _next(jobs)
    if batch is None:
        return
    records = Records()  # not closed: its locks and its tidying are the other process's

    def send(message: Any) -> None:
        try:
            pickle.dump(message, replies)
            replies.flush()
        except OSError:  # the other process is gone
            sys.exit(1)

    def work(job: Any, progress: Any) -> list[str]:
        return list(batch.enhance(job, records, progress))

    send(None)
    while (job := _next(jobs)) is not None:
        send(Reply(outcome_of(job, work, send), records.unrecorded()))


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout for messages alone: output of libraries goes to stderr."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, replies


def _next(jobs: BinaryIO) -> Any:
    """Return the next message, ``None`` when there are no more or the other process is gone, even amid one."""
    try:
        return pickle.load(jobs)
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
