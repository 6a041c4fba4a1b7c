"""The two ways to train a network of independent frames: multiplicative updates, for deep NMF, and Adam.

Both take the gradient's statistics as sums over frames: :meth:`Optimiser.accumulate` them over any number of
chunks (or processes), then :meth:`Optimiser.update` once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

from ..config import TrainConfig
from ..dsp.arrays import epsilon
from ..networks.base import FramewiseNetwork, with_arrays
from ..networks.unfolded.deep_nmf import DeepNMF, trained_dictionaries
from .multiplicative import Parts, backpropagate, resplit

LARGEST_STEP = math.log(2)
"""A weight at most doubles or halves in one update: the ratio of two tiny sums can be anything."""
SMOOTHING = 0.1
"""Share of their sum that is added to both parts of a gradient split at the weights, one of which is often zero."""


class Optimiser(Protocol):
    """What the training loop needs of an optimiser."""

    @property
    def network(self) -> FramewiseNetwork:
        """The network with the present weights."""

    def accumulate(self, m: Tensor, target: Tensor) -> float:
        """Add the statistics of frames ``m`` (T·F, N) with targets ``(F, N)``; return their summed error."""

    def update(self) -> None:
        """Change the weights by what was accumulated, and forget it."""

    def state(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, the trained weights included."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state` returned."""


def make_optimiser(network: FramewiseNetwork, trained: int, config: TrainConfig, updates: int) -> Optimiser:
    """Return the optimiser for a run of `updates` updates.

    Deep NMF has its last `trained` layers trained by the one that `config` names; any other network, all of its
    weights by Adam.
    """
    if not isinstance(network, DeepNMF):
        return Adam(network, network.arrays(), config, updates)
    if config.optimiser == "multiplicative":
        return Multiplicative(network, trained, config, updates)
    return Adam(network, trained_names(network, trained), config, updates)


def trained_names(network: DeepNMF, trained: int) -> list[str]:
    """Return the names of the arrays that training changes when the last C layers are trained."""
    inference = [f"dictionary.{index}" for index in trained_dictionaries(network, trained)]
    return [*inference, "output"] if trained else []


