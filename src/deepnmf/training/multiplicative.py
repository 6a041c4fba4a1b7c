"""Multiplicative backpropagation: gradients carried backwards as two non-negative parts (docs/model.md §3; paper §4.2).

Each derivative ∂E/∂x is a pair ``(plus, minus)`` with ``plus − minus`` the derivative and both parts ≥ 0. Weights are
then updated by a ratio of parts, which keeps them non-negative without projection or step size.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ..dsp.arrays import epsilon, fast_pow
from ..networks.unfolded.deep_nmf import DeepNMF, starting_activations
from ..nmf.divergence import gradient_parts, mu_exponent
from ..nmf.updates import source_models
from .unfolded_updates import Layers, LayerState, run_layers, scaled, slope_at_numerator

Parts = tuple[Tensor, Tensor]
"""The parts (₊, ₋) of one derivative."""


@dataclass(frozen=True)
class Statistics:
    """Parts of the gradient summed over frames; those of a partition of the frames add up.

    Attributes
    ----------
    dictionaries : dict of int to Parts
        For each trained inference dictionary, the sums over its layers and the frames.
    output : Parts
        The same for the reconstruction dictionary.
    estimate : Tensor
        ŝ, ``(F, N)``: the speech estimate of the forward pass.
    """

    dictionaries: dict[int, Parts]
    output: Parts
    estimate: Tensor


def backpropagate(
    network: DeepNMF, m: Tensor, target: Tensor, trained: int, error_beta: float = 2.0, resplitting: bool = False
) -> Statistics:
    """Run the network forwards and carry the parts of the gradient back through its last `trained` layers.

    Parameters
    ----------
    network : DeepNMF
        With torch weights.
    m : Tensor
        Stacked mixture magnitudes ``(T·F, N)``; the last F rows are the current frame.
    target : Tensor
        Speech magnitudes s ≥ 0, ``(F, N)``.
    trained : int
        C ≥ 1, the layers trained, counted from the output.
    error_beta : float
        The error is the β-divergence of this β between target and estimate, summed over all entries.
    resplitting : bool
        Whether to :func:`resplit` the parts at every activation.
    """
    dictionaries, W_output = cast("tuple[Tensor, ...]", network.dictionaries), cast("Tensor", network.output)
    layers, used = Layers.of(network), [dictionaries[index] for index in network.layers]
    h, states = run_layers(m, cast("Tensor", starting_activations(network)), used, layers)
    bins = W_output.shape[0]
    estimate, output, g = output_parts(target, m[-bins:], W_output, h, network.speech_atoms, error_beta)
    sums: dict[int, Parts] = {}
    first = len(network.layers) + 1 - trained
    for k in range(len(network.layers) - 1, first - 1, -1):
        g = resplit(g) if resplitting else g
        index, g = network.layers[k], (scaled(g[0], layers.gains[k]), scaled(g[1], layers.gains[k]))
        parts, g = layer_parts(g, used[k], states[k], network.beta, further=k > first)
        sums[index] = _added(sums[index], parts) if index in sums else parts
    return Statistics(sums, output, estimate)


def resplit(parts: Parts) -> Parts:
    """Return the minimal split of the same derivative: ``(max(g, 0), max(−g, 0))``.

    Cancelling the common component makes the ratio of the weights' parts, and so the step, larger: the relative
    difference of the plain parts about halves at each layer, and the early layers would hardly change.
    """
    gradient = parts[0] - parts[1]
    return gradient.clip(min=0), (-gradient).clip(min=0)


def output_parts(
    target: Tensor, m_o: Tensor, W: Tensor, h: Tensor, speech_atoms: int, error_beta: float
) -> tuple[Tensor, Parts, Parts]:
    """Return ŝ ``(F, N)`` and the parts of ∂E/∂W^K ``(F, R)`` and ∂E/∂h^K ``(R, N)`` at the output layer.

    Parameters
    ----------
    target, m_o : Tensor
        Speech and mixture magnitudes of the current frame, ``(F, N)``.
    W : Tensor
        Reconstruction dictionary ``(F, R)``.
    h : Tensor
        Last activations ``(R, N)``.
    speech_atoms : int
        R_s.
    error_beta : float
        See :func:`backpropagate`.
    """
    a, b = source_models(W, h, speech_atoms)
    floor = epsilon(W)
    slope = m_o / (a + b + floor) ** 2
    estimate = m_o * a / (a + b + floor)
    plus, minus = gradient_parts(target, estimate if error_beta == 2 else estimate + floor, error_beta)
    at_speech, at_noise = slope * (b + floor), slope * a  # ∂ŝ/∂a and −∂ŝ/∂b
    sides = ((plus * at_speech, minus * at_noise), (minus * at_speech, plus * at_noise))
    h_s, h_n = h[:speech_atoms], h[speech_atoms:]
    W_s, W_n = W[:, :speech_atoms], W[:, speech_atoms:]
    W_plus, W_minus = (torch.cat([at_a @ h_s.T, at_b @ h_n.T], 1) for at_a, at_b in sides)
    h_plus, h_minus = (torch.cat([W_s.T @ at_a, W_n.T @ at_b]) for at_a, at_b in sides)
    return estimate, (W_plus, W_minus), (h_plus, h_minus)


def layer_parts(g: Parts, W: Tensor, state: LayerState, beta: float, further: bool = True) -> tuple[Parts, Parts]:
    """Return the parts of ∂E/∂W^k ``(T·F, R)`` and ∂E/∂h^k ``(R, N)``, given those of ∂E/∂h^(k+1).

    The layer is ``h' = h ∘ (n/d)^γ``, as in :func:`deepnmf.nmf.updates.update_activations`. Unless they are needed
    `further` back, the parts of ∂E/∂h^k are those given.
    """
    h, ratio, step = state.h, state.ratio, state.step
    at_n = slope_at_numerator(state, beta, epsilon(W))  # ∂h'/∂n
    at_d = at_n * step  # −∂h'/∂d
    u, v = (g[0] * at_n, g[1] * at_n), (g[1] * at_d, g[0] * at_d)
    paths = []
    if beta != 2:
        paths.append(_through(W, u, beta - 2, state.divide_by_model(ratio.clone())))  # ∂r/∂Λ
    if beta != 1:
        paths.append(_through(W, v, beta - 1, fast_pow(state.kept_model(), beta - 2)))  # ∂Λ^(β−1)/∂Λ
    at_model = [part.sum_to_size(len(part), h.shape[1]) for part in functools.reduce(_added, paths)]
    W_plus, W_minus = (
        torch.mm(ratio, u[i].T).addmm_(at_model[i], h.T).add_(_direct(v[i], state, beta)) for i in (0, 1)
    )
    if further:
        growth = fast_pow(step, mu_exponent(beta))
        g = (g[0] * growth).addmm_(W.T, at_model[0]), (g[1] * growth).addmm_(W.T, at_model[1])
    return (W_plus, W_minus), g


def _direct(v: Tensor, state: LayerState, beta: float) -> Tensor:
    """Carry a part back to the dictionary inside d."""
    if beta == 1:
        return v.sum(1)  # d is the sum of the rows of W
    return cast("Tensor", fast_pow(state.kept_model(), beta - 1)) @ v.sum_to_size(state.h.shape).T


def _through(W: Tensor, parts: Parts, coefficient: float, scale: Tensor | float) -> Parts:
    """Carry `parts` back through ``W`` and the slope ``coefficient * scale``, whose sign selects the parts."""
    plus, minus = parts if coefficient > 0 else parts[::-1]
    slope = abs(coefficient) * scale
    return (W @ plus).mul_(slope), (W @ minus).mul_(slope)


def _added(first: Parts, second: Parts) -> Parts:
    return first[0] + second[0], first[1] + second[1]
