"""How the process behaves: threads of the numeric libraries, termination, and streams that are closed or full."""

from __future__ import annotations

import codecs
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_threads(count: int) -> None:
    """Set the number of threads of matrix products, before NumPy and torch start their pools.

    Small operations crawl when pools compete.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)


def one_thread_per_worker() -> None:
    """Let each file's matrix products run on one thread, unless the user has set a number; call before NumPy loads.

    The products of one recording are small: the synchronisation of threads costs more than it gains, and many times
    more on a busy machine. Several files at a time use several cores.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def plot_into_files() -> None:
    """Let matplotlib load no library for windows: the one that the environment names may be missing here."""
    os.environ["MPLBACKEND"] = "agg"


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Exclude imported objects from garbage collection, during imports and later: a tenth of the start-up time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def is_first_process() -> bool:
    """Return whether this is the first of the processes that torchrun has started, or the only one."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0").strip() == "0"


def occupy_closed_descriptors() -> None:
    """Open the null device in place of closed standard streams.

    The next file would get their number, and receive the messages of libraries.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def accept_any_name() -> None:
    """Let stdout print names that it cannot encode: undecodable bytes unchanged, others escaped, as on stderr."""
    codecs.register_error("deepnmf", _encode_odd)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="deepnmf")


def _encode_odd(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(error)


def print_line(text: object = "") -> None:
    """Print on stdout; a reader that hangs up, such as `head`, does not stop the work."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence(sys.stdout)


def silence(stream: Any) -> None:
    """Redirect the buffered rest of a stream to the null device, so that the flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
