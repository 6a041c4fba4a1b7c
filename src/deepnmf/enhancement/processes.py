"""Further processes that take part in a batch: threads would wait for Python's lock between a recurrence's products.

A process is started by its command, never forked: the same on all systems, whatever threads there are, and without a
guard in the script that calls the library.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, cast

from ..artifacts import remove_abandoned, remove_temporaries
from ..errors import DeepnmfError
from .outcome import Outcome
from .plan import Job
from .stream import Progress
from .worker import Reply

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Of the matrix products of each process, unless the user has set a number."""
END_SECONDS = 2.0
"""After this time, a process that was sent SIGTERM is killed."""
WAIT_SECONDS = 0.5
"""Longest wait in one piece: on Windows, Ctrl-C takes effect after it."""

Task = tuple[int, Job]
"""A job and its number."""


class Process:
    """A :mod:`.worker`; :meth:`open` comes first.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self) -> None:
        if getattr(sys, "frozen", False):
            raise OSError("the program is not an interpreter")
        code = f"import sys; sys.path[:] = {sys.path!r}; from deepnmf.enhancement.worker import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, f"-Xutf8={sys.flags.utf8_mode}", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**THREADS, **os.environ},
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows: Ctrl-C is not for it
        )
        self._job: Job | None = None

    def open(self, batch: bytes) -> None:
        """Send the pickled batch.

        Raises
        ------
        EOFError, OSError
            If the process has died.
        """
        self._send(batch)
        self._receive()

    def enhance(self, job: Job, progress: Progress) -> Reply:
        """Have a file enhanced.

        Raises
        ------
        EOFError, OSError
            If the process has died.
        """
        remove_abandoned(job.target.parent)
        self._job = job
        self._send(pickle.dumps(job))
        while isinstance(answer := self._receive(), float):
            progress(answer)
        self._job = None
        return cast("Reply", answer)

    def stop(self) -> None:
        """End it: at once if it is idle, else after it has removed its unfinished output."""
        if self._job is None:
            self._process.kill()
        else:
            self._process.terminate()

    def join(self) -> str:
        """Wait until it has ended, remove its unfinished output, and return how it ended."""
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._job is not None:
            remove_temporaries(self._job.target.parent, self._process.pid)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("Any", pipe).close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _send(self, message: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(message)
        pipe.flush()

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)


class Processes:
    """Processes that take tasks from a queue, each with a thread that waits for it.

    Parameters
    ----------
    batch : object
        What :mod:`.worker` needs; it is pickled.
    count : int
        How many. If one cannot be started, there are fewer.
    tasks : deque of Task
        From which they take; shared with the thread that calls.
    progress : callable
        Called after each block, from any thread, with its length in seconds.

    """

    def __init__(self, batch: Any, count: int, tasks: deque[Task], progress: Progress) -> None:
        self._results: SimpleQueue[tuple[int, Reply] | BaseException] = SimpleQueue()
        self._batch, self._tasks, self._progress = pickle.dumps(batch), tasks, progress
        self._running: set[Process] = set()
        self._ended, self._lock = False, threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self) -> Processes:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True
            for process in self._running:
                process.stop()
        for thread in self._threads:
            thread.join()

    def replies(self, wait: bool) -> Iterator[tuple[int, Reply]]:
        """Yield the number of each task that is finished, with its reply; if `wait`, for a moment until there is one.

        Raises
        ------
        BaseException
            That of `progress`.
        """
        with contextlib.suppress(Empty):
            while True:
                found = self._results.get(wait, WAIT_SECONDS)
                if isinstance(found, BaseException):
                    raise found
                yield found
                wait = False

    def _run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # Ctrl-C is for the main thread; child processes inherit this
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            while not self._ended and self._tasks and self._work_with_one():
                pass
        except BaseException as error:
            self._results.put(error)

    def _work_with_one(self) -> bool:
        """Work with a process until it dies or the tasks are done; return whether it has worked."""
        try:
            process = self._start()
        except OSError:
            return False
        task = None
        try:
            process.open(self._batch)
            while task := take(self._tasks):
                self._results.put((task[0], process.enhance(task[1], self._progress)))
            process.stop()
        except (EOFError, OSError):  # it has died
            pass
        except BaseException:
            process.stop()
            raise
        finally:
            how = process.join()
            with self._lock:
                self._running.discard(process)
        if task is not None and not self._ended:
            self._results.put((task[0], Reply(died(task[1], how), [])))
        return task is not None

    def _start(self) -> Process:
        with self._lock:
            if self._ended:
                raise OSError("no more processes are started")
            process = Process()
            self._running.add(process)
            return process


def take(tasks: deque[Task]) -> Task | None:
    """Return the next task, if there is one; other threads may take, too."""
    try:
        return tasks.popleft()
    except IndexError:
        return None


def died(job: Job, how: str) -> Outcome:
    """Return the outcome of a job whose process has died."""
    reason = f"the process that enhanced it has ended ({how}), perhaps because memory ran out; enhance it on its own"
    return Outcome(job, "failed", error=DeepnmfError(f"{job.source}: {reason}"))
