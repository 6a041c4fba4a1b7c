"""Arithmetic for NumPy and torch alike; the guard against division by zero, one for every division in the package.

Features reach the model at unit level (see :mod:`deepnmf.dsp.level`), so inside a network the guard is a constant. Code
for raw data passes the data's own level, and the guard scales with it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

ZERO, MINUS_ONE = np.array(0, np.float32), np.array(-1, np.float32)
"""Converted once, as a scalar is for each use."""


class Array(Protocol):
    """The common part of ``numpy.ndarray`` and ``torch.Tensor``; code annotated by it may use no more.

    One definition serves training in torch and inference without it. What only one of them has (``.size``, methods of
    torch) is an error of types here; functions are taken from :func:`array_namespace`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""

    @property
    def dtype(self) -> Any:
        """Type of an entry, whose name ends as NumPy's does."""

    @property
    def T(self) -> Self:  # noqa: N802
        """The transpose of a matrix."""

    def sum(self, axis: int, /) -> Self:
        """Return the sum along an axis."""

    def clip(self, low: Any, high: Any = None, /) -> Self:
        """Return the entries within bounds."""

    def reshape(self, size: int, /, *sizes: int) -> Any:
        """Return the same entries in another shape."""

    def __array__(self) -> np.ndarray: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, index: Any, /) -> Self: ...
    def __neg__(self) -> Self: ...
    def __abs__(self) -> Self: ...
    def __add__(self, other: Self | float, /) -> Self: ...
    def __radd__(self, other: float, /) -> Self: ...
    def __sub__(self, other: Self | float, /) -> Self: ...
    def __rsub__(self, other: float, /) -> Self: ...
    def __mul__(self, other: Self | float, /) -> Self: ...
    def __rmul__(self, other: float, /) -> Self: ...
    def __truediv__(self, other: Self | float, /) -> Self: ...
    def __rtruediv__(self, other: float, /) -> Self: ...
    def __pow__(self, exponent: float, /) -> Self: ...
    def __matmul__(self, other: Self, /) -> Self: ...


AnyArray = TypeVar("AnyArray", bound=Array)
"""NumPy's arrays throughout, or torch's."""


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


def fast_pow(x: AnyArray, exponent: float) -> AnyArray | float:
    """Return ``x ** exponent`` elementwise, without the cost of ``pow`` for the exponents of the common β.

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
    if isinstance(array, np.ndarray):
        return np
    return sys.modules["torch"] if type(array).__module__.startswith("torch") else np


def sigmoid(x: AnyArray) -> AnyArray:
    """Return ``1 / (1 + e^−x)`` elementwise, for x of any size.

    Examples
    --------
    >>> sigmoid(np.array([-1e3, 0.0, 1e3])).tolist()
    [0.0, 0.5, 1.0]
    """
    namespace = array_namespace(x)
    if namespace is np:
        return 0.5 + 0.5 * namespace.tanh(0.5 * x)  # exp would overflow
    return namespace.sigmoid(x)


def softplus(x: AnyArray) -> AnyArray:
    """Return ``log(1 + e^x)`` elementwise, for x of any size.

    Examples
    --------
    >>> softplus(np.array([-1e3, 0.0, 1e3])).round(3).tolist()
    [0.0, 0.693, 1000.0]
    """
    namespace = array_namespace(x)
    if namespace is np:
        y = namespace.asarray(namespace.copysign(x, MINUS_ONE))  # −|x|
        namespace.exp(y, out=y)
        namespace.log1p(y, out=y)
        y += namespace.maximum(x, ZERO)
        return y
    return namespace.nn.functional.softplus(x, threshold=40)  # beyond it the two terms are equal in float64
