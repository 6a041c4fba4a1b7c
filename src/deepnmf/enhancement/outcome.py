"""Outcome of each file of a batch; an error is confined to its file."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import NamedTuple

from ..errors import DeepnmfError
from .plan import Job
from .stream import Progress

Work = Callable[[Job, Progress], list[str]]
"""Process one job, calling the second argument after each block; return warnings."""


class AlreadyDone(Exception):  # noqa: N818 - an end, not an error
    """The output is there already, made from the same input by the same model and options."""


class Outcome(NamedTuple):
    """Result of a job.

    Attributes
    ----------
    job : Job
        The job.
    status : str
        ``"enhanced"``, ``"skipped"`` or ``"failed"``.
    warnings : tuple of str
        One line each.
    error : DeepnmfError or None
        Why it failed.
    details : str
        Traceback of an unexpected error.
    """

    job: Job
    status: str
    warnings: tuple[str, ...] = ()
    error: DeepnmfError | None = None
    details: str = ""


def outcome_of(job: Job, work: Work, progress: Progress) -> Outcome:
    """Process one job; any error is confined to its file."""
    try:
        return Outcome(job, "enhanced", tuple(work(job, progress)))
    except AlreadyDone:
        return Outcome(job, "skipped")
    except DeepnmfError as error:
        return Outcome(job, "failed", error=error)
    except MemoryError:
        return Outcome(job, "failed", error=DeepnmfError(f"{job.source}: not enough memory"))
    except OSError as cause:
        return Outcome(job, "failed", error=DeepnmfError(f"{job.source}: {cause.strerror or cause}"))
    except Exception as cause:
        unexpected = f"{job.source}: unexpected {type(cause).__name__} ({cause})"
        details = "".join(traceback.format_exception(cause)).rstrip()
        return Outcome(job, "failed", error=DeepnmfError(unexpected), details=details)
