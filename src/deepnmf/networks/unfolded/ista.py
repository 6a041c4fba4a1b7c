"""Sparse coding by iterative soft thresholding, non-negative, unfolded (Gregor & LeCun 2010; docs/unfolding.md).

Shapes: ``m`` (T·F, N), ``W`` (T·F, R), ``h`` (R, N); atoms of speech come before atoms of noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from ...artifacts.schema import (
    ATOMS,
    LAYERS,
    ArraySpec,
    NumberSpec,
    Shapes,
    check_speech_atoms,
    context_of,
    parameter_sets,
)
from ...config import FeatureConfig, NetworkConfig, TrainConfig
from ...dsp.arrays import Array
from ...nmf.updates import wiener_mask
from ..base import DictionaryNetwork, FramewiseNetwork
from ..settings import LayeredConfig, SparseCodingTraining
from .unfold import layer_parameters, unfold

if TYPE_CHECKING:
    from ...nmf.dictionary import Dictionary

STARTING_SPARSITY = 0.1
"""μ of the untrained network: the correlation with a unit-level frame above which an atom is active."""


def update(h: Array, m: Array, W: Array, step: Array | float, threshold: Array | float) -> Array:
    """Return ``max(0, h + step · Wᵀ(m − W h) − threshold)``, one step down ``½‖m − W h‖² + μ‖h‖₁``.

    The objective does not rise if ``step ≤ 1/‖W‖²`` (spectral norm) and ``threshold = step · μ``.
    """
    return (h + step * (W.T @ (m - W @ h)) - threshold).clip(0, None)


@dataclass(frozen=True)
class IstaNetwork(FramewiseNetwork):
    """K steps of non-negative sparse coding from h = 0, and the Wiener mask.

    Attributes
    ----------
    atoms : Array
        W, ``(sets, T·F, R)``, with one set of parameters if tied and K if not; so too below.
    steps : Array
        ``(sets,)``.
    thresholds : Array
        ``(sets, R)``.
    output : Array
        Reconstruction dictionary ``(F, R)``.
    layers : int
        K.
    speech_atoms : int
        R_s.
    """

    SETTINGS: ClassVar[type[NetworkConfig]] = LayeredConfig
    TRAINING: ClassVar[type[TrainConfig]] = SparseCodingTraining
    FROM_DICTIONARY: ClassVar[bool] = True
    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset({"atoms", "steps", "thresholds", "output"})
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {"layers": LAYERS, "speech_atoms": ATOMS}

    atoms: Array
    steps: Array
    thresholds: Array
    output: Array
    layers: int
    speech_atoms: int

    @classmethod
    def start(
        cls, settings: LayeredConfig, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> IstaNetwork:
        """Return sparse coding with the pretrained dictionary and step 1/‖W‖², which guarantees descent."""
        assert dictionary is not None
        W, sets = dictionary.atoms, 1 if settings.tied else settings.layers
        step = 1 / np.linalg.norm(W, 2) ** 2
        return cls(
            atoms=np.stack([W] * sets),
            steps=np.full(sets, step, np.float32),
            thresholds=np.full((sets, W.shape[1]), step * STARTING_SPARSITY, np.float32),
            output=W[-features.stft.bins :],
            layers=settings.layers,
            speech_atoms=dictionary.speech.shape[1],
        )

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`.base.Network.array_specs`)."""
        sets = parameter_sets(shapes.size("atoms", 0), hyperparameters["layers"])
        stacked, atoms = shapes.size("atoms", 1), shapes.size("output", 1)
        check_speech_atoms(hyperparameters["speech_atoms"], atoms)
        context_of(stacked, bins)
        sizes = {
            "atoms": (sets, stacked, atoms),
            "steps": (sets,),
            "thresholds": (sets, atoms),
            "output": (bins, atoms),
        }
        return {name: ArraySpec(shape, name in cls.NONNEGATIVE) for name, shape in sizes.items()}

    @property
    def shape(self) -> tuple[int, int]:
        """F and T·F."""
        return self.output.shape[0], self.atoms.shape[1]

    @property
    def dictionaries(self) -> tuple[Array, ...]:
        """The distinct dictionaries of the steps, each ``(T·F, R)``."""
        return tuple(self.atoms)

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        return 2 * self.layers * math.prod(self.atoms.shape[1:]) + math.prod(self.output.shape)

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes at unit level ``(T·F, N)``."""
        sets = list(zip(self.dictionaries, self.steps, self.thresholds[:, :, None], strict=True))
        start = 0 * (self.output[:1].T @ m[:1])  # (R, N)
        h = unfold(lambda h, layer: update(h, m, *layer), layer_parameters(sets, self.layers), start)  # (R, N)
        return wiener_mask(self.output, h, self.speech_atoms)  # (F, N)

    def dictionary_indices(self) -> list[int]:
        """Return the index into `dictionaries` of each of the K layers."""
        return layer_parameters(list(range(len(self.atoms))), self.layers)

    def with_atoms(self) -> DictionaryNetwork:
        """Return the network."""
        return cast("DictionaryNetwork", self)  # of NumPy arrays, as models that are shown come from files
