"""Binary pairwise Markov random fields on sparse graphs, as tables of neighbours (docs/model.md §5).

    p(x) ∝ exp( Σ_i b_i x_i + Σ_(i,j) A_ij x_i x_j ),   x ∈ {0, 1}^n

Shapes: unary logits ``b`` (n, N), one column for each frame; couplings as a table (n, d), for each of the n units one
entry from each of its d neighbours; messages (n, d, N).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...dsp.arrays import AnyArray, array_namespace
from ...errors import DeepnmfError


@dataclass(frozen=True)
class Graph:
    """An undirected graph of n units of at most d neighbours. A slot is an edge seen from one of its ends.

    Attributes
    ----------
    neighbours : ndarray
        ``(n, d)``: the unit at the other end of each slot. A slot without an edge points back to its own unit, with
        a coupling of 0.
    reverse : ndarray
        ``(n, d)``: the flat index of the slot at the other end.
    edges : ndarray
        ``(n, d)``: the number of each slot's edge; that of a slot without one is the number of edges.
    """

    neighbours: np.ndarray
    reverse: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, units: int, edges: Sequence[tuple[int, int]]) -> Graph:
        """Build the tables of a graph of `units` units from pairs of units, each pair once."""
        slots: list[list[tuple[int, int]]] = [[] for _ in range(units)]
        for edge, (i, j) in enumerate(edges):
            slots[i].append((j, edge))
            slots[j].append((i, edge))
        degree = max(1, *map(len, slots))
        neighbours = np.repeat(np.arange(units)[:, None], degree, axis=1)
        numbers = np.full((units, degree), len(edges))
        reverse = np.arange(units * degree).reshape(units, degree)
        place = {(i, edge): i * degree + k for i, row in enumerate(slots) for k, (_, edge) in enumerate(row)}
        for i, row in enumerate(slots):
            for k, (j, edge) in enumerate(row):
                neighbours[i, k], numbers[i, k], reverse[i, k] = j, edge, place[j, edge]
        return cls(neighbours, reverse, numbers)

    def table(self, couplings: AnyArray) -> AnyArray:
        """Return the symmetric couplings ``(edges,)`` as a table ``(n, d)``."""
        return _or_zero(couplings)[self.edges]

    def matrix(self, table: AnyArray) -> AnyArray:
        """Return a table of couplings ``(n, d)`` as a matrix ``(n, n)``; row i holds those into unit i."""
        n, d = self.neighbours.shape
        slots = np.full((n, n), n * d)
        slots[np.arange(n)[:, None], self.neighbours] = np.arange(n * d).reshape(n, d)
        return _or_zero(table.reshape(n * d))[slots]


def _or_zero(values: AnyArray) -> AnyArray:
    """Return values ``(size,)`` with a zero appended, which an index of `size` selects."""
    return array_namespace(values).concatenate([values, 0 * values[:1]])


@functools.lru_cache
def grid(units: int) -> Graph:
    """Return a square grid closed into a helix: unit i beside i ± 1 and i ± √n, modulo n, so all have 4 neighbours.

    Raises
    ------
    DeepnmfError
        If there are fewer than 5 units.

    Examples
    --------
    >>> sorted(grid(100).neighbours[0].tolist())
    [1, 10, 90, 99]
    """
    if units < 5:
        raise DeepnmfError(f"a grid needs at least 5 units, not {units}; raise network.units")
    return Graph.of(units, [(i, (i + step) % units) for step in (1, round(units**0.5)) for i in range(units)])
