"""Batch processing: files in parallel processes, errors isolated to their file, clean interruption."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..audio.inputs import STDIN
from ..errors import DeepnmfError
from ..model import Model
from .files import FileOptions, enhance_file
from .outcome import AlreadyDone, Outcome, Work, outcome_of
from .plan import Job, Plan
from .processes import Processes, Task, take
from .profile import Profile
from .record import Origin, Records, file_digest
from .stdio import RawFormat, enhance_pipe
from .stream import Progress


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
        """Process the jobs of a plan and yield their outcomes in its order.

        If the consumer stops, or Ctrl-C is pressed, running jobs end and leave no file behind.

        Parameters
        ----------
        plan : Plan
            Jobs.
        records : Records
            Of the folders of the outputs.
        workers : int
            Number of parallel files, one in this process and each other one in a process of its own; 0 is one per core.
        progress : callable, optional
            Called after each block, from any thread, with its length in seconds.

        Raises
        ------
        DeepnmfError
            If another run is writing one of the outputs, or there is more than one job for the outputs of a single one.
        """
        if plan.total > 1 and self._outputs_beside():
            raise DeepnmfError("files of the removed noise, of the mask and of the plot are for one input; give one")
        records.lock(((job.root, job.target) for job in plan.jobs), shared=not plan.shard.is_whole)

        def work(job: Job, progress: Progress) -> list[str]:
            return self.enhance(job, records, progress)

        progress = progress or _ignored
        count = min(workers or available_cores(), len(plan.jobs))
        if count > 1:
            return _run_in_processes(self, plan.jobs, work, records, count, progress)
        return (outcome_of(job, work, progress) for job in plan.jobs)  # in this thread, where Ctrl-C arrives

    def enhance(self, job: Job, records: Records, progress: Progress) -> list[str]:
        """Process one job and record its output; return warnings.

        Raises
        ------
        AlreadyDone
            If that is so, and existing outputs are kept.
        """
        origin = self._origin(job)
        if self.skip_existing and self._is_done(job, records, origin):
            raise AlreadyDone

        def note(temporary: Path, path: Path) -> None:
            folder = job.root if path == job.target else path.parent
            records.of(folder).add(path, file_digest(temporary) or "", origin)

        is_stdin = str(job.source) == STDIN
        model, warnings = self.model, list[str]()
        if self.profile is not None:
            model, warnings = self.profile.model_for(model, None if is_stdin else job.source)
        if is_stdin:
            return warnings + enhance_pipe(STDIN, str(job.target), model, self.options, self.raw, progress, note)
        return warnings + enhance_file(job.source, job.target, model, self.options, progress, note)

    def _is_done(self, job: Job, records: Records, origin: Origin) -> bool:
        return not self._outputs_beside() and records.of(job.root).is_current(job.target, origin)

    def _outputs_beside(self) -> bool:
        return any((self.options.noise, self.options.mask, self.options.picture))

    def _origin(self, job: Job) -> Origin:
        """Return the origin of the output; unique for a pipe or a model without a checksum."""
        source = (file_digest(job.source) if str(job.source) != STDIN else None) or os.urandom(32).hex()
        model = self.model.metadata.get("sha256") or os.urandom(32).hex()
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


def _run_in_processes(
    batch: Batch, jobs: list[Job], work: Work, records: Records, count: int, progress: Progress
) -> Iterator[Outcome]:
    """Process the jobs in this and further processes; yield their outcomes in the order of the jobs."""
    tasks, own = deque[Task](), deque[Task]()
    for number, job in enumerate(jobs):
        (tasks if _opens_anywhere(job.source) else own).append((number, job))
    finished: dict[int, Outcome] = {}
    with Processes(batch, min(count - 1, len(tasks)), tasks, progress) as others:
        for due in range(len(jobs)):
            while due not in finished:
                if task := take(own) or take(tasks):
                    finished[task[0]] = outcome_of(task[1], work, progress)
                for number, reply in others.replies(wait=task is None):
                    finished[number] = reply.outcome
                    records.add_unrecorded(reply.unrecorded)
            yield finished.pop(due)


def _opens_anywhere(path: Path) -> bool:
    """Whether another process would open the same: not a FIFO, a device or one of this process's descriptors."""
    return path.is_file() and not os.path.abspath(path).startswith(("/dev/", "/proc/"))  # noqa: PTH100


def _ignored(_: float) -> None:
    pass
