"""The guard against division by zero: one definition for every division in the package.

Features reach the model at unit level (see :mod:`deepnmf.level`), so inside a network the guard is a constant. Code
that sees raw data passes the data's own level, and the guard scales with it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A ``numpy.ndarray`` or a ``torch.Tensor``: code annotated so uses only what the two share (operators, ``.T``,
``.sum``, ``.shape``, ``.dtype``), so that one definition serves training in torch and inference without it."""


def guard(array: Array, level: float = 1.0) -> float:
    """Return the small constant that is added to denominators of the precision of `array`.

    Parameters
    ----------
    array : Array
        Any float array; only its precision matters.
    level : float
        Typical magnitude of the data, in its own unit.

    Returns
    -------
    float
        Square root of machine epsilon times the level: 69 dB below it in float32. Squares of it and of its inverse,
        which gradients hold, are still far from the ends of the precision's range.

    Examples
    --------
    >>> round(guard(np.zeros(3, np.float32)), 6)
    0.000345
    """
    name = str(array.dtype).rpartition(".")[2]  # "torch.float32" and "float32" alike
    return float(np.finfo(name).eps) ** 0.5 * level


def power(x: Array, exponent: float) -> Array | float:
    """Return ``x ** exponent`` elementwise, without the cost of ``pow`` for the exponents that named β have.

    Examples
    --------
    >>> power(np.array([2.0, 4.0]), -1).tolist()
    [0.5, 0.25]
    >>> power(np.array([2.0, 4.0]), 0)
    1.0
    """
    if exponent == 0:
        return 1.0
    if exponent == 1:
        return x
    if exponent == -1:
        return 1 / x
    if exponent == -2:
        return 1 / (x * x)
    return x**exponent
