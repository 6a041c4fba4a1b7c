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
from ..nmf.updates import source_models, update_terms

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
    gains, mu = (cast("Tensor", x)[:, :, None] for x in (network.gains, network.sparsities))  # (·, R, 1)
    h = [cast("Tensor", starting_activations(m, network))]
    for k, index in enumerate(network.layers):
        _, _, n, d = update_terms(m, dictionaries[index], h[-1], mu[k], network.beta, epsilon(m))
        h.append(h[-1] * fast_pow(n / d, mu_exponent(network.beta)) * gains[k + 1])
    bins = W_output.shape[0]
    estimate, output, g = output_parts(target, m[-bins:], W_output, h[-1], network.speech_atoms, error_beta)
    sums: dict[int, Parts] = {}
    for k in range(len(network.layers) - 1, len(network.layers) - trained, -1):
        g = resplit(g) if resplitting else g
        index, g = network.layers[k], (g[0] * gains[k + 1], g[1] * gains[k + 1])
        parts, g = layer_parts(g, m, dictionaries[index], h[k], mu[k], network.beta)
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


def layer_parts(
    g: Parts, m: Tensor, W: Tensor, h: Tensor, sparsity: Tensor | float, beta: float
) -> tuple[Parts, Parts]:
    """Return the parts of ∂E/∂W^k ``(T·F, R)`` and ∂E/∂h^k ``(R, N)``, given those of ∂E/∂h^(k+1).

    The layer is ``h' = h ∘ (n/d)^γ`` with Λ, r, n and d of :func:`deepnmf.nmf.updates.update_terms`.
    """
    gamma, floor = mu_exponent(beta), epsilon(m)
    model, r, n, d = update_terms(m, W, h, sparsity, beta, floor)
    step = fast_pow(n / d, gamma)
    at_n = gamma * h * fast_pow(n.clip(min=floor**2) / d, gamma - 1) / d  # ∂h'/∂n
    at_d = gamma * h * step / d  # −∂h'/∂d
    u = g[0] * at_n, g[1] * at_n
    v = g[1] * at_d, g[0] * at_d
    paths = []
    if beta != 2:
        paths.append(_through(W, u, beta - 2, m * fast_pow(model, beta - 3)))  # ∂r/∂Λ
    if beta != 1:
        paths.append(_through(W, v, beta - 1, fast_pow(model, beta - 2)))  # ∂Λ^(β−1)/∂Λ
    model_parts = functools.reduce(_added, paths)
    slope = cast("Tensor", fast_pow(model, beta - 1))  # the number 1 if β = 1
    direct = [x.sum(1) if beta == 1 else slope @ x.T for x in v]  # W enters d itself
    W_plus, W_minus = (r @ u[i].T + model_parts[i] @ h.T + direct[i] for i in (0, 1))
    h_plus, h_minus = (g[i] * step + W.T @ model_parts[i] for i in (0, 1))
    return (W_plus, W_minus), (h_plus, h_minus)


def _through(W: Tensor, parts: Parts, coefficient: float, scale: Tensor | float) -> Parts:
    """Carry `parts` back through ``W`` and the slope ``coefficient * scale``, whose sign selects the parts."""
    plus, minus = parts if coefficient > 0 else parts[::-1]
    slope = abs(coefficient) * scale
    return (W @ plus) * slope, (W @ minus) * slope


def _added(first: Parts, second: Parts) -> Parts:
    return first[0] + second[0], first[1] + second[1]
