"""Recurrent deep NMF: a recurrent prior says where the activations start (MODEL.md §6).

A small causal recurrent network reads log-compressed, band-pooled magnitudes; the activations start from its state,
``h⁰ = softplus(U z + c)``, go through K ≥ 0 multiplicative updates on the observation, and give the Wiener mask. The
dictionaries are non-negative, and the two sources add up to the mixture, as in the frame-wise network: only the
starting point is learnt freely. Here is inference, in NumPy; :mod:`deepnmf.recurrent_training` has the twin in torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import GRU, CellStack, cell_tensors, cells_from_file
from .nmf import infer, wiener_mask

FEATURE_FLOOR = 1e-3
"""Added to unit-level magnitudes before the logarithm: what is 60 dB down no longer counts."""


@dataclass(frozen=True)
class RecurrentDeepNMF:
    """A deep NMF network whose activations start from a recurrent prior.

    Attributes
    ----------
    pooling : ndarray
        Fixed ``(bands, F)`` (:func:`deepnmf.bands.band_pooling`).
    cells : tuple of GRU
        The recurrent layers, the first one nearest to the input.
    prior : ndarray
        U, ``(R, units)``.
    prior_bias : ndarray
        c, ``(R,)``.
    dictionaries : tuple of ndarray
        Of the K layers, each ``(F, R)``.
    output : ndarray
        Reconstruction dictionary ``(F, R)``.
    speech_atoms : int
        R_s; the first R_s atoms are speech.
    sparsity, beta : float
        μ and β of the multiplicative updates.
    """

    pooling: np.ndarray
    cells: tuple[GRU, ...]
    prior: np.ndarray
    prior_bias: np.ndarray
    dictionaries: tuple[np.ndarray, ...]
    output: np.ndarray
    speech_atoms: int
    sparsity: float
    beta: float

    @property
    def parameters(self) -> int:
        """Number of weights; the pooling is fixed and does not count."""
        return sum(value.size for name, value in self.tensors().items() if name != "pooling")

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        cells = sum(cell.multiplications for cell in self.cells)
        layers = (2 if self.beta == 1 else 3) * sum(W.size for W in self.dictionaries)
        return self.pooling.size + cells + self.prior.size + layers + self.output.size

    def estimator(self) -> RecurrentEstimator:
        """Return a fresh streaming mask estimator."""
        return RecurrentEstimator(self)

    def mask(self, m: np.ndarray) -> np.ndarray:
        """Return the speech mask in [0, 1] of the magnitudes ``(F, N)`` of a whole recording, shape ``(F, N)``."""
        return self.estimator().push(m)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        arrays = {"pooling": self.pooling, "prior": self.prior, "prior_bias": self.prior_bias, "output": self.output}
        arrays |= cell_tensors(self.cells)
        return arrays | {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)}

    def settings(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {
            "layers": len(self.dictionaries),
            "recurrent_layers": len(self.cells),
            "speech_atoms": self.speech_atoms,
            "sparsity": self.sparsity,
            "beta": self.beta,
        }

    @classmethod
    def from_file(cls, tensors: dict[str, np.ndarray], settings: dict[str, Any]) -> RecurrentDeepNMF:
        """Put together what :meth:`tensors` and :meth:`settings` returned."""
        return cls(
            pooling=tensors["pooling"],
            cells=cells_from_file(GRU, tensors, settings["recurrent_layers"]),
            prior=tensors["prior"],
            prior_bias=tensors["prior_bias"],
            dictionaries=tuple(tensors[f"dictionary.{index}"] for index in range(settings["layers"])),
            output=tensors["output"],
            speech_atoms=settings["speech_atoms"],
            sparsity=settings["sparsity"],
            beta=settings["beta"],
        )


class RecurrentEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        self._network = network
        self._cells = CellStack(network.cells)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        network = self._network
        if not magnitudes.shape[1]:
            return np.zeros_like(magnitudes)
        z = self._cells.push(np.log(network.pooling @ magnitudes + np.float32(FEATURE_FLOOR)))
        h = np.logaddexp(np.float32(0), network.prior @ z + network.prior_bias[:, None])
        h = infer(magnitudes, network.dictionaries, h, network.sparsity, network.beta)
        return wiener_mask(network.output, h, network.speech_atoms)
