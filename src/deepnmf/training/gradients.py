"""The gradients of a module in one array, which is added up, measured, scaled and cleared as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Gradients:
    """The gradients of all weights of a module, zeros until the first backward pass adds to them.

    The `grad` of each weight is a view of one array, as in torch's DistributedDataParallel: several processes exchange
    it without copies, and on a GPU its norm is a single launch. Nothing may set a `grad` to None.

    Attributes
    ----------
    arrays : list of Tensor
        One array ``(n,)`` for each type of number, in the order of the module's parameters.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for weight in module.parameters():
            kinds.setdefault(weight.dtype, []).append(weight)
        self.arrays = [_joint(weights) for weights in kinds.values()]

    def norm(self) -> Tensor:
        """Return the norm of all."""
        return torch.stack([array.norm() for array in self.arrays]).norm()

    def clip(self, norm: Tensor, largest: float) -> None:
        """Scale to a norm of at most `largest`, given the present one."""
        factor = (largest / (norm + torch.finfo(norm.dtype).tiny)).clamp_max(1)
        for array in self.arrays:
            array.mul_(factor)

    def clear(self) -> None:
        """Set to zero."""
        for array in self.arrays:
            array.zero_()


def _joint(weights: Sequence[Tensor]) -> Tensor:
    """Return an array of zeros whose parts are the gradients of the weights."""
    array = weights[0].new_zeros(sum(weight.numel() for weight in weights))
    for weight, part in zip(weights, array.split([weight.numel() for weight in weights]), strict=True):
        weight.grad = part.view_as(weight)
    return array
