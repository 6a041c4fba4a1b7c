"""Deep NMF: multiplicative updates unfolded into layers, each with its own dictionary (Hershey et al. 2014, §4).

Which dictionary each layer uses, which of them are trained, and the mask. Arrays are NumPy's or torch's: training and
inference share this one definition.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from ...artifacts.schema import (
    ATOMS,
    BETA,
    LAYERS_LIMIT,
    SPARSITY,
    ArraySpec,
    NumberSpec,
    Shapes,
    check_speech_atoms,
    context_of,
)
from ...config import FeatureConfig, NetworkConfig, TrainConfig
from ...dsp.arrays import AnyArray, Array
from ...dsp.stft import stack_context
from ...errors import InputError
from ...nmf.updates import update_activations, wiener_mask
from ..base import DictionaryNetwork, FramewiseNetwork
from ..settings import DeepNMFConfig, DeepNMFTraining
from .unfold import unfold

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...nmf.dictionary import Dictionary


UNIT_TOLERANCE = 0.01
"""Tolerance of the unit norm of the atoms of a dictionary that still models spectra."""


@dataclass(frozen=True)
class DeepNMF(FramewiseNetwork):
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

    SETTINGS: ClassVar[type[NetworkConfig]] = DeepNMFConfig
    TRAINING: ClassVar[type[TrainConfig]] = DeepNMFTraining
    FROM_DICTIONARY: ClassVar[bool] = True
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
    def start(
        cls, settings: DeepNMFConfig, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> Self:
        """Return the unfolded sparse NMF model: every layer is initialised with the pretrained dictionary.

        Untrained layers share one dictionary; trained ones have their own, or share one if tied.
        """
        assert dictionary is not None
        K, trained = settings.layers, max(0, settings.trained - 1)
        own = [1] * trained if settings.tied else list(range(1, trained + 1))
        layers = [0] * (K - trained) + own
        used = sorted(set(layers))
        return cls(
            dictionaries=tuple(dictionary.atoms for _ in used),
            layers=tuple(used.index(index) for index in layers),
            output=dictionary.atoms[-features.stft.bins :],
            speech_atoms=dictionary.speech.shape[1],
            sparsity=dictionary.snmf.sparsity,
            beta=dictionary.snmf.beta,
        )

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
    def shape(self) -> tuple[int, int]:
        """F and T·F."""
        return self.output.shape[0], self.dictionaries[0].shape[0]

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        per_layer = [self.dictionaries[index].shape for index in self.layers]
        factor = 2 if self.beta == 1 else 3
        return sum(factor * rows * atoms for rows, atoms in per_layer) + self.output.shape[0] * self.output.shape[1]

    def activations(self, m: Array) -> Array:
        """Return the last layer's activations ``(R, N)`` for stacked magnitudes ``(T·F, N)``."""
        return infer(m, self.layer_dictionaries(), starting_activations(m, self), self.sparsity, self.beta)

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes ``(T·F, N)``."""
        h = self.activations(m)  # (R, N)
        return wiener_mask(self.output, h, self.speech_atoms)  # (F, N)

    def layer_dictionaries(self) -> list[Array]:
        """Return the dictionary of each of the K layers, ``(T·F, R)``."""
        return [self.dictionaries[index] for index in self.layers]

    def layer_activations(self, magnitudes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the activations ``(R, N)`` after 0 … K layers of magnitudes ``(F, N)`` at unit level."""
        m = stack_context(magnitudes, self.shape[1] // self.shape[0])  # (T·F, N)
        dictionaries = [np.asarray(W) for W in self.layer_dictionaries()]
        start = np.asarray(starting_activations(m, self))
        return activations_by_layer(m, dictionaries, start, self.sparsity, self.beta)

    def with_atoms(self) -> DictionaryNetwork:
        """Return the network."""
        return cast("DictionaryNetwork", self)  # of NumPy's arrays, as what is shown comes from a file

    def dictionary_indices(self) -> list[int]:
        """Return the index into `dictionaries` of each of the K layers."""
        return list(self.layers)

    def title(self, trained_layers: int | None) -> str:
        """Return a short description of the kind of network; C = 0 and C = 1 have names of their own."""
        if trained_layers is None:
            return f"deep NMF, K = {len(self.layers)}"
        name = {0: "sparse NMF", 1: "discriminative NMF"}.get(trained_layers, "deep NMF")
        return f"{name}, K = {len(self.layers)}, C = {trained_layers}"

    def describe(self) -> list[tuple[str, str]]:
        """Return name and value of the properties to show for this kind, besides its size."""
        own = len(self.dictionaries)
        return [
            ("dictionaries", f"{own} for {len(self.layers)} layers, and the output's"),
            ("inference", f"beta {self.beta:g}, sparsity {self.sparsity:g}"),
        ]

    def adaptable(self) -> DeepNMF:
        """Return the network if the layers' atoms are still those of a sparse NMF, which have unit norm.

        Discriminative training turns the layers into filters that no longer model spectra, so that new atoms do not fit
        them: on dev they cost such networks 5 dB, while sparse and discriminative NMF gain 1 to 2 dB.
        """
        norms = [np.sqrt(np.square(W, dtype=np.float64).sum(axis=0)) for W in self.dictionaries]
        if any(np.abs(norm - 1).max() > UNIT_TOLERANCE for norm in norms):
            raise InputError(
                "learned noise cannot join this model, whose layers were trained and no longer describe sound; use a "
                "sparse or discriminative NMF (network.trained_layers = 0 or 1)"
            )
        return self

    def trained_arrays(self, settings: DeepNMFConfig) -> list[str]:
        """Return the names of the arrays that training changes: those of the last C layers."""
        inference = [f"dictionary.{index}" for index in trained_dictionaries(self, settings.trained)]
        return [*inference, "output"] if settings.trained else []

    @property
    def parameters(self) -> int:
        """Number of weights; in sparse NMF the output is rows of the one dictionary and does not count again."""
        rows = self.dictionaries[0][-self.output.shape[0] :]
        shared = len(self.dictionaries) == 1 and np.array_equal(np.asarray(rows), np.asarray(self.output))
        return super().parameters - shared * math.prod(self.output.shape)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        return {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)} | {"output": self.output}

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays."""
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

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        """Return the same network with other arrays; those that are not given stay."""
        present = {**self.arrays(), **arrays}
        dictionaries = tuple(present[f"dictionary.{index}"] for index in range(len(self.dictionaries)))
        return dataclasses.replace(self, dictionaries=dictionaries, output=present["output"])


def infer(m: AnyArray, dictionaries: Sequence[AnyArray], h: AnyArray, sparsity: float, beta: float) -> AnyArray:
    """Return the activations after one update for each of the K `dictionaries`, from the activations `h`."""
    return unfold(lambda h, W: update_activations(m, W, h, sparsity, beta), dictionaries, h)


def activations_by_layer(
    m: np.ndarray, dictionaries: Sequence[np.ndarray], h: np.ndarray, sparsity: float, beta: float
) -> Iterator[np.ndarray]:
    """Yield the activations ``(R, N)`` after 0 … K layers, those of the start first."""
    yield h
    for W in dictionaries:
        h = update_activations(m, W, h, sparsity, beta)
        yield h


def starting_activations(m: Array, network: DeepNMF) -> Array:
    """Return h⁰, the same for every atom and frame: with β = 1 its scale cancels in the first layer."""
    atoms = network.output.shape[1]
    return 0 * (network.output[:1].T @ m[:1]) + 1 / atoms


def trained_dictionaries(network: DeepNMF, trained: int) -> list[int]:
    """Return the indices of the inference dictionaries that training changes when the last C layers are trained."""
    return sorted(set(network.layers[len(network.layers) - max(0, trained - 1) :]))