class Multiplicative:
    """Multiplicative backpropagation: ``W ← W ∘ (₋ / ₊)^η`` (paper §4.2; docs/model.md §3).

    The paper's parts come closer by about half at each layer further from the output, so its ratio tends to 1 and the
    early layers hardly move. Any non-negative pair with the same difference is a split as well. By default each
    batch's gradient is split anew at the weights, into ``max(g, 0)`` and ``max(−g, 0)``. With mini-batches the parts
    are averaged over past batches, faded by `config.memory`: a weight whose gradient keeps its sign moves by a full
    step, one whose gradient changes sign stays, whatever the layer. η falls along a cosine.
    """

    def __init__(self, network: DeepNMF, trained: int, config: TrainConfig, updates: int) -> None:
        self.network = network
        self._trained = trained
        self._names = trained_names(network, trained)
        self._config = config
        self._updates = updates
        self._done = 0
        self._smoothing = SMOOTHING if config.splitting == "weights" else 0.0
        self._batch: dict[str, Parts] = {}
        self._kept: dict[str, Parts] = {}

    def accumulate(self, m: Tensor, target: Tensor) -> float:
        """Add the parts of the gradient over these frames; return their summed error."""
        config = self._config
        with torch.inference_mode():
            found = backpropagate(
                self.network, m, target, self._trained, config.error_beta, config.splitting == "activations"
            )
        parts = {f"dictionary.{index}": both for index, both in found.dictionaries.items()} | {"output": found.output}
        for name, (plus, minus) in parts.items():
            before = self._batch.get(name, (0.0, 0.0))
            self._batch[name] = plus + before[0], minus + before[1]
        return float(error_sum(target, found.estimate, config.error_beta))

    def update(self) -> None:
        """Multiply each trained weight by a power of the ratio of its parts."""
        exponent = cosine(self._config.exponent, self._done, self._updates)
        tensors = self.network.arrays()
        for name in self._names:
            W, parts = tensors[name], self._batch[name]
            plus, minus = self._kept[name] = self._averaged(name, resplit(parts) if self._smoothing else parts)
            floor = epsilon(W, float(plus.mean()) + float(minus.mean())) + self._smoothing * (plus + minus)
            step = exponent * ((minus + floor) / (plus + floor)).log()
            tensors[name] = W * step.clip(-LARGEST_STEP, LARGEST_STEP).exp()
        self.network = with_arrays(self.network, tensors)
        self._batch = {}
        self._done += 1

    def _averaged(self, name: str, parts: Parts) -> Parts:
        if name not in self._kept or not self._config.batch_frames:
            return parts
        plus, minus = (new + self._config.memory * old for new, old in zip(parts, self._kept[name], strict=True))
        return plus, minus

    def state(self) -> dict[str, Tensor]:
        """Return the weights, the parts kept from past batches and the number of updates."""
        weights = self.network.arrays()
        tensors = {f"W.{name}": weights[name] for name in self._names}
        for name, (plus, minus) in self._kept.items():
            tensors |= {f"+.{name}": plus, f"-.{name}": minus}
        return tensors | {"done": torch.tensor(self._done)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state` returned."""
        weights = {name: state[f"W.{name}"] for name in self._names}
        self.network = with_arrays(self.network, self.network.arrays() | weights)
        self._kept = {name: (state[f"+.{name}"], state[f"-.{name}"]) for name in weights if f"+.{name}" in state}
        self._done = int(state["done"])


class Adam:
    """Adam by automatic differentiation: on ``log W`` of non-negative weights, and on the other weights themselves."""

    def __init__(self, network: FramewiseNetwork, trained: Iterable[str], config: TrainConfig, updates: int) -> None:
        self._config = config
        self._updates = updates
        self._done = 0
        self._start = network
        self._logs: dict[str, Tensor] = {}
        self._others: dict[str, Tensor] = {}
        tensors = network.arrays()
        for name in trained:
            W = tensors[name]
            if name.partition(".")[0] in network.NONNEGATIVE:
                self._logs[name] = (W + epsilon(W)).log().requires_grad_()
            else:
                self._others[name] = W.clone().requires_grad_()
        self._adam = torch.optim.Adam([{"params": list(free.values())} for free in (self._logs, self._others)])

    @property
    def network(self) -> FramewiseNetwork:
        """The network with the present weights."""
        present = self._present()
        return with_arrays(present, {name: W.detach() for name, W in present.arrays().items()})

    def _present(self) -> FramewiseNetwork:
        """Return the network with the present weights, differentiable."""
        logs = {name: log.exp() for name, log in self._logs.items()}
        return with_arrays(self._start, self._start.arrays() | logs | self._others)

    def accumulate(self, m: Tensor, target: Tensor) -> float:
        """Add the gradient over these frames; return their summed error."""
        estimate = self._present().mask(m) * m[-target.shape[0] :]
        error = error_sum(target, estimate, self._config.error_beta)
        torch.autograd.backward(error)
        return float(error.detach())

    def update(self) -> None:
        """Take one step; the gradient's scale does not matter to Adam."""
        rates = self._config.learning_rate, self._config.weight_rate
        for group, rate in zip(self._adam.param_groups, rates, strict=True):
            group["lr"] = cosine(rate, self._done, self._updates)
        self._adam.step()
        self._adam.zero_grad()
        self._done += 1

    def state(self) -> dict[str, Tensor]:
        """Return the weights, those that are logarithms as such, the moments and the number of updates."""
        free = {f"weight.{name}": value.detach() for name, value in (self._logs | self._others).items()}
        return free | moments(self._adam) | {"done": torch.tensor(self._done)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state` returned."""
        self._done = int(state["done"])
        for name, value in (self._logs | self._others).items():
            value.data.copy_(state[f"weight.{name}"])
        if self._done:
            restore_moments(self._adam, state)


def moments(adam: torch.optim.Adam) -> dict[str, Tensor]:
    """Return Adam's moments and step counts by name and number of the weight."""
    entries = adam.state_dict()["state"].items()
    return {f"{name}.{i}": value for i, entry in entries for name, value in entry.items()}


def restore_moments(adam: torch.optim.Adam, state: dict[str, Tensor]) -> None:
    """Take up what :func:`moments` returned, from a state that may hold more."""
    names = ("step", "exp_avg", "exp_avg_sq")
    numbers = [int(name.removeprefix("step.")) for name in state if name.startswith("step.")]
    entries = {i: {name: state[f"{name}.{i}"] for name in names} for i in numbers}
    adam.load_state_dict({**adam.state_dict(), "state": entries})


def cosine(start: float, done: int, updates: int) -> float:
    """Return the step after `done` of `updates` updates: `start` at first, zero at the end, along a cosine.

    Examples
    --------
    >>> [round(cosine(1.0, done, 2), 3) for done in (0, 1, 2)]
    [1.0, 0.5, 0.0]
    """
    return start * 0.5 * (1 + math.cos(math.pi * min(done / updates, 1)))


def error_sum(target: Tensor, estimate: Tensor, beta: float) -> Tensor:
    """Return the β-divergence summed over all entries, differentiable."""
    if beta == 2:
        return 0.5 * (target - estimate).square().sum()
    y = estimate + epsilon(estimate)
    if beta == 1:
        return (torch.xlogy(target, target / y) - target + y).sum()
    if beta == 0:
        ratio = (target + epsilon(target)) / y
        return (ratio - ratio.log() - 1).sum()
    terms = target**beta + (beta - 1) * y**beta - beta * target * y ** (beta - 1)
    return terms.sum() / (beta * (beta - 1))
