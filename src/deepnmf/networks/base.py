"""The interface of networks, and the common base of frame-wise networks."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, cast

import numpy as np

from ..artifacts.schema import ArraySpec, NumberSpec, Shapes
from ..dsp.arrays import Array
from ..dsp.stft import stack_context
from ..errors import DeepnmfError

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..config import FeatureConfig, NetworkConfig, TrainConfig
    from ..nmf.dictionary import Dictionary
    from .unfolded.deep_nmf import DeepNMF
    from .unfolded.multi_frame import MultiFrameFilter


def in_settings(name: str) -> Any:
    """Return a class attribute that stands for a class of :mod:`.settings`, imported when it is used: by training.

    It is assigned without an annotation, for which :func:`dataclasses.dataclass` would use it.
    """
    return _InSettings(name)


class _InSettings:
    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return getattr(import_module("deepnmf.networks.settings"), self._name)


NumpyMask: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""The mask of stacked magnitudes, of a network of NumPy's arrays."""


class Estimator(Protocol):
    """A stream of masks."""

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of the next magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""


class FilterEstimator(Estimator, Protocol):
    """A stream of masks and of weights of a filter over several frames (:mod:`.unfolded.multi_frame`)."""

    def push_with_filter(self, magnitudes: np.ndarray, advances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mask, and the weights ``(N, 1 + K, L)``, for phase advances ``(N, 2, K, L)``."""


class DictionaryNetwork(Protocol):
    """A network that decomposes spectra into atoms, which can be shown; its arrays are NumPy's."""

    @property
    def output(self) -> np.ndarray:
        """Reconstruction dictionary ``(F, R)``; its first `speech_atoms` atoms are speech."""

    @property
    def dictionaries(self) -> tuple[np.ndarray, ...]:
        """The distinct dictionaries of the layers before."""

    @property
    def speech_atoms(self) -> int:
        """R_s."""

    def dictionary_indices(self) -> list[int]:
        """Return the index into `dictionaries` of each of the K layers."""


class Network(ABC):
    """A trained network. The defaults here are for kinds without the feature."""

    SETTINGS: ClassVar[type[NetworkConfig]]
    """What section ``network`` of the configuration has for this kind."""
    TRAINING: ClassVar[type[TrainConfig]]
    """The same for section ``train``."""
    FROM_DICTIONARY: ClassVar[bool] = False
    """Whether it starts from pretrained dictionaries."""
    DYNAMIC_MIXING: ClassVar[bool] = False
    """Whether it is trained with dynamic mixing, else on stored features."""
    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset()
    """Arrays that stay ≥ 0, by name without the layer: training keeps them so."""
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]]
    """Hyperparameters stored beside the arrays, and their ranges."""
    ATTENUATES_PAUSES: ClassVar[bool] = False
    """Whether pauses are attenuated further when it enhances (:mod:`deepnmf.dsp.pauses`)."""
    multi_frame: MultiFrameFilter | None = None
    """The filter behind the mask; its :meth:`estimator` is a :class:`FilterEstimator`, then."""

    @classmethod
    @abstractmethod
    def start(
        cls, settings: Any, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> Self:
        """Return the untrained network, float32 in NumPy.

        Parameters
        ----------
        settings : NetworkConfig
            Of the class `SETTINGS`.
        features : FeatureConfig
            The transform.
        dictionary : Dictionary or None
            The pretrained dictionaries, if the kind starts from them.
        rng : Generator
            For the random initialisation.
        """

    @classmethod
    @abstractmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have.

        Parameters
        ----------
        hyperparameters : dict
            Within the ranges of `HYPERPARAMETERS`.
        bins : int
            F of the features.
        shapes : Shapes
            Of the arrays in the file: the sizes that nothing else determines, such as R, are taken from there.

        Raises
        ------
        DeepnmfError
            If an array that determines a size is missing, or sizes and hyperparameters contradict each other.
        """

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: dict[str, Any], hyperparameters: dict[str, Any]) -> Self:
        """Restore a network from its :meth:`arrays` and :meth:`hyperparameters`."""

    @abstractmethod
    def arrays(self) -> dict[str, Any]:
        """Return all arrays by name, as the model file holds them; the layer follows a dot: ``"weights.2"``."""

    @abstractmethod
    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays, as JSON values."""

    @abstractmethod
    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""

    @property
    def parameters(self) -> int:
        """Number of weights; a band pooling is fixed and does not count."""
        return sum(math.prod(array.shape) for name, array in self.arrays().items() if name != "pooling")

    @property
    @abstractmethod
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""

    def canonical(self) -> Self:
        """Return the same network, of NumPy's arrays, in the form that training stores: one scale for equal masks."""
        return self

    def checked(self) -> Self:
        """Return the network, if its weights work together: each array by itself is within its specification.

        Raises
        ------
        DeepnmfError
            If they do not.
        """
        return self

    def calibrated(self, mixtures: Callable[[], np.ndarray], trained: Collection[str]) -> Self:  # noqa: ARG002
        """Return the network with its arbitrary scales, on which masks do not depend, at the level of mixtures.

        Parameters
        ----------
        mixtures : callable
            Gives stacked magnitudes ``(T·F, N)`` at unit level, if the kind has such scales.
        trained : collection of str
            Names of the arrays that training has changed.
        """
        return self

    def trained_arrays(self, settings: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the arrays that training changes."""
        return [name for name in self.arrays() if name != "pooling"]

    def optional_parts(self) -> dict[str, int]:
        """Return the settings of the parts that a network of the kind may have or not, as the weights have them."""
        return {}

    def title(self, trained_layers: int | None) -> str:  # noqa: ARG002
        """Return a short description of the kind of network; empty where its name in the registry suffices."""
        return ""

    def describe(self) -> list[tuple[str, str]]:
        """Return name and value of the properties to show for this kind, besides its size."""
        return []

    def framewise(self) -> FramewiseNetwork | None:
        """Return the network if its frames are independent, so that it also works on arrays of torch."""
        return None

    def with_atoms(self) -> DictionaryNetwork | None:
        """Return the network if it has atoms to show."""
        return None

    def layer_activations(self, magnitudes: np.ndarray) -> Iterator[np.ndarray] | None:  # noqa: ARG002
        """Return the activations ``(R, N)`` after 0 … K layers of magnitudes ``(F, N)``, if there are some."""
        return None

    def profile_inputs(self) -> frozenset[str]:
        """Return the kinds of profiles, ``noise`` and ``voice``, that the network has an input for."""
        return frozenset()

    def with_profiles(self, magnitudes: Mapping[str, np.ndarray]) -> Network:
        """Return the network for recordings with profiles, magnitudes ``(F, N)`` at unit level by kind.

        Raises
        ------
        DeepnmfError
            If it has no input for one of them.
        """
        raise DeepnmfError(f"this model has no input for a profile of the {' and '.join(sorted(magnitudes))}")

    def adaptable(self) -> DeepNMF:
        """Return the network if noise atoms can join it.

        Raises
        ------
        DeepnmfError
            If they cannot; the message gives the reason.
        """
        raise DeepnmfError("this model has no noise atoms to add to: it is not a deep NMF; use another model")


class FramewiseNetwork(Network):
    """A network whose frames are independent: a frozen dataclass of arrays, NumPy's or torch's, and numbers."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """F and T·F, the bins of the mask and of the stacked magnitudes."""

    @abstractmethod
    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes at unit level ``(T·F, N)``."""

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""
        bins, stacked = self.shape
        return MaskEstimator(cast("NumpyMask", self.mask), bins, stacked // bins)

    def framewise(self) -> FramewiseNetwork:
        """Return the network."""
        return self

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, int | float)}

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int | float)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array], hyperparameters: dict[str, Any]) -> Self:
        """Restore a network from its :meth:`arrays` and :meth:`hyperparameters`."""
        return cls(**arrays, **{name: value for name, value in hyperparameters.items() if name != "kind"})

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        """Return the same network with other arrays."""
        return dataclasses.replace(self, **arrays)  # type: ignore[type-var]


class SequenceNetwork(Network):
    """A network with a memory, of NumPy's arrays, which is trained on segments mixed on the fly."""

    DYNAMIC_MIXING: ClassVar[bool] = True

    def mask(self, m: np.ndarray) -> np.ndarray:
        """Return the speech mask in [0, 1] of the magnitudes ``(F, N)`` of a complete recording, shape ``(F, N)``."""
        return self.estimator().push(m)


class MaskEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out.

    `mask` is the network's own, of stacked frames.
    """

    def __init__(self, mask: NumpyMask, bins: int, context: int) -> None:
        self._mask = mask
        self._context = context
        self._past = np.zeros((bins, context - 1), np.float32)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        stacked = stack_context(magnitudes, self._context, self._past)
        if self._context > 1:
            self._past = np.concatenate([self._past, magnitudes], axis=1)[:, -(self._context - 1) :]
        return self._mask(stacked)
