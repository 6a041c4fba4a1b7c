"""Processes that are started anew, and import the script that calls only if what they get refers to it.

By default, multiprocessing imports that script in each of them. A script without a guard would start processes again
there, and one from stdin or a notebook cannot be imported.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import multiprocessing.spawn
import multiprocessing.util
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import InputError

UNGUARDED = 77
"""Exit code of a process in which the script that calls would start processes again."""
GUARD = 'if __name__ == "__main__":'

_preparing = threading.Lock()


class _Process(multiprocessing.context.SpawnProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802 - of multiprocessing
        with _without_script():
            return multiprocessing.context.SpawnProcess._Popen(process)


class _Context(multiprocessing.context.SpawnContext):
    Process = _Process


def spawning(needed: Any = None) -> multiprocessing.context.SpawnContext:
    """Return the context in which to start processes that get `needed`.

    Fork would copy locked thread pools, and not all systems have it.

    Raises
    ------
    InputError
        If `needed` cannot be sent to another process.
    """
    try:
        sent = pickle.dumps(needed)
    except Exception as error:  # of any class that is not made for it
        raise InputError(
            f"several jobs: a process cannot get what is not defined at the top level of a module ({error}); "
            "define it there, or use one job"
        ) from None
    if b"__main__" not in sent:
        return _Context()
    if not _script_can_be_imported():
        raise InputError(
            "several jobs: each process imports what is defined in the program, which is from stdin, a notebook or a "
            "command line; define it in a module, or use one job"
        )
    return multiprocessing.get_context("spawn")


def end_if_unguarded() -> None:
    """End this process, if it is one that imports the script that calls, before the script starts processes again."""
    if getattr(multiprocessing.process.current_process(), "_inheriting", False):
        os._exit(UNGUARDED)


def end_with_parent() -> None:
    """Let this process of multiprocessing end as soon as its parent does, which cannot stop it when it is killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def leave() -> None:
        parent.join()
        shutil.rmtree(multiprocessing.util.get_temp_dir(), ignore_errors=True)  # sockets that pass memory on
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


def _script_can_be_imported() -> bool:
    script: Any = sys.modules["__main__"]
    if getattr(script, "__spec__", None) is not None:  # `python -m`
        return True
    return Path(getattr(script, "__file__", None) or "").is_file()


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Leave the script out of what a process of multiprocessing imports."""
    with _preparing:
        whole = multiprocessing.spawn.get_preparation_data

        def without(name: str) -> dict[str, Any]:
            return {key: value for key, value in whole(name).items() if not key.startswith("init_main")}

        multiprocessing.spawn.get_preparation_data = without
        try:
            yield
        finally:
            multiprocessing.spawn.get_preparation_data = whole
