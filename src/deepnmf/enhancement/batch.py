"""Batch processing: files in parallel, errors isolated to their file, clean interruption."""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..errors import DeepnmfError
from ..model import Model
from .files import FileOptions, enhance_file
from .inputs import STDIN
from .plan import Job, Plan
from .profile import Profile
from .record import Origin, Records, file_digest
from .stdio import RawFormat, enhance_pipe
from .stream import Progress

Work = Callable[[Job, Progress], list[str]]
"""Process one job, calling the second argument after each block; return warnings."""


class AlreadyDone(Exception):  # noqa: N818 - an end, not an error
    """The output is there already, made from the same input by the same model and options."""


@dataclass(frozen=True)
class Outcome:
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
        Why it failed. Its cause is set for an unexpected error.
    """

    job: Job
    status: str
    warnings: tuple[str, ...] = ()
    error: DeepnmfError | None = None


class _Stopped(BaseException):
    """Raised inside workers to end them, never seen outside."""


@dataclass(frozen=True)
class Batch:
    """How to enhance many files.

    Attributes
    ----------
    model : Model
        Estimates the masks.
    options : FileOptions
        As for one file.
    profile : Profile or None
        Noise to learn from each recording first.
    label : str
        Identifies changes to the model, such as a learned noise profile; only compared.
    skip_existing : bool
        Whether to keep outputs recorded as made from the same input by the same model and options.
    raw : RawFormat or None
        Format of stdin (a job with the source ``-``), if it has no header.
    """

    model: Model
    options: FileOptions
    profile: Profile | None = None
    label: str = ""
    skip_existing: bool = False
    raw: RawFormat | None = None

    def run(
        self, plan: Plan, records: Records, workers: int = 1, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        """Process the jobs of a plan and yield their outcomes on completion; see :func:`run_jobs`.

        Raises
        ------
        DeepnmfError
            If another run is writing one of the outputs, or there is more than one job for the outputs of a single one.
        """
        if plan.total > 1 and self._outputs_beside():
            raise DeepnmfError("--output-noise, --output-mask and --plot are for one input file; give one")
        records.lock(((job.root, job.target) for job in plan.jobs), shared=not plan.shard.is_whole)

        def work(job: Job, progress: Progress) -> list[str]:
            return self._enhance(job, records, progress)

        return run_jobs(plan.jobs, work, workers, progress)

    def _enhance(self, job: Job, records: Records, progress: Progress) -> list[str]:
        origin = self._origin(job)
        if self.skip_existing and self._is_done(job, records, origin):
            raise AlreadyDone

        def note(temporary: Path, path: Path) -> None:
            folder = job.root if path == job.target else path.parent
            records.of(folder).add(path, file_digest(temporary) or "", origin)

        is_stdin = str(job.source) == STDIN
        model = self.model
        if self.profile is not None:
            model = self.profile.model_for(model, None if is_stdin else job.source)
        if is_stdin:
            return enhance_pipe(STDIN, str(job.target), model, self.options, self.raw, progress, note)
        return enhance_file(job.source, job.target, model, self.options, progress, note)

    def _is_done(self, job: Job, records: Records, origin: Origin) -> bool:
        return not self._outputs_beside() and records.of(job.root).is_current(job.target, origin)

    def _outputs_beside(self) -> bool:
        return any((self.options.noise, self.options.mask, self.options.picture))

    def _origin(self, job: Job) -> Origin:
        """Return the origin of the output; unique for a pipe or a model without a checksum."""
        source = (file_digest(job.source) if str(job.source) != STDIN else None) or secrets.token_hex()
        model = self.model.metadata.get("sha256") or secrets.token_hex()
        o = self.options
        shaping = (
            __version__,
            o.max_attenuation_db,
            o.independent,
            o.subtype,
            o.salvage,
            o.track,
            self.profile,
            self.label,
        )
        return Origin(source, str(model), repr(shaping))


def available_cores() -> int:
    """Return the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(jobs: Iterable[Job], work: Work, workers: int = 1, progress: Progress | None = None) -> Iterator[Outcome]:
    """Process the jobs and yield their outcomes on completion.

    Files run in threads, which gain little on recurrent networks: their many small products hold Python's lock in
    between (benchmarks/RESULTS.md), so that shards in processes are faster. If the consumer stops, or Ctrl-C is
    pressed, running jobs end at their next block and leave no file behind.

    Parameters
    ----------
    jobs : iterable of Job
        May be long: consumed lazily.
    work : callable
        Processes one job.
    workers : int
        Number of parallel files; 0 is one per core.
    progress : callable, optional
        Called after each block, from any thread, with its length in seconds.
    """
    stop = threading.Event()
    workers = workers or available_cores()

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
        unexpected = DeepnmfError(f"{job.source}: unexpected {type(cause).__name__} ({cause}); --debug shows where")
        unexpected.__cause__ = cause
        return Outcome(job, "failed", error=unexpected)
