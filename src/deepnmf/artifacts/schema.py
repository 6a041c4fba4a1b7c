"""Schemas of artifacts: names, shapes, signs and ranges as data, checked before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DeepnmfError

LAYERS_LIMIT = 1000
"""Most layers that a network from a file may have: more would run for ever."""
BINS_LIMIT = 32_769
"""Most bins that a frame may have."""


class ArraySpec(NamedTuple):
    """An array that must be there.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    nonnegative : bool
        Whether no entry may be below 0. None may be NaN or infinite in any case.
    dtypes : tuple of str
        Names of the types it may have.
    """

    shape: tuple[int, ...]
    nonnegative: bool = False
    dtypes: tuple[str, ...] = ("float16", "float32")

    def check_values(self, name: str, array: np.ndarray) -> None:
        """Raise `DeepnmfError` unless an array has one of the types, is finite, and nowhere below 0 if it must not be.

        Takes no memory: the least and the largest entry of an array with NaN are NaN.
        """
        if array.dtype.name not in self.dtypes:
            raise DeepnmfError(f"array {name} must be of {' or '.join(self.dtypes)}, not {array.dtype.name}")
        is_finite, is_nonnegative = _bounds(array) if array.size else (True, True)
        if not is_finite:
            raise DeepnmfError(f"array {name} has entries that are NaN or infinite")
        if self.nonnegative and not is_nonnegative:
            raise DeepnmfError(f"array {name} has negative entries")


def _bounds(array: np.ndarray) -> tuple[bool, bool]:
    """Return whether all entries are finite, and whether none is below 0.

    Half precision, which processors convert entry by entry, is compared by its bits: as unsigned integers, negative
    numbers are beyond all others, and in both halves infinity and NaN are beyond all numbers.
    """
    if array.dtype == np.float16:
        signed, unsigned = (int(array.view(kind).max()) for kind in (np.int16, np.uint16))
        return signed < 0x7C00 and unsigned < 0xFC00, unsigned <= 0x8000
    low, high = float(array.min()), float(array.max())
    return math.isfinite(high - low), low >= 0


class NumberSpec(NamedTuple):
    """A number within ``low`` to ``high``, both included.

    Attributes
    ----------
    low, high : float
        The range.
    integer : bool
        Whether it is a whole number.
    listed : bool
        Whether it is a list of such numbers, at least one and at most `LAYERS_LIMIT`.
    absent : float or None
        The value in files of versions that did not have it; None if all have it.
    """

    low: float
    high: float
    integer: bool = False
    listed: bool = False
    absent: float | None = None

    def check(self, name: str, value: Any) -> None:
        """Raise `DeepnmfError` if `value` is not such a number."""
        values = value if self.listed else [value]
        if not isinstance(values, list) or not 0 < len(values) <= LAYERS_LIMIT:
            raise DeepnmfError(f"{name} must be a list of 1 to {LAYERS_LIMIT} numbers, not {shown(value)}")
        for one in values:
            if isinstance(one, bool) or not isinstance(one, int if self.integer else int | float):
                raise DeepnmfError(f"{name} must be a {'whole ' * self.integer}number, not {shown(one)}")
            if not self.low <= one <= self.high:  # false for NaN too
                raise DeepnmfError(f"{name} must be {self.low:g} to {self.high:g}, not {shown(one)}")


LAYERS = NumberSpec(1, LAYERS_LIMIT, integer=True)
"""K."""
RECURRENT_LAYERS = NumberSpec(1, 100, integer=True)
ATOMS = NumberSpec(1, 100_000, integer=True)
"""R_s; :func:`check_speech_atoms` compares it with R."""
SPARSITY = NumberSpec(0, 10_000)
"""μ."""
BETA = NumberSpec(0, 4)
"""β."""


class Shapes:
    """Shapes of the arrays that a file has, from which a schema takes the sizes not determined otherwise."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = shapes

    def __getitem__(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array.

        Raises
        ------
        DeepnmfError
            If there is no such array.
        """
        if name not in self._shapes:
            raise DeepnmfError(f"array {name} is missing")
        return self._shapes[name]

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def axes(self, name: str, count: int) -> tuple[int, ...]:
        """Return the shape of an array of `count` axes.

        Raises
        ------
        DeepnmfError
            If there is no such array, or it has more or fewer axes.
        """
        shape = self[name]
        if len(shape) != count:
            raise DeepnmfError(f"array {name} must have {count} axes, not {len(shape)}")
        return shape

    def size(self, name: str, axis: int) -> int:
        """Return one size of an array.

        Raises
        ------
        DeepnmfError
            If there is no such array, it has fewer axes, or none along this one.
        """
        shape = self[name]
        if axis >= len(shape) or not shape[axis]:
            raise DeepnmfError(f"array {name} must have entries along axis {axis}, not shape {shape}")
        return shape[axis]


def check_numbers(specs: Mapping[str, NumberSpec], values: Any, what: str) -> dict[str, Any]:
    """Return `values`, with those of older versions, if they are a table of exactly the numbers described.

    Raises
    ------
    DeepnmfError
        If they are not; the message names the first that is missing, unknown, no number or out of range.
    """
    if not isinstance(values, dict):
        raise DeepnmfError(f"{what} must be a table, not {shown(values)}")
    values = {name: spec.absent for name, spec in specs.items() if spec.absent is not None} | values
    for name in sorted(specs.keys() ^ values.keys()):
        raise DeepnmfError(f"{what}.{shown(name)} is {'missing' if name in specs else 'unknown'}")
    for name, spec in specs.items():
        spec.check(f"{what}.{name}", values[name])
    return values


def check_shapes(specs: Mapping[str, ArraySpec], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `DeepnmfError` unless there are exactly the arrays described; the message names the first other one."""
    for name in sorted(specs.keys() ^ shapes.keys()):
        raise DeepnmfError(f"array {shown(name)} is {'missing' if name in specs else 'unknown'}")
    for name, spec in specs.items():
        if shapes[name] != spec.shape:
            raise DeepnmfError(f"array {name} must have the shape {spec.shape}, not {shapes[name]}")


def check_arrays(specs: Mapping[str, ArraySpec], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `DeepnmfError` unless there are exactly the arrays described, finite and of the right sign and type."""
    check_shapes(specs, {name: array.shape for name, array in arrays.items()})
    for name, spec in specs.items():
        spec.check_values(name, arrays[name])


def check_speech_atoms(speech_atoms: int, atoms: int) -> None:
    """Raise `DeepnmfError` unless there are atoms of speech and of noise."""
    if not 0 < speech_atoms < atoms:
        raise DeepnmfError(f"speech_atoms must leave some of the {atoms} atoms to the noise, not {speech_atoms}")


def parameter_sets(sets: int, layers: int) -> int:
    """Return the number of parameter sets, one that all layers share or one for each.

    Raises
    ------
    DeepnmfError
        If `sets` is neither.
    """
    if sets not in {1, layers}:
        raise DeepnmfError(f"{layers} layers need 1 or {layers} sets of parameters, not {sets}")
    return sets


def context_of(stacked: int, bins: int) -> int:
    """Return T of observations of T·F rows.

    Raises
    ------
    DeepnmfError
        If `stacked` is not a multiple of `bins`.
    """
    if stacked % bins:
        raise DeepnmfError(f"{stacked} rows are not a whole number of frames of {bins} bins")
    return stacked // bins


def shown(value: Any) -> str:
    """Return a value as a short piece of one line, for a message."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and value.isidentifier() and value.isascii() and len(value) <= 60:
        return value
    try:
        text = repr(value)
    except ValueError:  # an integer of too many digits
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}…"
