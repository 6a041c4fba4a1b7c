"""Silence for libmpg123, which prints what it dislikes about an MP3 on stderr, without the name of the file."""

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
    """Hold back what the process writes to stderr, and afterwards pass on what is not libmpg123's.

    libsndfile has no switch for it. Where stderr is closed or no temporary file can be made, nothing is held back.
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
