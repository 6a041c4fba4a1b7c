"""Arithmetic for NumPy and torch alike; the guard against division by zero, one for every division in the package.

Features reach the model at unit level (see :mod:`deepnmf.dsp.level`), so inside a network the guard is a constant. Code
that sees raw data passes the data's own level, and the guard scales with it.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A ``numpy.ndarray`` or a ``torch.Tensor``: code annotated so uses only what the two share (operators, ``.T``,
``.sum``, ``.shape``, ``.dtype``), so that one definition serves training in torch and inference without it."""


def epsilon(array: Array, level: float = 1.0) -> float:
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
    >>> round(epsilon(np.zeros(3, np.float32)), 6)
    0.000345
    """
    return _root_epsilon(array.dtype) * level


@functools.cache
def _root_epsilon(dtype: Any) -> float:
    name = str(dtype).rpartition(".")[2]  # "torch.float32" and "float32" alike
    return float(np.finfo(name).eps) ** 0.5


def fast_pow(x: Array, exponent: float) -> Array | float:
    """Return ``x ** exponent`` elementwise, without the cost of ``pow`` for the exponents that named β have.

    Examples
    --------
    >>> fast_pow(np.array([2.0, 4.0]), -1).tolist()
    [0.5, 0.25]
    >>> fast_pow(np.array([2.0, 4.0]), 0)
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


def array_namespace(array: Array) -> Any:
    """Return the module, ``numpy`` or ``torch``, whose functions take `array`.

    Examples
    --------
    >>> array_namespace(np.zeros(3)).__name__
    'numpy'
    """
    return sys.modules["torch"] if type(array).__module__.startswith("torch") else np


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + e^−x)`` elementwise, for x of any size.

    Examples
    --------
    >>> sigmoid(np.array([-1e3, 0.0, 1e3])).tolist()
    [0.0, 0.5, 1.0]
    """
    if array_namespace(x) is np:
        return 0.5 + 0.5 * np.tanh(0.5 * x)  # exp would overflow
    return x.sigmoid()


def softplus(x: Array) -> Array:
    """Return ``log(1 + e^x)`` elementwise, for x of any size.

    Examples
    --------
    >>> softplus(np.array([-1e3, 0.0, 1e3])).round(3).tolist()
    [0.0, 0.693, 1000.0]
    """
    if array_namespace(x) is np:
        return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))
    return sys.modules["torch"].nn.functional.softplus(x, threshold=40)  # beyond it the two terms are equal in float64
