"""Deep NMF: multiplicative updates unfolded into layers, each with its own dictionary (Hershey et al. 2014, §4).

Which dictionary each layer uses, which of them are trained, and the mask. Arrays are NumPy's or torch's: training and
inference share this one definition.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from ...dsp.arrays import AnyArray, Array
from ...dsp.stft import stack_context
from ...errors import InputError
from ...nmf.updates import update_activations, wiener_mask
from ..base import DictionaryNetwork, FramewiseNetwork, in_settings
from .calibration import calibrated
from .unfold import unfold

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...config import FeatureConfig
    from ...nmf.dictionary import Dictionary
    from ..settings import DeepNMFConfig


UNIT_TOLERANCE = 0.01
"""Tolerance of the unit norm of the atoms of a dictionary that still models spectra."""
ROUNDING = 1e-6
"""Norms this close to one are one."""


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
        μ of the sparse NMF that the network started from.
    beta : float
        β of the inference.
    gains : Array
        ``(K + 1, R)``: row k multiplies the activations on their way into layer k, the last one into the output. In
        canonical form (:meth:`canonical`) they hold the scale of the atoms, which have unit norm.
    sparsities : Array
        μ of each layer and atom, ``(K, R)``.
    """

    SETTINGS = in_settings("DeepNMFConfig")
    TRAINING = in_settings("DeepNMFTraining")
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
    gains: Array
    sparsities: Array

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
            **uniform_scale(dictionary.atoms, K, dictionary.snmf.sparsity),
        )

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have; those up to version 0.2 had no gains."""
        atoms, stacked = shapes.size("output", 1), shapes.size("dictionary.0", 0)
        check_speech_atoms(hyperparameters["speech_atoms"], atoms)
        context_of(stacked, bins)
        count, K = 1 + max(hyperparameters["layers"]), len(hyperparameters["layers"])
        sizes = {f"dictionary.{index}": (stacked, atoms) for index in range(count)} | {"output": (bins, atoms)}
        if "gains" in shapes or "sparsities" in shapes:
            sizes |= {"gains": (K + 1, atoms), "sparsities": (K, atoms)}
        return {name: ArraySpec(size, nonnegative=True) for name, size in sizes.items()}

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
        """Return the activations of the output's atoms ``(R, N)`` for stacked magnitudes ``(T·F, N)``."""
        h = starting_activations(self)
        return unfold(lambda h, layer: self.layer(m, h, layer), range(len(self.layers)), h)

    def layer(self, m: Array, h: Array, k: int) -> Array:
        """Return the activations that enter the layer after layer k, given those that enter layer k."""
        W, mu = self.dictionaries[self.layers[k]], self.sparsities[k][:, None]
        return update_activations(m, W, h, mu, self.beta) * self.gains[k + 1][:, None]

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes ``(T·F, N)``."""
        h = self.activations(m)  # (R, N)
        return wiener_mask(self.output, h, self.speech_atoms)  # (F, N)

    def canonical(self) -> Self:
        """Return the same network, of NumPy's arrays, with atoms of unit norm.

        With ``W = Ŵ diag(c)``, one update of ĥ = c ∘ h is that of h with Ŵ and with μ / c for μ. The norms c of the
        layers thus become gains between them, and a μ for each atom. Masks are the same, except for the guard against
        division by zero and numbers too small for their precision, which become zeros.
        """
        norms = [atom_norms(W) for W in (*self.dictionaries, self.output)]
        scales = [*(norms[index] for index in self.layers), norms[-1]]  # of the K layers and the output
        before = [np.ones_like(norms[-1]), *scales[:-1]]
        gains = [np.asarray(gain) * c / b for gain, c, b in zip(self.gains, scales, before, strict=True)]
        sparsities = [np.asarray(mu) / c for mu, c in zip(self.sparsities, scales[:-1], strict=True)]
        return dataclasses.replace(
            self,
            dictionaries=tuple(unit_atoms(W, c) for W, c in zip(self.dictionaries, norms[:-1], strict=True)),
            output=unit_atoms(self.output, norms[-1]),
            gains=np.stack(gains).astype(self.gains.dtype),
            sparsities=np.stack(sparsities).astype(self.sparsities.dtype),
        )

    def calibrated(self, mixtures: Callable[[], np.ndarray], trained: Collection[str]) -> Self:
        """Return the network in canonical form whose W h has the mean spectrum of mixtures, in every trained layer."""
        if not trained:
            return self
        m, network = mixtures(), self.canonical()
        return calibrated(network, m, np.asarray(starting_activations(network)), trained)

    def layer_activations(self, magnitudes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the activations ``(R, N)`` after 0 … K layers of magnitudes ``(F, N)`` at unit level.

        All have the scale of the output's atoms, as if the gains of the layers that follow were applied at once.
        """
        m = stack_context(magnitudes, self.shape[1] // self.shape[0])  # (T·F, N)
        gains = np.asarray(self.gains)
        h = np.repeat(np.asarray(starting_activations(self)), m.shape[1], axis=1)
        yield h * gains[1:].prod(axis=0)[:, None]
        for k in range(len(self.layers)):
            h = np.asarray(self.layer(m, h, k))
            yield h * gains[k + 2 :].prod(axis=0)[:, None]

    def with_atoms(self) -> DictionaryNetwork:
        """Return the network."""
        return cast("DictionaryNetwork", self)  # of NumPy arrays, as models that are shown come from files

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
            ("inference", f"beta {self.beta:g}, sparsity {self._sparsity_range()}"),
        ]

    def _sparsity_range(self) -> str:
        """Return the medians of the layers' sparsities, which training changes: scaled atoms feel it less or more."""
        medians = np.median(np.asarray(self.canonical().sparsities), axis=1)
        low, high = f"{medians.min():.3g}", f"{medians.max():.3g}"
        return low if low == high else f"{low} to {high} (medians of the layers, for atoms of unit norm)"

    def adaptable(self) -> DeepNMF:
        """Return the network if the layers' atoms are still those of a sparse NMF, which have unit norm.

        Discriminative training turns the layers into filters that no longer model spectra, so that new atoms do not fit
        them: on dev they cost such networks 5 dB, while sparse and discriminative NMF gain 1 to 2 dB.
        """
        scales = [*(atom_norms(W) for W in self.dictionaries), *self.gains[:-1]]
        if any(np.abs(np.asarray(scale) - 1).max() > UNIT_TOLERANCE for scale in scales):
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
        """Number of entries of the dictionaries: a gain stands for the norm that its atom has lost.

        In sparse NMF the output is rows of the one dictionary and does not count again.
        """
        rows, output = (np.asarray(W) for W in (self.dictionaries[0][-self.output.shape[0] :], self.output))
        shared = len(self.dictionaries) == 1 and np.allclose(rows, output * np.asarray(self.gains[-1]), 1e-6, 0)
        dictionaries = self.dictionaries if shared else (*self.dictionaries, self.output)
        return sum(math.prod(W.shape) for W in dictionaries)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        dictionaries = {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)}
        return dictionaries | {"output": self.output, "gains": self.gains, "sparsities": self.sparsities}

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
        """Restore a network from its :meth:`arrays` and :meth:`hyperparameters`, also of versions up to 0.2."""
        layers, output, sparsity = tuple(hyperparameters["layers"]), arrays["output"], hyperparameters["sparsity"]
        scale = uniform_scale(output, len(layers), sparsity)
        return cls(
            dictionaries=tuple(arrays[f"dictionary.{index}"] for index in range(1 + max(layers))),
            layers=layers,
            output=output,
            speech_atoms=hyperparameters["speech_atoms"],
            sparsity=sparsity,
            beta=hyperparameters["beta"],
            gains=arrays.get("gains", scale["gains"]),
            sparsities=arrays.get("sparsities", scale["sparsities"]),
        )

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        """Return the same network with other arrays; those that are not given stay."""
        present = {**self.arrays(), **arrays}
        dictionaries = tuple(present[f"dictionary.{index}"] for index in range(len(self.dictionaries)))
        return dataclasses.replace(
            self,
            dictionaries=dictionaries,
            output=present["output"],
            gains=present["gains"],
            sparsities=present["sparsities"],
        )


