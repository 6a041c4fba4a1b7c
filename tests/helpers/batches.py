"""Batches that behave differently in the process that started them and in further ones."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from deepnmf.artifacts import atomic_path
from deepnmf.enhancement.batch import Batch
from deepnmf.enhancement.plan import Job
from deepnmf.enhancement.record import Records
from deepnmf.enhancement.stream import Progress


def wait_for(path: Path) -> None:
    """Wait until a file exists."""
    while not path.exists():
        time.sleep(0.01)


@dataclass(frozen=True)
class _Signed(Batch):
    """What happens first in a further process is marked by a file; the first process waits for it."""

    sign: Path = Path("sign")
    first: int = field(default_factory=os.getpid)


@dataclass(frozen=True)
class Mortal(_Signed):
    """A further process dies of its first file."""

    def enhance(self, job: Job, records: Records, progress: Progress) -> list[str]:
        """Process one job, or die of it."""
        if os.getpid() == self.first:
            wait_for(self.sign)
        elif not self.sign.exists():
            with atomic_path(job.target):
                self.sign.touch()
                os._exit(3)
        return super().enhance(job, records, progress)


@dataclass(frozen=True)
class Endless(_Signed):
    """A further process does not come to the end of a file other than ``0.wav``, and leaves it half written."""

    def enhance(self, job: Job, records: Records, progress: Progress) -> list[str]:  # noqa: ARG002
        """Process one job in no time, or for ever."""
        if job.source.name == "0.wav":
            return []
        if os.getpid() == self.first:
            wait_for(self.sign)
            return []
        with atomic_path(job.target):
            self.sign.touch()
            time.sleep(10**6)
        return []
