"""The mean of a network's weights over its last updates, which is scored and stored in place of the last weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from .modules import MaskModule


class AveragedWeights:
    """An exponential mean of the weights of a module in training.

    Update number t counts ``1 / (1 + share · t)``, so that the mean is over about that share of the updates so far,
    whatever the length of the run. Weights that are trained as their logarithm are averaged as that; others that are
    non-negative stay so, and their zeros stay zeros.

    Parameters
    ----------
    module : MaskModule
        The module in training.
    share : float
        Share of the updates, > 0.

    Attributes
    ----------
    module : MaskModule
        The same network, with the mean of the weights; at first a copy.
    """

    def __init__(self, module: MaskModule, share: float) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False)
        self._weights: list[Tensor] = [*module.parameters()]
        self._means: list[Tensor] = [*self.module.parameters()]
        self._share = share

    @torch.no_grad()
    def add(self, update: int) -> None:
        """Add the present weights, after so many updates."""
        torch._foreach_lerp_(self._means, self._weights, 1 / (1 + self._share * update))