def uniform_scale(W: Array, layers: int, sparsity: float) -> dict[str, Array]:
    """Return gains of one and the sparsity of K `layers` of atoms of ``(F, R)``, of the same precision."""
    dtype, atoms = np.asarray(W).dtype, W.shape[1]
    return {"gains": np.ones((layers + 1, atoms), dtype), "sparsities": np.full((layers, atoms), sparsity, dtype)}


def atom_norms(W: Array) -> np.ndarray:
    """Return the norms of the atoms of ``(F, R)``, one for zeros; rounding does not make a unit norm another."""
    norms = np.sqrt(np.square(np.asarray(W), dtype=np.float64).sum(axis=0))
    return np.where((norms == 0) | (np.abs(norms - 1) < ROUNDING), 1.0, norms)


def unit_atoms(W: Array, norms: np.ndarray) -> np.ndarray:
    """Return the atoms of ``(F, R)`` divided by their norms, without denormal numbers, in the precision of W."""
    atoms = (np.asarray(W) / norms).astype(np.asarray(W).dtype)
    return np.where(atoms < np.finfo(atoms.dtype).tiny, 0, atoms)


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


def starting_activations(network: DeepNMF) -> Array:
    """Return h⁰ ``(R, 1)``, the same for every atom and frame but for the gains: with β = 1 its scale cancels."""
    return network.gains[0][:, None] * (1 / len(network.gains[0]))


def trained_dictionaries(network: DeepNMF, trained: int) -> list[int]:
    """Return the indices of the inference dictionaries that training changes when the last C layers are trained."""
    return sorted(set(network.layers[len(network.layers) - max(0, trained - 1) :]))
