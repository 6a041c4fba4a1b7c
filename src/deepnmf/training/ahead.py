"""Training data computed ahead in worker processes, in order."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.util
import sys
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import DeepnmfError
from ..interrupts import held_back
from ..spawned import end_with_parent, spawning

T = TypeVar("T")

PREFETCHED = 3
"""Items that each worker computes ahead."""


class _Items(Dataset[T | DeepnmfError], Generic[T]):
    """The items that a function returns, by their numbers."""

    def __init__(self, item: Callable[[int], T], count: int) -> None:
        self._item, self._count = item, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> T | DeepnmfError:
        if number >= self._count:
            raise IndexError(number)
        try:
            return self._item(number)
        except DeepnmfError as error:
            return error  # raised there, it would lose its type and gain a traceback


def ahead(item: Callable[[int], T], count: int, workers: int, pinned: bool = False) -> Iterator[T]:
    """Yield ``item(0)`` to ``item(count - 1)``, in order, whatever the number of workers.

    Parameters
    ----------
    item : callable
        Returns tuples and lists of arrays, which come back as tensors in shared memory. It is pickled where processes
        are not forked.
    count : int
        Number of items.
    workers : int
        Processes, each with one thread; 0 computes the items here.
    pinned : bool
        Whether the tensors are in memory from which they reach a GPU without waiting.

    Raises
    ------
    DeepnmfError
        What `item` raises, or if a worker is killed.
    """
    if workers:
        multiprocessing.util.get_temp_dir()  # theirs, too: a worker that is killed cannot remove one of its own
    are_copies = multiprocessing.get_start_method() == "fork"
    items: DataLoader[T | DeepnmfError] = DataLoader(
        _Items(item, count),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=None if are_copies or not workers else spawning(),
        worker_init_fn=_start_worker,
        prefetch_factor=PREFETCHED if workers else None,
        pin_memory=pinned and torch.cuda.is_available(),
    )
    with killed_workers_named():
        with held_back():
            found_in_order = iter(items)
        for found in found_in_order:
            if isinstance(found, DeepnmfError):
                raise found
            yield found


@contextlib.contextmanager
def killed_workers_named() -> Iterator[None]:
    """Raise `DeepnmfError` when a worker is killed: torch raises its error in a signal handler, whatever runs then."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DeepnmfError(
            "a worker process was killed, often because memory ran out; resume with fewer workers"
        ) from None


def _start_worker(_: int) -> None:
    sys.excepthook = lambda *_: None  # of the thread that passes memory on, once the other process is gone
    end_with_parent()  # torch would notice after five seconds, and keep the connections of the process for so long
