"""The scale of the bins of dictionaries, on which masks do not depend: that of the mixture (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ...dsp.arrays import epsilon

if TYPE_CHECKING:
    from .deep_nmf import DeepNMF

Net = TypeVar("Net", bound="DeepNMF")
ABOVE_GUARD = 10.0
"""Bins keep their scale where mixture or model are not this far above the guard: training may have made use of it."""


def calibrated(network: Net, m: np.ndarray, h: np.ndarray, trained: Collection[str]) -> Net:
    """Return the network with the bins of its trained dictionaries scaled so that W h has the mean spectrum of m.

    The output's mask is a ratio in each bin. With β = 1, a layer's numerator ``Wᵀ (m / W h)`` does not depend on the
    scale of a bin, either, and its denominator is a constant of each atom, which its gain makes up for. Training
    therefore leaves these scales anywhere; masks are the same but for the guard against division by zero.

    Parameters
    ----------
    network : DeepNMF
        Of NumPy's arrays.
    m : ndarray
        Stacked magnitudes of mixtures at unit level ``(T·F, N)``.
    h : ndarray
        Activations that enter the first layer, ``(R, N)`` or ``(R, 1)``.
    trained : collection of str
        Names of the arrays that training has changed; the others keep their atoms.
    """
    scales = {name: c for name, c in bin_scales(network, m, h).items() if name in trained}
    arrays = {name: np.asarray(W) for name, W in network.arrays().items()}
    gains, sparsities = (arrays[name].astype(np.float64) for name in ("gains", "sparsities"))
    for k, index in enumerate(network.layers):
        name = f"dictionary.{index}"
        if name in scales:
            W = arrays[name].astype(np.float64)
            sums = W.sum(axis=0)
            ratio = np.where(sums > 0, (scales[name] * W).sum(axis=0) / np.where(sums > 0, sums, 1), 1)
            sparsities[k] *= ratio  # numerator as before, denominator as many times: their quotient is made up for
            gains[k + 1] *= ratio
    scaled = {name: (c * arrays[name]).astype(arrays[name].dtype) for name, c in scales.items()}
    rest = {name: x.astype(arrays[name].dtype) for name, x in (("gains", gains), ("sparsities", sparsities))}
    return network.with_arrays(scaled | rest).canonical()


def bin_scales(network: DeepNMF, m: np.ndarray, h: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return the factors ``(T·F, 1)`` or ``(F, 1)`` of the bins, by the name of the dictionary.

    Layers that share one have the factors of the last. With β ≠ 1 only the output's are free.
    """
    found = {}
    for k, index in enumerate(network.layers):
        found[f"dictionary.{index}"] = ratio_of_means(m, np.asarray(network.dictionaries[index]) @ h)
        h = np.asarray(network.layer(m, h, k))
    W = np.asarray(network.output)
    found = found if network.beta == 1 else {}
    return found | {"output": ratio_of_means(m[-len(W) :], W @ h)}


def ratio_of_means(m: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Return Σ m / Σ Λ of each bin, ``(F, 1)``; one where either is so low that the guard acts."""
    means = [x.sum(axis=1, dtype=np.float64)[:, None] / max(1, x.shape[1]) for x in (m, model)]
    is_scaled = np.minimum(*means) > ABOVE_GUARD * epsilon(model)
    return np.where(is_scaled, means[0] / np.where(is_scaled, means[1], 1), 1.0)
