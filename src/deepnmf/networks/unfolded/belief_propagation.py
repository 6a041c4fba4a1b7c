"""Belief propagation in a binary pairwise Markov random field: message passing between units (docs/model.md §5).

A message is the log-ratio of its values for the receiver being 1 and 0. Messages ``M`` (n, d, N) are stored at the
receiver: ``M[i, k]`` comes from the k-th neighbour of unit i. Shapes as in :mod:`deepnmf.networks.unfolded.graph`.
"""

from __future__ import annotations

from ...dsp.arrays import AnyArray, sigmoid, softplus
from .graph import Graph


def initial_messages(b: AnyArray, graph: Graph) -> AnyArray:
    """Return the initial messages, all 0: uninformative."""
    return 0 * b[graph.neighbours]


def logits(M: AnyArray, b: AnyArray) -> AnyArray:
    """Return the belief logits ``b_i + Σ_l M_(l→i)``, shape ``(n, N)``."""
    return b + M.sum(1)


def beliefs(M: AnyArray, b: AnyArray) -> AnyArray:
    """Return the beliefs, approximate probabilities that each unit is 1; exact on a tree once M no longer changes."""
    return sigmoid(logits(M, b))


def cavity_logits(M: AnyArray, b: AnyArray, graph: Graph) -> AnyArray:
    """Return the cavity logit of each slot's sender, without the receiver's message, ``b_j + Σ_(l≠i) M_(l→j)``."""
    at_sender = logits(M, b)[:, None] - M
    return at_sender.reshape(graph.reverse.size, M.shape[2])[graph.reverse]


def update(M: AnyArray, b: AnyArray, A: AnyArray, graph: Graph) -> AnyArray:
    """Return all messages ``M_(j→i) ← log( (1 + e^(A_ij + u)) / (1 + e^u) )``, u the cavity logit of j."""
    u = cavity_logits(M, b, graph)
    return softplus(A[:, :, None] + u) - softplus(u)
