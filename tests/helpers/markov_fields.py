"""Random binary Markov random fields, and their exact marginals by enumeration."""

from __future__ import annotations

import itertools

import numpy as np

from deepnmf.networks.unfolded.graph import Graph

Edges = list[tuple[int, int]]


def tree(units: int, rng: np.random.Generator) -> Edges:
    """Return the edges of a random tree whose units have random numbers."""
    names = rng.permutation(units)
    return [(int(names[rng.integers(i)]), int(names[i])) for i in range(1, units)]


def lattice(rows: int, columns: int) -> Edges:
    """Return the edges of an open grid."""
    units = np.arange(rows * columns).reshape(rows, columns)
    pairs = [(units[:, :-1], units[:, 1:]), (units[:-1], units[1:])]
    return [(int(i), int(j)) for a, b in pairs for i, j in zip(a.ravel(), b.ravel(), strict=True)]


def field(
    units: int, edges: Edges, rng: np.random.Generator, strength: float = 2.0, frames: int = 3
) -> tuple[Graph, np.ndarray, np.ndarray, np.ndarray]:
    """Return a graph, unary logits ``(units, frames)``, couplings ``(edges,)`` and their table."""
    graph = Graph.of(units, edges)
    couplings = strength * rng.standard_normal(len(edges))
    return graph, rng.standard_normal((units, frames)), couplings, graph.table(couplings)


def enumerated(b: np.ndarray, couplings: np.ndarray, edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """Return the marginals ``(units, frames)`` and log Z ``(frames,)`` by adding up all 2^n states."""
    states = np.array(list(itertools.product([0, 1], repeat=len(b))), float)
    pairs = np.stack([states[:, i] * states[:, j] for i, j in edges], axis=1)
    scores = states @ b + (pairs @ couplings)[:, None]
    log_z = np.logaddexp.reduce(scores, axis=0)
    return states.T @ np.exp(scores - log_z), log_z
