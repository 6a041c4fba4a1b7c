"""Runs of the command line as processes of their own, forked from one that has imported everything; Linux alone.

Most of the time of a tiny training goes into imports, in which there is little to disturb.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import multiprocessing.util
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

IMPORTED = (
    "deepnmf.training.loop",
    "deepnmf.training.dev_table",
    "deepnmf.training.group",
    "deepnmf.enhancement.batch",
    "fast_bss_eval",
    "librosa",
    "pystoi",
    "soxr",
)
"""What the commands import when they need it."""
PATIENCE_SECONDS = 20.0
"""Time in which the processes of a run must have ended after it."""


class Run:
    """A run of the command line by one process, or by several as torchrun starts them.

    Parameters
    ----------
    line : list of str
        Arguments.
    folder : Path
        Its working folder, by which its processes are found; temporary files are in ``tmp`` in it.
    ranks : int
        Number of processes.
    before : callable, optional
        Called in each process before the command.
    """

    def __init__(
        self, line: list[str], folder: Path, ranks: int = 1, before: Callable[[], object] | None = None
    ) -> None:
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        for name in IMPORTED:
            importlib.import_module(name)
        self._folder = folder
        self._errors, errors = os.pipe()  # no file, which a full disk would cut
        variables = [{}] if ranks == 1 else _ranks(ranks)
        self._processes = [_fork(line, folder, errors, own, before) for own in variables]
        os.close(errors)

    def wait(self) -> tuple[int, str]:
        """Return the exit code, of several one that is not 0, and what was printed on stderr."""
        codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in self._processes]
        os.set_blocking(self._errors, False)  # a process that goes on may keep the other end open
        found = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._errors, 2**16):
                found += part
        os.close(self._errors)
        return max(codes, key=abs), found.decode(errors="replace")

    def has_ended(self) -> bool:
        """Return whether no process runs any more."""
        return not processes_in(self._folder)

    def kill(self, rng: np.random.Generator | None = None) -> None:
        """Kill all processes of the run, or sometimes only one, at random, but not Python's own resource tracker."""
        found = [process for process in processes_in(self._folder) if not _is_tracker(process)]
        one = rng is not None and found and rng.random() < 0.7
        for process in [int(rng.choice(found))] if rng is not None and one else found:
            _kill(process)

    def interrupt(self) -> None:
        """Send what Ctrl-C in a terminal does: SIGINT to all processes of the run."""
        for process in processes_in(self._folder):
            _kill(process, signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGTERM, as a scheduler does, to the processes that have been started."""
        for process in self._processes:
            _kill(process, signal.SIGTERM)

    def left_over(self) -> list[int]:
        """Return the processes that go on after the time in which they should have ended; end them.

        Ranks that still wait for one that has been killed before it could reach them are ended as torchrun does.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := processes_in(self._folder)) and time.monotonic() < end:
            if len(self._processes) > 1 and time.monotonic() > end - PATIENCE_SECONDS / 2:
                self.terminate()
            time.sleep(0.05)
        for process in found:
            _kill(process)
        return found


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working folder this is: a run, its workers, and theirs."""
    wanted, found = str(folder.resolve()), []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(path) == wanted and (path.parent / "cmdline").read_bytes():  # noqa: PTH115 - not a path yet
                found.append(int(path.parent.name))
        except OSError:
            continue
    return sorted(found)


def _is_tracker(process: int) -> bool:
    with contextlib.suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _kill(process: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _ranks(count: int) -> list[dict[str, str]]:
    """Return the variables that torchrun sets for each of its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    group: dict[str, Any] = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1"}
    group["MASTER_PORT"] = port
    return [{k: str(v) for k, v in {**group, "RANK": rank, "LOCAL_RANK": rank}.items()} for rank in range(count)]


def _fork(
    line: list[str], folder: Path, errors: int, variables: Mapping[str, str], before: Callable[[], object] | None
) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    code: Any = 0
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(errors, 2)
        os.environ.update(variables, TMPDIR=str(folder / "tmp"))
        tempfile.tempdir = None
        if before is not None:
            before()
        code = _main(line)
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)


def _main(line: list[str]) -> int:
    """Run the command line, and at its end what a process of multiprocessing runs."""
    from deepnmf.cli import main

    atexit._clear()  # of the process that has forked: it would delete its temporary folder
    sys.argv = ["deepnmf", *line]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    multiprocessing.util._exit_function()
    threading._shutdown()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1
