"""Suppress the warnings that libmpg123 prints on stderr, without a file name."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import BinaryIO

STDERR = 2
_LOCK = threading.Lock()
_OWN_LINES = re.compile(rb"^(\[src/libmpg123/|Note: |Warning: |\s*$)")


@contextlib.contextmanager
def quiet_mpg123() -> Iterator[None]:
    """Capture stderr of the process, and afterwards pass on all but the lines of libmpg123.

    libsndfile has no switch for it. Where stderr is closed or no temporary file can be made, nothing is captured.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        try:
            stderr = os.dup(STDERR)
            stack.callback(os.close, stderr)
            caught = stack.enter_context(tempfile.TemporaryFile())
        except OSError:
            yield
            return
        os.dup2(caught.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(stderr, STDERR)
            _pass_on(caught)


def _pass_on(caught: BinaryIO) -> None:
    caught.seek(0)
    for line in caught:
        if not _OWN_LINES.match(line):
            os.write(STDERR, line)
