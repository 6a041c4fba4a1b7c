"""Deep NMF with an LSTM prior, which predicts the initial activations (docs/model.md §6).

A small causal recurrent network (:mod:`.prior`) predicts the initial activations from the magnitudes of past and
present frames. K ≥ 0 multiplicative updates on the present frame refine them, and they give the Wiener mask. The
dictionaries are non-negative, and the two sources add up to the mixture, as in the frame-wise network: only the
initial activations are unconstrained. A filter over several frames may follow the mask (:mod:`.multi_frame`). The deep
recurrent NMF of Wisdom et al. (2017) is in :mod:`.dr_nmf`. This is the NumPy inference; :mod:`deepnmf.training.modules`
has the torch counterpart.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...artifacts.schema import (
    ATOMS,
    BETA,
    BINS_LIMIT,
    LAYERS_LIMIT,
    RECURRENT_LAYERS,
    SPARSITY,
    ArraySpec,
    NumberSpec,
    Shapes,
    check_speech_atoms,
)
from ...dsp.arrays import epsilon
from ...nmf.updates import update_activations
from .. import aligned
from ..base import SequenceNetwork, in_settings
from .multi_frame import MultiFrameFilter, MultiFrameStream
from .prior import RecurrentPrior
from .prior_stream import PriorStream

if TYPE_CHECKING:
    from ...config import FeatureConfig
    from ...nmf.dictionary import Dictionary
    from ..settings import RecurrentDeepNMFConfig


@dataclass(frozen=True, eq=False)
class RecurrentDeepNMF(SequenceNetwork):
    """A deep NMF network whose initial activations are predicted by a recurrent prior.

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
    multi_frame : MultiFrameFilter or None
        The filter behind the mask.
    """

    SETTINGS = in_settings("RecurrentDeepNMFConfig")
    TRAINING = in_settings("RecurrentDeepNMFTraining")
    ATTENUATES_PAUSES: ClassVar[bool] = True
    FROM_DICTIONARY: ClassVar[bool] = True
    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset({"dictionary", "output"})
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {
        "recurrent_layers": RECURRENT_LAYERS,
        "layers": NumberSpec(0, LAYERS_LIMIT, integer=True),
        "speech_atoms": ATOMS,
        "sparsity": SPARSITY,
        "beta": BETA,
        "filtered_bins": NumberSpec(0, BINS_LIMIT, integer=True, absent=0),
    }

    prior: RecurrentPrior
    dictionaries: tuple[np.ndarray, ...]
    output: np.ndarray
    speech_atoms: int
    sparsity: float
    beta: float
    multi_frame: MultiFrameFilter | None = None

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`.base.Network.array_specs`)."""
        atoms = shapes.size("output", 1)
        check_speech_atoms(hyperparameters["speech_atoms"], atoms)
        names = ["output", *(f"dictionary.{index}" for index in range(hyperparameters["layers"]))]
        dictionaries = {name: ArraySpec((bins, atoms), nonnegative=True) for name in names}
        prior = RecurrentPrior.array_specs(hyperparameters["recurrent_layers"], bins, atoms, shapes)
        filtered = hyperparameters["filtered_bins"]
        return prior | dictionaries | (MultiFrameFilter.array_specs(filtered, bins, shapes) if filtered else {})

    @classmethod
    def start(
        cls,
        settings: RecurrentDeepNMFConfig,
        features: FeatureConfig,
        dictionary: Dictionary | None,
        rng: np.random.Generator,
    ) -> RecurrentDeepNMF:
        """Return a network with a random prior and pretrained dictionaries."""
        assert dictionary is not None
        W = dictionary.atoms + np.float32(epsilon(dictionary.atoms))  # the logarithm of a zero could not be trained
        prior = RecurrentPrior.start(settings, features.stft, W.shape[1], rng)
        size = settings.filter_frames, settings.filter_units, settings.subband_units
        return cls(
            prior=prior,
            dictionaries=(W,) * settings.layers,
            output=W,
            speech_atoms=dictionary.speech.shape[1],
            sparsity=dictionary.snmf.sparsity,
            beta=dictionary.snmf.beta,
            multi_frame=MultiFrameFilter.start(*size, features.stft, rng) if settings.filter_units else None,
        )

    def profile_inputs(self) -> frozenset[str]:
        """Return the kinds of profiles that the network has an input for."""
        return frozenset(self.prior.profiles)

    def with_profiles(self, magnitudes: Mapping[str, np.ndarray]) -> RecurrentDeepNMF:
        """Return the network for recordings with profiles, magnitudes ``(F, N)`` at unit level by kind."""
        return dataclasses.replace(self, prior=self.prior.with_profiles(magnitudes))

    def dictionary_indices(self) -> list[int]:
        """Return the index into `dictionaries` of each of the K layers: each has its own."""
        return list(range(len(self.dictionaries)))

    def optional_parts(self) -> dict[str, int]:
        """Return the settings of the fusion layer and of the filter, as the weights have them."""
        parts = {"fusion_units": sum(cell.units for cell in self.prior.fusion), "filter_units": 0}
        if (multi_frame := self.multi_frame) is not None:
            parts |= {"filter_units": multi_frame.cell.units, "filter_frames": multi_frame.past_frames}
        return parts

    def title(self, trained_layers: int | None) -> str:  # noqa: ARG002
        """Return a short description of the kind of network."""
        return f"LSTM-prior deep NMF, K = {len(self.dictionaries)}"

    def layer_activations(self, magnitudes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the activations ``(R, N)`` after 0 … K layers of magnitudes ``(F, N)`` at unit level."""
        from .deep_nmf import activations_by_layer

        h = PriorStream(self.prior).push(magnitudes)
        return activations_by_layer(magnitudes, self.dictionaries, h, self.sparsity, self.beta)

    def with_atoms(self) -> RecurrentDeepNMF:
        """Return the network."""
        return self

    def describe(self) -> list[tuple[str, str]]:
        """Return name and value of the properties to show for this kind, besides its size."""
        prior = self.prior
        full_band = " and ".join(str(cell.units) for cell in prior.cells)
        fusion = "".join(f", and of {cell.units} units over both" for cell in prior.fusion)
        return [
            (
                "prior",
                f"LSTM of {full_band} units over {len(prior.pooling)} bands, and of {prior.subband[0].units} units in "
                f"each of {prior.subbands} sub-bands{fusion}",
            ),
            *([("filter", self.multi_frame.title())] if self.multi_frame else []),
            *[("profiles", " and ".join(sorted(prior.profiles)))] * bool(prior.profiles),
            ("inference", f"beta {self.beta:g}, sparsity {self.sparsity:g}"),
        ]

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        layers = (2 if self.beta == 1 else 3) * sum(W.size for W in self.dictionaries)
        multiplications = self.prior.multiplications + layers + self.output.size
        if self.multi_frame is not None:
            multiplications += self.multi_frame.multiplications + self.prior.subbands * self.multi_frame.features.size
        return multiplications

    def estimator(self) -> RecurrentEstimator:
        """Return a fresh streaming mask estimator."""
        return RecurrentEstimator(self)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        dictionaries = {f"dictionary.{index}": W for index, W in enumerate(self.dictionaries)}
        multi_frame = self.multi_frame.arrays() if self.multi_frame else {}
        return self.prior.arrays() | dictionaries | {"output": self.output} | multi_frame

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays."""
        return {
            **self.prior.hyperparameters(),
            "layers": len(self.dictionaries),
            "speech_atoms": self.speech_atoms,
            "sparsity": self.sparsity,
            "beta": self.beta,
            "filtered_bins": self.multi_frame.bins if self.multi_frame else 0,
        }

    @functools.cached_property
    def output_by_source(self) -> tuple[np.ndarray, np.ndarray]:
        """The reconstruction dictionaries of speech and noise, ``(atoms, F)`` as a product reads them."""
        return tuple(map(aligned.copy, np.split(self.output.T, [self.speech_atoms])))  # type: ignore[return-value]

    @functools.cached_property
    def updates(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each layer, its dictionary, and the reciprocals ``(1, R)`` of its update's denominators with β = 1."""
        floor = self.sparsity + epsilon(self.output)
        return [(aligned.copy(W), 1 / (W.sum(axis=0, keepdims=True) + np.float32(floor))) for W in self.dictionaries]

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], hyperparameters: dict[str, Any]) -> RecurrentDeepNMF:
        """Put together what :meth:`arrays` and :meth:`hyperparameters` returned."""
        filtered = hyperparameters["filtered_bins"]
        return cls(
            prior=RecurrentPrior.from_arrays(arrays, hyperparameters),
            dictionaries=tuple(arrays[f"dictionary.{index}"] for index in range(hyperparameters["layers"])),
            output=arrays["output"],
            speech_atoms=hyperparameters["speech_atoms"],
            sparsity=hyperparameters["sparsity"],
            beta=hyperparameters["beta"],
            multi_frame=MultiFrameFilter.from_arrays(filtered, arrays) if filtered else None,
        )


class RecurrentEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        self._network = network
        features = None if network.multi_frame is None else network.multi_frame.features / 2  # of doubled outputs
        self._prior = PriorStream(network.prior, features)
        self._updates, (self._speech, self._noise) = network.updates, network.output_by_source
        self._floor = np.array(epsilon(network.output), np.float32)
        self._filter = _filter_stream(network)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        if not magnitudes.shape[1]:
            return np.zeros_like(magnitudes)
        h = self._prior.push(magnitudes).T  # (N, R)
        for W, rates in self._updates:
            h = self._updated(magnitudes, W, rates, h)
        product = np.ndarray.dot if len(h) == 1 else np.matmul  # the latter does not copy slices of several rows
        of_speech = len(self._speech)
        speech = product(h[:, :of_speech], self._speech)  # (N, F)
        total = product(h[:, of_speech:], self._noise)
        total += speech
        total += self._floor
        speech /= total
        return speech.T  # (F, N)

    def push_with_filter(self, magnitudes: np.ndarray, advances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mask, and the weights of the network's filter.

        Parameters
        ----------
        magnitudes : ndarray
            ``(F, N)`` at unit level.
        advances : ndarray
            Real and imaginary parts of the phase advances from each of the past frames, ``(N, 2, K, L)``
            (:class:`deepnmf.dsp.past_frames.PastFrames`).

        Returns
        -------
        ndarray
            The mask ``(F, N)``.
        ndarray
            Weights of the frames, ``(N, 1 + K, L)``, from the oldest to the present, complex64.
        """
        assert self._filter is not None
        mask = self.push(magnitudes)
        if not magnitudes.shape[1]:
            return mask, np.zeros((0, 1 + advances.shape[2], advances.shape[3]), np.complex64)
        return mask, self._filter.push(magnitudes, mask, self._prior.features, advances)

    def _updated(self, m: np.ndarray, W: np.ndarray, rates: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Return the activations ``(N, R)`` after one layer, :func:`update_activations`; with β = 1, in place."""
        network = self._network
        if network.beta != 1:
            return update_activations(m, W, h.T, network.sparsity, network.beta).T
        model = h.dot(W.T)
        model += self._floor
        np.divide(m.T, model, out=model)
        h *= model.dot(W)
        h *= rates
        return h


def _filter_stream(network: RecurrentDeepNMF) -> MultiFrameStream | None:
    """Return the filter of a new stream, if the network has one."""
    if (multi_frame := network.multi_frame) is None:
        return None
    prior = network.prior
    return MultiFrameStream(multi_frame, prior.pooling.shape[1], prior.subband_of_bins(multi_frame.bins))
