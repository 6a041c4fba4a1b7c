"""Split of a list of work over processes and machines: by `--shard`, by the rank of torchrun, by a Slurm array."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import InputError

T = TypeVar("T")

SLURM = "slurm"
"""Value of `--shard` that takes the part of a task of a Slurm array."""
MOST_SHARDS = 1_000_000


@dataclass(frozen=True)
class Shard:
    """One part of a list of work that is split over processes.

    The parts of one list are disjoint, hold all of it, and differ in length by one item at most.

    Attributes
    ----------
    index : int
        Which part, from 0.
    count : int
        Number of parts.

    Examples
    --------
    >>> [Shard(index, 3).of("abcde") for index in range(3)]
    [['a', 'd'], ['b', 'e'], ['c']]
    >>> print(Shard(0, 3))
    1/3
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count <= MOST_SHARDS:
            raise InputError(
                f"shard {self.index + 1}/{self.count}: there are 1 to {MOST_SHARDS:,} parts, counted from 1: 2/4"
            )

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the work."""
        return self.count == 1

    def of(self, items: Sequence[T]) -> list[T]:
        """Return the items of this part, in their order."""
        return list(items[self.index :: self.count])

    def within(self, outer: Shard) -> Shard:
        """Return this part of a part: ``inner.within(outer).of(x) == inner.of(outer.of(x))``."""
        return Shard(outer.index + outer.count * self.index, outer.count * self.count)

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"


WHOLE = Shard()
"""All of the work."""


def choose_shard(text: str | None = None, environment: Mapping[str, str] | None = None) -> Shard:
    """Return the part of the work of this process.

    Parameters
    ----------
    text : str, optional
        ``"2/4"``, the second of four parts, or ``"slurm"``, that of this task of a Slurm array. Several processes that
        torchrun starts (`RANK`, `WORLD_SIZE`) share that part, or all of the work without it.
    environment : mapping, optional
        Environment variables; those of the process by default.

    Raises
    ------
    InputError
        If `text` is not a part, or variables of torchrun or Slurm are missing or invalid.

    Examples
    --------
    >>> choose_shard("2/4", {})
    Shard(index=1, count=4)
    >>> choose_shard(None, {"RANK": "1", "WORLD_SIZE": "2"})
    Shard(index=1, count=2)
    >>> choose_shard(None, {})
    Shard(index=0, count=1)
    """
    environment = os.environ if environment is None else environment
    return rank_shard(environment).within(_given(text, environment))


def rank_shard(environment: Mapping[str, str] | None = None) -> Shard:
    """Return the part of this process among those that torchrun has started, all of the work without torchrun.

    Raises
    ------
    InputError
        If `RANK` and `WORLD_SIZE` are not valid numbers.
    """
    environment = os.environ if environment is None else environment
    if not {"RANK", "WORLD_SIZE"} <= environment.keys():
        return WHOLE
    rank, size = (environment_number(name, environment) for name in ("RANK", "WORLD_SIZE"))
    if not 0 <= rank < size:
        raise InputError(f"RANK={rank} is not below WORLD_SIZE={size}; start with torchrun, or unset them")
    return Shard(rank, size)


def _given(text: str | None, environment: Mapping[str, str]) -> Shard:
    if text is None:
        return WHOLE
    if text == SLURM:
        return _slurm_shard(environment)
    if not (match := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())):
        raise InputError(f"shard {text!r}: give the part and their number, such as 2/4, or {SLURM}")
    return Shard(int(match[1]) - 1, int(match[2]))


def _slurm_shard(environment: Mapping[str, str]) -> Shard:
    """Return the part of a task of an array of equal steps; of others, the index of a task is unknown."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        raise InputError(f"shard {SLURM}: SLURM_ARRAY_TASK_ID is not set; submit with sbatch --array, or give I/N")
    task, first, count, step = (
        environment_number(f"SLURM_ARRAY_TASK_{name}", environment, default)
        for name, default in (("ID", None), ("MIN", None), ("COUNT", None), ("STEP", "1"))
    )
    index, rest = divmod(task - first, max(1, step))
    if rest or not 0 <= index < count:
        raise InputError(f"shard {SLURM}: its array is not a range of {count} tasks from {first}; give I/N instead")
    return Shard(index, count)


def environment_number(name: str, environment: Mapping[str, str], default: str | None = None) -> int:
    """Return the value of an environment variable that is a whole number.

    Raises
    ------
    InputError
        If it is not one, or is not set and has no default.
    """
    text = environment.get(name, default)
    if text is None:
        raise InputError(f"{name} is not set; it must be a whole number")
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise InputError(f"{name} must be a whole number, not {text!r}")
    return int(text)
