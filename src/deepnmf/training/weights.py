"""The arrays of a network that are not layers of torch: which are trained, and how they stay non-negative."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dsp.arrays import epsilon
from .layers import to_numpy


class Weights(torch.nn.Module):
    """Arrays of a network by name, of which some are trained: as they are, or as their logarithm.

    Parameters
    ----------
    arrays : dict of str to ndarray
        All arrays.
    trained : collection of str
        Names of those that training changes.
    nonnegative : collection of str
        Names of those that stay ≥ 0, without the layer.
    logarithmic : bool
        Whether the non-negative ones are trained as log W, which any optimiser keeps positive.
    """

    def __init__(
        self, arrays: dict[str, Any], trained: Collection[str], nonnegative: Collection[str], logarithmic: bool
    ) -> None:
        super().__init__()
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        kept = [name for name in arrays if name in trained and name.partition(".")[0] in nonnegative]
        free = [name for name in arrays if name in trained and name not in kept]
        self.logarithmic = logarithmic
        self.names = {"nonnegative": kept, "free": free}
        self.nonnegative = torch.nn.ParameterList([_log(tensors[n]) if logarithmic else tensors[n] for n in kept])
        self.free = torch.nn.ParameterList([tensors[name] for name in free])
        self._fixed = {name: tensor for name, tensor in tensors.items() if name not in {*kept, *free}}

    def arrays(self) -> dict[str, Tensor]:
        """Return all arrays by name, differentiable where they are trained."""
        kept = (W.exp() if self.logarithmic else W for W in self.nonnegative)
        free = zip(self.names["free"], self.free, strict=True)
        return {**self._fixed, **dict(zip(self.names["nonnegative"], kept, strict=True)), **dict(free)}

    @torch.no_grad()
    def scale(self, factors: Mapping[str, Tensor]) -> None:
        """Multiply non-negative arrays that are trained by factors > 0, in place."""
        for name, W in zip(self.names["nonnegative"], self.nonnegative, strict=True):
            if name in factors:
                W.add_(factors[name].log()) if self.logarithmic else W.mul_(factors[name])

    def name_of(self, parameter: Tensor) -> str | None:
        """Return the array name of a parameter."""
        for group in ("nonnegative", "free"):
            for name, own in zip(self.names[group], getattr(self, group), strict=True):
                if own is parameter:
                    return name
        return None

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, in NumPy."""
        return {name: to_numpy(W) for name, W in self.arrays().items()}

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Weights:
        self._fixed = {name: fn(tensor) for name, tensor in self._fixed.items()}
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def _log(W: Tensor) -> Tensor:
    return W.where(W > 0, epsilon(W)).log()  # a zero could not be trained; other weights are kept, for fine-tuning
