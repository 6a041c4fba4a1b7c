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
    "deepnmf.cli",
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
TORCHRUN_SECONDS = 10.0
"""Time after which the ranks that go on are ended, as torchrun does."""
PATIENCE_SECONDS = 120.0
"""Time after which a process that goes on counts as one that does not end: on a busy machine, ending takes long."""


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
        with _reserved_port() as held:  # the processes keep it, too
            variables = [{}] if ranks == 1 else _ranks(ranks, held.getsockname()[1])
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

    def stop(self) -> bool:
        """Stop the processes that have been started until they are killed; return whether all were still running."""
        for process in self._processes:
            _kill(process, signal.SIGSTOP)
        how = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        ends = [os.waitid(os.P_PID, process, how) for process in self._processes]
        return all(end is not None and end.si_code == os.CLD_STOPPED for end in ends)

    def kill(self, rng: np.random.Generator | None = None) -> None:
        """Kill all processes of the run, or sometimes only one, at random, but not Python's own resource tracker."""
        if rng is not None and rng.random() < 0.7 and (found := self._without_trackers()):
            _kill(int(rng.choice(found)))
            return
        while found := self._without_trackers():  # those that have just been started, too
            for process in found:
                _kill(process)

    def _without_trackers(self) -> list[int]:
        return [process for process in processes_in(self._folder) if not _is_tracker(process)]

    def interrupt(self) -> None:
        """Send what Ctrl-C in a terminal does: SIGINT to the group, which has those that are just being started."""
        for process in self._processes:
            os.killpg(process, signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGTERM, as a scheduler does, to the processes that have been started."""
        for process in self._processes:
            _kill(process, signal.SIGTERM)

    def left_over(self) -> list[int]:
        """Return the processes that go on after the time in which they should have ended; end them.

        Ranks that still wait for one that has been killed before it could reach them are ended as torchrun does.
        """
        start = time.monotonic()
        while (found := processes_in(self._folder)) and time.monotonic() < start + PATIENCE_SECONDS:
            if len(self._processes) > 1 and time.monotonic() > start + TORCHRUN_SECONDS:
                self.terminate()
            time.sleep(0.05)
        for process in found:
            _kill(process)
        return found


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working folder this is: a run, its workers, and theirs, less those that have ended."""
    wanted, found = str(folder.resolve()), []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(path) == wanted:  # noqa: PTH115 - not a path yet
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


def _reserved_port() -> socket.socket:
    """Return a socket that keeps a port of this machine free for a process, which can listen on it meanwhile."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torch does for its own
    held.bind(("127.0.0.1", 0))
    return held


def _ranks(count: int, port: int) -> list[dict[str, str]]:
    """Return the variables that torchrun sets for each of its processes."""
    group: dict[str, Any] = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    group |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{k: str(v) for k, v in {**group, "RANK": rank, "LOCAL_RANK": rank}.items()} for rank in range(count)]


def _fork(
    line: list[str], folder: Path, errors: int, variables: Mapping[str, str], before: Callable[[], object] | None
) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    ready, is_ready = os.pipe()
    process = os.fork()
    if process:
        os.close(is_ready)
        os.read(ready, 1)  # waits until it is closed there: then the process has the folder and the group
        os.close(ready)
        return process
    code: Any = 0
    try:
        os.close(ready)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends it without a traceback until the command runs
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(errors, 2)
        os.environ.update(variables, TMPDIR=str(folder / "tmp"))
        tempfile.tempdir = None
        if before is not None:
            before()
        os.close(is_ready)
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
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    multiprocessing.util._exit_function()  # type: ignore[attr-defined]
    threading._shutdown()  # type: ignore[attr-defined]
    sys.stderr.flush()
    return code if isinstance(code, int) else 1
