"""Unfolding: the iterations of an inference algorithm become layers of a network (docs/model.md §5).

An instance defines four things, each a plain function of arrays:

- the *model*: hidden and observed variables, and the parameters θ that relate them;
- the *inference step* ``state, θ ↦ state``, which improves the estimate of the hidden variables;
- the *start*, the state before the first step;
- the *readout*: here a mask, from the last state.

K steps from the start are K layers. *Tied*, they share one θ, and the network is the inference algorithm stopped early;
*untied*, each has its own, the network no longer corresponds to one model, and training optimises the few steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

State = TypeVar("State")
Parameters = TypeVar("Parameters")


def unfold(step: Callable[[State, Parameters], State], layers: Iterable[Parameters], start: State) -> State:
    """Return the state after one inference `step` with each of the parameter sets `layers`.

    Examples
    --------
    Newton's iteration for √2, three layers that share their parameter:

    >>> unfold(lambda x, theta: (x + theta / x) / 2, layer_parameters([2.0], 3), 1.0)
    1.4142156862745097
    """
    state = start
    for parameters in layers:
        state = step(state, parameters)
    return state


def layer_parameters(sets: list[Parameters], layers: int) -> list[Parameters]:
    """Return the parameter set of each of K `layers`, from one set that they share or K of their own."""
    return sets * layers if len(sets) == 1 else sets
