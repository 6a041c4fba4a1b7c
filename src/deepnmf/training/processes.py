"""The processes of a training run: one, or as many as torchrun has started, which share every batch (rank 0 writes).

This module imports no torch; :mod:`deepnmf.training.group` joins several processes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError
from ..nmf.partition import Partition
from ..shards import environment_number, rank_shard

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

HIGHEST_PORT = 65535


class Processes(Partition):
    """The processes of a run, from the view of one of them; this class is a run of a single process.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    device : str
        The torch device of this process.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: str = "cpu") -> None:
        super().__init__(rank, size)
        self.device = device

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""

    def wait(self) -> None:
        """Wait until all processes have come here."""

    def only_first(self, report: Callable[[str], None]) -> Callable[[str], None]:
        """Return the function in process 0, one that does nothing in others."""
        return (lambda _: None) if self.rank else report

    def first_alone(self, function: Callable[[], T]) -> T:
        """Call `function` in each process, first in process 0, which may write files; return its result."""
        return function()

    def from_first(self, function: Callable[[], T]) -> T:
        """Call `function` in process 0 alone, while the others wait; return its result in all."""
        return function()


ALONE = Processes()
"""A run of one process on the CPU."""
_current = ALONE


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[Processes]:
    """Join the processes that torchrun has started, until the context ends; without torchrun there is one.

    A context inside another is the same group. While it lasts, only process 0 prints. An error in one process ends
    all of them: process 0 prints it, with the rank unless it is its own.

    Parameters
    ----------
    device : str
        A torch device; ``"cuda"`` is the GPU with the local number of each process.

    Raises
    ------
    InputError
        If the variables that torchrun sets are incomplete or invalid, or the others cannot be reached.
    """
    global _current
    own = rank_shard()
    if _current.size > 1:
        yield _current
    elif own.is_whole:
        yield Processes(device=device)
    else:
        _check_variables(own.count)
        from .group import group_of  # torch takes seconds to import

        with group_of(own.index, own.count, device) as _current:
            try:
                yield _current
            finally:
                _current = ALONE


def _check_variables(size: int) -> None:
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]:
        raise InputError(
            f"WORLD_SIZE is {size}, but {' and '.join(missing)} not set: start the processes with torchrun, or unset "
            "WORLD_SIZE for a run of one process"
        )
    if not 1 <= (port := environment_number("MASTER_PORT", os.environ)) <= HIGHEST_PORT:
        raise InputError(f"MASTER_PORT must be a port from 1 to {HIGHEST_PORT}, not {port}; set that of process 0")
    environment_number("LOCAL_RANK", os.environ, "0")
