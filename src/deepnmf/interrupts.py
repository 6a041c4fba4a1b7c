"""Ctrl-C and SIGTERM: what runs is unwound, so that temporary files are removed, and ends without a traceback.

A handler raises an exception wherever Python happens to be. During an import it must not: libraries catch all
exceptions of an optional import, and torch aborts the process. There, the process ends at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
AGAIN_SECONDS = 0.02
"""Time after which a signal is sent again whose exception Python has printed and lost, as in a destructor."""

_received: list[int] = []
"""The signals so far."""
_holding: list[int] = []
"""The process of each context that holds signals back, which a fork is not."""
_held: list[int] = []
"""The signals that are held back."""
_undo: list[tuple[int, Callable[[], object]]] = []
"""What is called when the process ends at once, and the process that has asked for it, which a fork is not."""


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt`, SIGTERM and SIGHUP `SystemExit`, or end the process amid an import.

    Signals that follow are ignored while the exception of the first one unwinds. Signals that are ignored, as nohup
    sets SIGHUP, stay so. Afterwards, they do what they did before.
    """
    _received.clear()
    _held.clear()
    before: dict[int, Any] = {}
    hook = sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _stop)
        sys.unraisablehook = _send_again
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _stop:
                signal.signal(number, handler or signal.SIG_DFL)
        sys.unraisablehook = hook


@contextlib.contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` at the end of the context, also if a signal ends the process inside it."""
    entry = os.getpid(), undo
    _undo.append(entry)
    try:
        yield
    finally:
        undo()
        _undo.remove(entry)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back while processes are started, which would print a traceback if this one ended amid that.

    Ctrl-C is blocked in processes and threads started meanwhile: it is for the main process alone.
    """
    _holding.append(os.getpid())
    try:
        with _without_ctrl_c():
            yield
    finally:
        _holding.pop()
        if _held and not _holding:
            number = _held[0]
            _held.clear()
            signal.raise_signal(number)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def received() -> int | None:
    """Return the first signal so far: whatever goes wrong after it is its consequence."""
    return _received[0] if _received else None


def end_by(number: int) -> NoReturn:
    """End the process by a signal, as if it had no handler: shells report 128 + `number`, and end their loops."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # process 1 of a container, which no signal ends


def _stop(number: int, frame: FrameType | None) -> None:
    if os.getpid() in _holding:
        _held.append(number)
        return
    if _is_importing(frame):
        for process, undo in reversed(_undo):
            if process == os.getpid():
                undo()
        if number == signal.SIGINT:
            end_by(number)
        os._exit(128 + number)
    if _is_unwinding():
        return
    _received.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORT_SYSTEM:
            return True
        frame = frame.f_back
    return False


def _is_unwinding() -> bool:
    """Return whether an exception that ends the process is being handled: a signal must not interrupt the removal."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        error = error.__context__
    return error is not None


def _send_again(lost: Any) -> None:
    """Send the signal again whose exception could not be raised; print other such exceptions."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = int(signal.SIGINT)
    elif isinstance(lost.exc_value, SystemExit) and lost.exc_value.code in {128 + signal.SIGTERM, 129}:
        number = int(lost.exc_value.code) - 128
    else:
        sys.__unraisablehook__(lost)
        return
    again = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()
