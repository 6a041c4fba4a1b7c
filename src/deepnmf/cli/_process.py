"""How the process behaves: threads of the numeric libraries, and termination."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread_per_worker() -> None:
    """Let each file's matrix products run on one thread, unless the user has set a number; call before NumPy loads.

    The products of one recording are small: threads that wait for each other cost more than they bring, and on a busy
    machine many times more. Several files at a time use several cores.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def stop_on_sigterm() -> None:
    """Let SIGTERM unwind the program, as Ctrl-C does, so that temporary files are removed."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _: Any) -> None:
    sys.exit(128 + number)
