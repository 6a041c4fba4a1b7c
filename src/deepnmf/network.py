"""The parameters of a deep NMF network: which dictionary each layer uses, and which of them are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from .config import Config, NetworkConfig
from .numerics import Array
from .stft import stack_context
from .unfolding.nmf import infer, wiener_mask

if TYPE_CHECKING:
    from typing_extensions import Self

    from .pretraining import Dictionary


class Estimator(Protocol):
    """A stream of masks."""

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of the next magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""


class Network(Protocol):
    """What the rest of the package needs of a trained network, whatever its kind."""

    @property
    def parameters(self) -> int:
        """Number of weights."""

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""

    def tensors(self) -> dict[str, Any]:
        """Return all arrays by name, as the model file holds them."""

    def settings(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays, as JSON values."""

    @classmethod
    def from_file(cls, tensors: dict[str, Any], settings: dict[str, Any]) -> Self:
        """Put together what :meth:`tensors` and :meth:`settings` returned."""


@runtime_checkable
class DictionaryNetwork(Protocol):
    """A network that explains a spectrum by atoms, which can be shown."""

    @property
    def output(self) -> Array:
        """Reconstruction dictionary ``(F, R)``; its first `speech_atoms` atoms are speech."""

    @property
    def dictionaries(self) -> tuple[Array, ...]:
        """The distinct dictionaries of the layers before."""

    @property
    def speech_atoms(self) -> int:
        """R_s."""


class FramewiseNetwork(Network, Protocol):
    """A network whose frames are independent, its arrays of NumPy or torch: what training needs of it.

    Arrays are named by what they are, with the layer after a dot if there are several: ``"weights.2"``.
    """

    NONNEGATIVE: ClassVar[frozenset[str]]
    """What stays ≥ 0, by name without the layer: it is trained as its logarithm, the rest as it is."""

    @classmethod
    def start(cls, settings: Config, source: Dictionary, rng: np.random.Generator) -> Self:
        """Return the untrained network, float32 in NumPy, from the pretrained dictionaries or at random."""

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes at unit level ``(T·F, N)``."""


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

    def tensors(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        return {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)} | {"output": self.output}

    def settings(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {
            "layers": list(self.layers),
            "speech_atoms": self.speech_atoms,
            "sparsity": self.sparsity,
            "beta": self.beta,
        }

    @classmethod
    def from_file(cls, tensors: dict[str, Array], settings: dict[str, Any]) -> Self:
        """Put together what :meth:`tensors` and :meth:`settings` returned."""
        return cls(
            dictionaries=tuple(tensors[f"dictionary.{index}"] for index in range(len(tensors) - 1)),
            layers=tuple(settings["layers"]),
            output=tensors["output"],
            speech_atoms=settings["speech_atoms"],
            sparsity=settings["sparsity"],
            beta=settings["beta"],
        )

    def replaced(self, dictionaries: tuple[Array, ...], output: Array) -> DeepNMF:
        """Return the same network with other weights."""
        return dataclasses.replace(self, dictionaries=tuple(dictionaries), output=output)


class MaskEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out.

    `mask` is the network's own, of stacked frames.
    """

    def __init__(self, mask: Callable[[np.ndarray], np.ndarray], bins: int, context: int) -> None:
        self._mask = mask
        self._context = context
        self._past = np.zeros((bins, context - 1), np.float32)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        stacked = stack_context(magnitudes, self._context, self._past)
        if self._context > 1:
            self._past = np.concatenate([self._past, magnitudes], axis=1)[:, -(self._context - 1) :]
        return self._mask(stacked)


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


FramewiseT = TypeVar("FramewiseT", bound=FramewiseNetwork)


def with_tensors(network: FramewiseT, tensors: dict[str, Array]) -> FramewiseT:
    """Return the same network with other arrays."""
    return network.from_file(tensors, network.settings())
