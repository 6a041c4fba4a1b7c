"""Waiting for states, on machines however slow and busy."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 1800
"""Time after which a program counts as one that never ends; none that works comes near it."""


def wait_until(condition: Callable[[], object], *processes: subprocess.Popen[Any]) -> None:
    """Wait until a condition holds; fail if one of the processes ends before."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        for process in processes:
            assert process.poll() is None or condition(), process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def reserved_port() -> socket.socket:
    """Return a socket that keeps a port of this machine free for a process, which can listen on it meanwhile."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torch does for its own
    held.bind(("127.0.0.1", 0))
    return held
