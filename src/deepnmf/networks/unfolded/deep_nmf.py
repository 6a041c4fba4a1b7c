"""Deep NMF: multiplicative updates unfolded into layers, each with its own dictionary (Hershey et al. 2014, §4).

Which dictionary each layer uses, which of them are trained, and the mask. Arrays are NumPy's or torch's: training and
inference share this one definition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...config import Config, NetworkConfig
from ...dsp.arrays import Array
from ...nmf.updates import update_activations, wiener_mask
from ...schema import ATOMS, BETA, LAYERS_LIMIT, SPARSITY, ArraySpec, NumberSpec, Shapes, check_speech_atoms, context_of
from ..base import Estimator, MaskEstimator
from .unfold import unfold

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...nmf.dictionary import Dictionary


@dataclass(frozen=True)
class DeepNMF:
    """A deep NMF network: K inference layers and an output layer.

    Attributes
    ----------
    dictionaries : tuple of Array
        The distinct inference dictionaries, each ``(T·F, R)``.
    layers : tuple of int
        For each of the K layers, the index of its dictionary. Tied layers share one.
    output : Array
        Reconstruction dictionary ``(F, R)``: the rows of the current frame.
    speech_atoms : int
        R_s; the first R_s atoms are speech.
    sparsity : float
        μ.
    beta : float
        β of the inference.
    """

    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset({"dictionary", "output"})
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {
        "layers": NumberSpec(0, LAYERS_LIMIT - 1, integer=True, listed=True),
        "speech_atoms": ATOMS,
        "sparsity": SPARSITY,
        "beta": BETA,
    }

    dictionaries: tuple[Array, ...]
    layers: tuple[int, ...]
    output: Array
    speech_atoms: int
    sparsity: float
    beta: float

    @classmethod
    def start(cls, settings: Config, source: Dictionary, rng: np.random.Generator) -> DeepNMF:  # noqa: ARG003
        """Return the sparse NMF model of the pretrained dictionaries, unfolded."""
        snmf, bins = settings.snmf, settings.features.stft.bins
        return from_snmf(source.speech, source.noise, bins, snmf.sparsity, snmf.beta, settings.network)

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`Network.array_specs`)."""
        atoms, stacked = shapes.size("output", 1), shapes.size("dictionary.0", 0)
        check_speech_atoms(hyperparameters["speech_atoms"], atoms)
        context_of(stacked, bins)
        count = 1 + max(hyperparameters["layers"])
        dictionaries = {f"dictionary.{index}": ArraySpec((stacked, atoms), nonnegative=True) for index in range(count)}
        return dictionaries | {"output": ArraySpec((bins, atoms), nonnegative=True)}

    @property
    def parameters(self) -> int:
        """Number of weights: distinct dictionaries, tied ones counted once."""
        sizes = [W.shape[0] * W.shape[1] for W in (*self.dictionaries, self.output)]
        return sum(sizes)

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        per_layer = [self.dictionaries[index].shape for index in self.layers]
        factor = 2 if self.beta == 1 else 3
        return sum(factor * rows * atoms for rows, atoms in per_layer) + self.output.shape[0] * self.output.shape[1]

    def activations(self, m: Array) -> Array:
        """Return the last layer's activations ``(R, N)`` for stacked magnitudes ``(T·F, N)``."""
        dictionaries = [self.dictionaries[index] for index in self.layers]
        return infer(m, dictionaries, starting_activations(m, self), self.sparsity, self.beta)

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes ``(T·F, N)``."""
        return wiener_mask(self.output, self.activations(m), self.speech_atoms)

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""
        bins = self.output.shape[0]
        return MaskEstimator(self.mask, bins, self.dictionaries[0].shape[0] // bins)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        return {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)} | {"output": self.output}

    def hyperparameters(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {
            "layers": list(self.layers),
            "speech_atoms": self.speech_atoms,
            "sparsity": self.sparsity,
            "beta": self.beta,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array], hyperparameters: dict[str, Any]) -> Self:
        """Put together what :meth:`arrays` and :meth:`hyperparameters` returned."""
        return cls(
            dictionaries=tuple(arrays[f"dictionary.{index}"] for index in range(len(arrays) - 1)),
            layers=tuple(hyperparameters["layers"]),
            output=arrays["output"],
            speech_atoms=hyperparameters["speech_atoms"],
            sparsity=hyperparameters["sparsity"],
            beta=hyperparameters["beta"],
        )

    def replaced(self, dictionaries: tuple[Array, ...], output: Array) -> DeepNMF:
        """Return the same network with other weights."""
        return dataclasses.replace(self, dictionaries=tuple(dictionaries), output=output)


def infer(m: Array, dictionaries: Sequence[Array], h: Array, sparsity: float, beta: float) -> Array:
    """Return the activations after one update for each of the K `dictionaries`, from the activations `h`."""
    return unfold(lambda h, W: update_activations(m, W, h, sparsity, beta), dictionaries, h)


def starting_activations(m: Array, network: DeepNMF) -> Array:
    """Return h⁰, the same for every atom and frame: with β = 1 its scale cancels in the first layer."""
    atoms = network.output.shape[1]
    return 0 * (network.output[:1].T @ m[:1]) + 1 / atoms


def from_snmf(
    speech: np.ndarray, noise: np.ndarray, bins: int, sparsity: float, beta: float, config: NetworkConfig
) -> DeepNMF:
    """Unfold a sparse NMF model: every layer starts as the pretrained dictionary.

    Parameters
    ----------
    speech, noise : ndarray
        Dictionaries ``(T·F, R_s)`` and ``(T·F, R_n)``.
    bins : int
        F.
    sparsity, beta : float
        μ and β of the inference.
    config : NetworkConfig
        K, C and tying. The layers that are not trained share the pretrained dictionary; trained ones get their own,
        or one between them if tied.
    """
    K, C = config.layers, config.trained_layers
    W = np.concatenate([speech, noise], axis=1)
    trained = max(0, C - 1)
    own = [1] * trained if config.tied else list(range(1, trained + 1))
    layers = [0] * (K - trained) + own
    used = sorted(set(layers))
    return DeepNMF(
        dictionaries=tuple(W for _ in used),
        layers=tuple(used.index(index) for index in layers),
        output=W[-bins:],
        speech_atoms=speech.shape[1],
        sparsity=sparsity,
        beta=beta,
    )


def trained_dictionaries(network: DeepNMF, trained: int) -> list[int]:
    """Return the indices of the inference dictionaries that training changes when the last C layers are trained."""
    return sorted(set(network.layers[len(network.layers) - max(0, trained - 1) :]))
