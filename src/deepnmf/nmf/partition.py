"""Data that several processes hold in parts, and the sums over all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Partition:
    """The parts of data in the order of their processes, from the view of one; this class is data in one part.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of an array over the processes."""
        return array

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items of this process; those of all processes, in order of rank, are the items.

        Examples
        --------
        >>> [Partition(rank, 3).share("abcde") for rank in range(3)]
        ['a', 'bc', 'de']
        """
        first, stop = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return items[first:stop]

    def total(self, own: float) -> float:
        """Return the sum of a number over the processes."""
        return float(self.sum(np.array(own, np.float64)))

    def count(self, own: int) -> int:
        """Return the sum of a count over the processes."""
        return int(self.sum(np.array(own, np.int64)))

    def highest(self, values: np.ndarray) -> float:
        """Return the greatest of the values ``(n,)`` of all processes, 0 if there are none."""
        return float(self.gathered(values.max(initial=0)[None]).max())

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """Return vectors ``(n,)`` of any lengths, joined in order of rank."""
        first, total = self._place(len(values))
        whole = np.zeros(total, values.dtype)
        whole[first : first + len(values)] = values
        return self.sum(whole)

    def rows(self, X: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return rows of a matrix whose rows are held in parts, of which `X` is this one, by their numbers in all."""
        own = indices - self._place(len(X))[0]
        chosen = np.zeros((len(indices), X.shape[1]), X.dtype)
        held = (own >= 0) & (own < len(X))
        chosen[held] = X[own[held]]
        return self.sum(chosen)

    def _place(self, count: int) -> tuple[int, int]:
        """Return where the part of this process begins, and how many all parts have together."""
        counts = np.zeros(self.size, np.int64)
        counts[self.rank] = count
        ends = np.cumsum(self.sum(counts))
        return int(ends[self.rank]) - count, int(ends[-1])


WHOLE = Partition()
"""Data in one part."""
