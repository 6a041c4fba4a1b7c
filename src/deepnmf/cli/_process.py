"""How the process behaves: threads of the numeric libraries, termination, and streams that are closed or full."""

from __future__ import annotations

import codecs
import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import unprinted

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


class StandardStream(io.TextIOWrapper):
    """Stdout or stderr whose failure stops no work: a reader that hangs up, such as `head`, or a full disk.

    The latter, of stdout, is an error at the end: :func:`stdout_failure`.
    """

    failure: str | None = None

    def write(self, text: str) -> int:
        """Write text; after a failure it is dropped."""
        with self._given_up_if_it_fails():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with self._given_up_if_it_fails():
            super().flush()

    @contextlib.contextmanager
    def _given_up_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            silence(self)
            if not isinstance(error, BrokenPipeError):
                self.failure = unprinted(error)


def open_streams() -> None:
    """Let stdout and stderr stop no work, and print names that they cannot encode.

    Of these, stdout prints undecodable bytes unchanged and escapes other characters, as stderr does.
    """
    codecs.register_error("deepnmf", _encode_odd)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            options = stream.encoding, stream.errors, None, stream.line_buffering, stream.write_through
            setattr(sys, name, StandardStream(stream.buffer, *options))
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="deepnmf")


def stdout_failure() -> str | None:
    """Flush stdout, rather than at exit; return why anything could not be printed on it, None if all was."""
    if sys.stdout is not None:
        sys.stdout.flush()
    return getattr(sys.stdout, "failure", None)


def _encode_odd(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(error)


def print_line(text: object = "") -> None:
    """Print on stdout at once."""
    print(text, flush=True)


def silence(stream: Any) -> None:
    """Redirect the buffered rest of a stream to the null device, so that the flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
