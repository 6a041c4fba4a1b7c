"""Mean field in a binary pairwise Markov random field: units coupled by their means (paper §3; docs/model.md §5).

The distribution is approximated by one with independent units, unit i being 1 with probability q_i. Shapes:
``q`` and the unary logits ``b`` (n, N), the couplings ``A`` (n, n), symmetric and zero on the diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...dsp.arrays import AnyArray, array_namespace, sigmoid
from .unfold import unfold


def update(q: AnyArray, b: AnyArray, A: AnyArray) -> AnyArray:
    """Return ``q_i ← σ(b_i + Σ_j A_ij q_j)`` for all units in parallel."""
    return sigmoid(b + A @ q)


def update_units(q: AnyArray, b: AnyArray, A: AnyArray, units: Sequence[int]) -> AnyArray:
    """Return q after the update of some units, the others unchanged.

    Uncoupled units may be updated together. A network of sigmoid layers is one bottom-up pass over a layered graph from
    q = 0: when a layer is updated, those above are still 0 and only the one below contributes.
    """
    rows, units = list(q), list(units)
    for i, row in zip(units, update(q, b[units], A[units]), strict=True):
        rows[i] = row
    return array_namespace(q).stack(rows)


def update_in_order(q: AnyArray, b: AnyArray, A: AnyArray) -> AnyArray:
    """Return q after one update of each unit in turn, which never raises the :func:`free_energy`."""
    return unfold(lambda q, i: update_units(q, b, A, [i]), range(len(q)), q)


def free_energy(q: AnyArray, b: AnyArray, A: AnyArray) -> AnyArray:
    """Return the variational free energy of each frame ``(N,)``, an upper bound of −log Z.

    ``F(q) = −Σ_i b_i q_i − Σ_(i,j) A_ij q_i q_j + Σ_i (q_i log q_i + (1 − q_i) log(1 − q_i))``, each pair once.
    """
    log, tiny = array_namespace(q).log, float(np.finfo(np.float32).tiny)  # tiny makes 0 log 0 zero
    negentropy = q * log(q + tiny) + (1 - q) * log(1 - q + tiny)
    return (negentropy - q * (b + A @ q / 2)).sum(0)
