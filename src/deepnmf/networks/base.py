"""What the rest of the package needs of a network, and what networks of independent frames share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from ..config import Config
from ..dsp.arrays import Array
from ..dsp.stft import stack_context
from ..schema import ArraySpec, NumberSpec, Shapes

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..nmf.dictionary import Dictionary


class Estimator(Protocol):
    """A stream of masks."""

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of the next magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""


class Network(Protocol):
    """What the rest of the package needs of a trained network, whatever its kind."""

    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]]
    """What the model file says beside the arrays, and within which ranges."""

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have.

        Parameters
        ----------
        hyperparameters : dict
            Within the ranges of `HYPERPARAMETERS`.
        bins : int
            F of the features.
        shapes : Shapes
            Of the arrays in the file: the sizes that nothing else decides, such as R, are taken from there.

        Raises
        ------
        DeepnmfError
            If an array that decides a size is missing, or sizes and hyperparameters contradict each other.
        """

    @property
    def parameters(self) -> int:
        """Number of weights."""

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""

    def arrays(self) -> dict[str, Any]:
        """Return all arrays by name, as the model file holds them."""

    def hyperparameters(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays, as JSON values."""

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], hyperparameters: dict[str, Any]) -> Self:
        """Put together what :meth:`arrays` and :meth:`hyperparameters` returned."""


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


class UnfoldedNetwork(ABC):
    """A mask estimator whose frames are independent; a subclass is a frozen dataclass of arrays and numbers."""

    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset()
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """F and T·F, the bins of the mask and of the stacked magnitudes."""

    @abstractmethod
    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes at unit level ``(T·F, N)``."""

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(math.prod(array.shape) for array in self.arrays().values())

    @classmethod
    @abstractmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`Network.array_specs`)."""

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""
        bins, stacked = self.shape
        return MaskEstimator(self.mask, bins, stacked // bins)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, int | float)}

    def hyperparameters(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int | float)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array], hyperparameters: dict[str, Any]) -> Self:
        """Put together what :meth:`arrays` and :meth:`hyperparameters` returned."""
        return cls(**arrays, **{name: value for name, value in hyperparameters.items() if name != "kind"})


FramewiseT = TypeVar("FramewiseT", bound=FramewiseNetwork)


def with_arrays(network: FramewiseT, tensors: dict[str, Array]) -> FramewiseT:
    """Return the same network with other arrays."""
    return network.from_arrays(tensors, network.hyperparameters())
