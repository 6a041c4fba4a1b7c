"""Multiplicative updates as a torch optimiser, the optimisers of a network in training, and their schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..config import TrainConfig
from ..dsp.arrays import epsilon
from .modules import MaskModule
from .multiplicative import Parts

LARGEST_STEP = math.log(2)
"""A weight at most doubles or halves in one update: the ratio of two tiny sums is unbounded."""
SMALLEST_WEIGHT = 1e-30
"""Weights do not decay below it, to where arithmetic on denormal numbers is slow; zeros stay zeros."""
SMOOTHING = 0.1
"""Share of their sum that is added to both parts of a gradient split at the weights, one of which is often zero."""
PIECE = 65_536
"""Weights that are updated at once on a processor, whose cache holds all that this needs."""
Group: TypeAlias = dict[str, Any]


class MultiplicativeUpdate(torch.optim.Optimizer):
    """Multiplicative updates of non-negative parameters, ``W ← W ∘ (₋ / ₊)^η``, on the gradient that autograd gives.

    Any non-negative pair whose difference is the gradient is a split of it. By default it is the minimal one of the
    gradient in log W, ``g = W ∘ ∂E/∂W``: ``(max(g, 0), max(−g, 0))``, averaged over past updates with a decay. A weight
    whose gradient keeps its sign moves by a full step, one whose gradient changes sign stays, whatever the layer. g
    does not depend on the scale of W, so that the average over updates at other weights does not, either; and a weight
    of no effect on the error, whose g is far below the mean, stays, so that scales hardly drift. The paper's parts,
    whose relative difference about halves at each layer further from the output, are given by :meth:`add_parts`
    (paper §4.2).

    Parameters
    ----------
    parameters : iterable
        Tensors ≥ 0.
    lr : float
        η.
    gradient_decay : float
        Share of the parts kept from one update to the next.
    smoothing : float
        Share of the sum of both parts that is added to both.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, gradient_decay: float = 0.9, smoothing: float = SMOOTHING
    ) -> None:
        super().__init__(parameters, {"lr": lr, "gradient_decay": gradient_decay, "smoothing": smoothing})
        self._given: dict[Tensor, Parts] = {}

    def add_parts(self, W: Tensor, parts: Parts) -> None:
        """Add to the parts ``(₊, ₋)`` of a parameter's gradient that the next update takes instead of its `grad`."""
        before = self._given.get(W, (0.0, 0.0))
        self._given[W] = parts[0] + before[0], parts[1] + before[1]

    def given(self, W: Tensor) -> Parts:
        """Return the parts added so far; zeros if there are none."""
        return self._given.setdefault(W, (torch.zeros_like(W), torch.zeros_like(W)))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Multiply each parameter by a power of the ratio of the parts of its gradient."""
        for group in self.param_groups:
            for W in group["params"]:
                if W in self._given:
                    self._update(W, self._given[W], group)
                elif W.grad is not None:
                    g = W * W.grad
                    plus = g.clip(min=0)
                    self._update(W, (plus, torch.sub(plus, g, out=g)), group)
        self._given.clear()

    def _update(self, W: Tensor, parts: Parts, group: Group) -> None:
        plus, minus = self._averaged(W, parts, group["gradient_decay"])
        least = epsilon(W) * (plus.mean() + minus.mean()) + torch.finfo(W.dtype).tiny
        size = PIECE if W.device.type == "cpu" else W.numel()
        pieces = (x.view(-1).split(size) for x in (W, plus, minus))
        for own, own_plus, own_minus in zip(*pieces, strict=True):
            _multiply(own, own_plus, own_minus, least, group)

    def _averaged(self, W: Tensor, parts: Parts, decay: float) -> Parts:
        if not decay:
            return parts
        state = self.state[W]
        if not state:
            state["plus"], state["minus"] = parts
        else:
            for name, part in zip(("plus", "minus"), parts, strict=True):
                torch.add(part, state[name], alpha=decay, out=state[name])
        return state["plus"], state["minus"]


def _multiply(W: Tensor, plus: Tensor, minus: Tensor, least: Tensor, group: Group) -> None:
    """Multiply weights by a power of the ratio of the parts, to both of which `least` and their smoothing are added."""
    floor = torch.add(least, plus + minus, alpha=group["smoothing"])
    step = (minus + floor).div_(floor.add_(plus)).log_().mul_(group["lr"])
    smallest = W.clip(max=SMALLEST_WEIGHT)  # zeros stay zeros
    torch.maximum(W.mul_(step.clip_(-LARGEST_STEP, LARGEST_STEP).exp_()), smallest, out=W)


def make_optimisers(module: MaskModule, train: TrainConfig, full_batch: bool) -> list[torch.optim.Optimizer]:
    """Return the optimisers of a network: multiplicative or Adam for non-negative weights, Adam for the others."""
    nonnegative = list(module.weights.nonnegative)
    own = {id(W) for W in nonnegative}
    others = [W for W in module.parameters() if id(W) not in own]
    settings: Any = train
    if not (nonnegative or others):
        return []  # C = 0
    if not nonnegative:
        return [_adam([{"params": others, "lr": settings.weight_learning_rate}])]
    groups: list[Group] = [{"params": others, "lr": settings.weight_learning_rate}] if others else []
    if settings.optimiser == "adam":
        return [_adam([*groups, {"params": nonnegative, "lr": settings.dictionary_learning_rate}])]
    at_weights = getattr(settings, "split_at", "weights") == "weights"
    decay = settings.gradient_decay if at_weights and not full_batch else 0.0
    multiplicative = MultiplicativeUpdate(nonnegative, settings.eta, decay, SMOOTHING if at_weights else 0.0)
    return [multiplicative, *([_adam(groups)] if groups else [])]


def _adam(groups: list[Group]) -> torch.optim.Adam:
    """Return Adam, in one pass over the weights where torch has it: a single launch on a GPU."""
    device = groups[0]["params"][0].device.type
    fused = device == "cuda" or (device == "cpu" and torch.torch_version.TorchVersion(torch.__version__) >= "2.4")
    return torch.optim.Adam(groups, fused=fused)


class Schedule:
    """Step sizes of optimisers: a linear warm-up from zero, then a cosine decay to zero.

    Examples
    --------
    >>> schedule = Schedule([], updates=2)
    >>> [round(schedule.share(done), 3) for done in (0, 1, 2)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, optimisers: list[torch.optim.Optimizer], updates: int, warm_up: int = 0) -> None:
        self._optimisers = optimisers
        self._highest = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
        self._updates, self._warm_up = updates, warm_up

    def share(self, done: int) -> float:
        """Return the share of the peak step size after `done` updates."""
        warm = min(1.0, (done + 1) / self._warm_up) if self._warm_up else 1.0
        return warm * 0.5 * (1 + math.cos(math.pi * min(done / self._updates, 1)))

    def set_rates(self, done: int) -> None:
        """Set the step size of all optimisers for the update after `done` ones."""
        for optimiser, rates in zip(self._optimisers, self._highest, strict=True):
            for group, highest in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = highest * self.share(done)


def optimiser_state(optimisers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return the optimiser state of each parameter, by numbers of optimiser and parameter and by name."""
    return {
        f"{number}.{index}.{name}": value
        for number, optimiser in enumerate(optimisers)
        for index, entry in optimiser.state_dict()["state"].items()
        for name, value in entry.items()
    }


def load_optimiser_state(optimisers: list[torch.optim.Optimizer], state: dict[str, Tensor]) -> None:
    """Restore the state of :func:`optimiser_state`."""
    for number, optimiser in enumerate(optimisers):
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            own, index, key = name.split(".", 2)
            if int(own) == number:
                entries.setdefault(int(index), {})[key] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": entries})
