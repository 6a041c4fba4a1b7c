"""Recurrent deep NMF: a recurrent prior says where the activations start (docs/model.md §6).

A small causal recurrent network (:mod:`.prior`) says where the activations start, from magnitudes of
past and present frames. They go through K ≥ 0 multiplicative updates on the present frame and give the Wiener mask.
The dictionaries are non-negative, and the two sources add up to the mixture, as in the frame-wise network: only the
starting point is learnt freely. Here is inference, in NumPy; :mod:`deepnmf.training.recurrent` has the twin in torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...nmf.updates import wiener_mask
from ...schema import (
    ATOMS,
    BETA,
    LAYERS_LIMIT,
    RECURRENT_LAYERS,
    SPARSITY,
    ArraySpec,
    NumberSpec,
    Shapes,
    check_speech_atoms,
)
from .deep_nmf import infer
from .prior import PriorStream, RecurrentPrior


@dataclass(frozen=True)
class RecurrentDeepNMF:
    """A deep NMF network whose activations start from a recurrent prior.

    Attributes
    ----------
    prior : RecurrentPrior
        Gives h⁰.
    dictionaries : tuple of ndarray
        Of the K layers, each ``(F, R)``.
    output : ndarray
        Reconstruction dictionary ``(F, R)``.
    speech_atoms : int
        R_s; the first R_s atoms are speech.
    sparsity, beta : float
        μ and β of the multiplicative updates.
    """

    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {
        "recurrent_layers": RECURRENT_LAYERS,
        "layers": NumberSpec(0, LAYERS_LIMIT, integer=True),
        "speech_atoms": ATOMS,
        "sparsity": SPARSITY,
        "beta": BETA,
    }

    prior: RecurrentPrior
    dictionaries: tuple[np.ndarray, ...]
    output: np.ndarray
    speech_atoms: int
    sparsity: float
    beta: float

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`Network.array_specs`)."""
        atoms = shapes.size("output", 1)
        check_speech_atoms(hyperparameters["speech_atoms"], atoms)
        names = ["output", *(f"dictionary.{index}" for index in range(hyperparameters["layers"]))]
        dictionaries = {name: ArraySpec((bins, atoms), nonnegative=True) for name in names}
        prior = RecurrentPrior.array_specs(hyperparameters["recurrent_layers"], bins, atoms, shapes)
        return prior | dictionaries

    @property
    def parameters(self) -> int:
        """Number of weights; the pooling is fixed and does not count."""
        return sum(value.size for name, value in self.arrays().items() if name != "pooling")

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        layers = (2 if self.beta == 1 else 3) * sum(W.size for W in self.dictionaries)
        return self.prior.multiplications + layers + self.output.size

    def estimator(self) -> RecurrentEstimator:
        """Return a fresh streaming mask estimator."""
        return RecurrentEstimator(self)

    def mask(self, m: np.ndarray) -> np.ndarray:
        """Return the speech mask in [0, 1] of the magnitudes ``(F, N)`` of a whole recording, shape ``(F, N)``."""
        return self.estimator().push(m)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        dictionaries = {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)}
        return self.prior.arrays() | dictionaries | {"output": self.output}

    def hyperparameters(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {
            **self.prior.hyperparameters(),
            "layers": len(self.dictionaries),
            "speech_atoms": self.speech_atoms,
            "sparsity": self.sparsity,
            "beta": self.beta,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], hyperparameters: dict[str, Any]) -> RecurrentDeepNMF:
        """Put together what :meth:`arrays` and :meth:`hyperparameters` returned."""
        return cls(
            prior=RecurrentPrior.from_arrays(arrays, hyperparameters),
            dictionaries=tuple(arrays[f"dictionary.{index}"] for index in range(hyperparameters["layers"])),
            output=arrays["output"],
            speech_atoms=hyperparameters["speech_atoms"],
            sparsity=hyperparameters["sparsity"],
            beta=hyperparameters["beta"],
        )


class RecurrentEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        self._network = network
        self._prior = PriorStream(network.prior)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        network = self._network
        if not magnitudes.shape[1]:
            return np.zeros_like(magnitudes)
        h = infer(magnitudes, network.dictionaries, self._prior.push(magnitudes), network.sparsity, network.beta)
        return wiener_mask(network.output, h, network.speech_atoms)
