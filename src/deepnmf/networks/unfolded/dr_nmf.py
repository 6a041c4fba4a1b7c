"""DR-NMF, the deep recurrent NMF of Wisdom et al. (2017): sparse coding unfolded over layers and frames.

Each frame's inference starts from the activations of the frame before, through a non-negative transition, and takes K
steps of iterative soft thresholding with dictionaries of their own (docs/model.md §6). It has no other memory: the
LSTM of :mod:`.recurrent_nmf` is not in it. This is the NumPy inference; :mod:`deepnmf.training.modules` has the torch
counterpart.

Its weights have a canonical form (:func:`canonical_factors`), in which activations and gradients cannot grow from frame
to frame. Training brings them into it after each update.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from ...artifacts.schema import ATOMS, LAYERS, ArraySpec, NumberSpec, Shapes, check_speech_atoms
from ...config import FeatureConfig, NetworkConfig, TrainConfig
from ...dsp.arrays import AnyArray, array_namespace, epsilon
from ...errors import DeepnmfError
from ...nmf.updates import wiener_mask
from ..base import SequenceNetwork
from ..settings import DRNMFConfig, DRNMFTraining
from .ista import STARTING_SPARSITY

if TYPE_CHECKING:
    from ...nmf.dictionary import Dictionary

TRANSITION_SPREAD = 0.05
"""Share of an atom's activation that the untrained transition spreads over all atoms; zeros could not be trained."""
LONGEST_STEP = 2.0
"""Relative to 1/‖W‖²: with longer ones, the layer ``I − s WᵀW`` would expand some directions."""
LARGEST_THRESHOLD = 1e3
"""At which an atom is active in no frame at unit level."""
LARGEST_ACTIVATION = 10.0
"""Relative to the largest norm of a frame; nor does the transition amplify more."""
ROUNDING = 0.01
"""By which weights stored with 16 bits may leave the canonical form, relative to each."""


@dataclass(frozen=True)
class DRNMF(SequenceNetwork):
    """K steps of ISTA per frame, from the transition of the previous frame's activations, and the Wiener mask.

    Attributes
    ----------
    atoms : ndarray
        W of each layer, ``(K, F, R)``, atoms of unit norm.
    steps : ndarray
        Step length of each layer, ``(K,)``.
    thresholds : ndarray
        Step times sparsity, ``(K, R)``.
    transition : ndarray
        A, ``(R, R)``: a frame starts from A h of the frame before, the first from zeros.
    output : ndarray
        Reconstruction dictionary ``(F, R)``.
    speech_atoms : int
        R_s; the first R_s atoms are speech.
    """

    SETTINGS: ClassVar[type[NetworkConfig]] = DRNMFConfig
    TRAINING: ClassVar[type[TrainConfig]] = DRNMFTraining
    FROM_DICTIONARY: ClassVar[bool] = True
    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset({"atoms", "steps", "thresholds", "transition", "output"})
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {"layers": LAYERS, "speech_atoms": ATOMS}

    atoms: np.ndarray
    steps: np.ndarray
    thresholds: np.ndarray
    transition: np.ndarray
    output: np.ndarray
    speech_atoms: int

    @classmethod
    def start(
        cls, settings: DRNMFConfig, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> DRNMF:
        """Return warm-started sparse coding with the pretrained dictionary; a step of 1/‖W‖² guarantees descent."""
        assert dictionary is not None
        W = dictionary.atoms + np.float32(epsilon(dictionary.atoms))  # zeros could not be trained
        W = W / np.linalg.norm(W, axis=0)
        K, atoms, step = settings.layers, W.shape[1], 1 / np.linalg.norm(W, 2) ** 2
        spread = np.full((atoms, atoms), TRANSITION_SPREAD / atoms, np.float32)
        return cls(
            atoms=np.stack([W] * K),
            steps=np.full(K, step, np.float32),
            thresholds=np.full((K, atoms), step * STARTING_SPARSITY, np.float32),
            transition=np.float32(1 - TRANSITION_SPREAD) * np.eye(atoms, dtype=np.float32) + spread,
            output=W,
            speech_atoms=dictionary.speech.shape[1],
        )

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`.base.Network.array_specs`)."""
        K, atoms = hyperparameters["layers"], shapes.size("output", 1)
        check_speech_atoms(hyperparameters["speech_atoms"], atoms)
        sizes: dict[str, tuple[int, ...]] = {
            "atoms": (K, bins, atoms),
            "steps": (K,),
            "thresholds": (K, atoms),
            "transition": (atoms, atoms),
            "output": (bins, atoms),
        }
        return {name: ArraySpec(shape, nonnegative=True) for name, shape in sizes.items()}

    @property
    def dictionaries(self) -> tuple[np.ndarray, ...]:
        """The dictionaries of the layers, each ``(F, R)``."""
        return tuple(self.atoms)

    def dictionary_indices(self) -> list[int]:
        """Return the index into `dictionaries` of each of the K layers: each has its own."""
        return list(range(len(self.atoms)))

    @property
    def gain(self) -> float:
        """Share of the largest activation that a frame can have of the frame before, by transition and layers."""
        return float(kept_by_layers(self.steps) * self.transition.sum(axis=1).max())

    def canonical(self) -> DRNMF:
        """Return the network in the form of :func:`canonical_factors`, which training stores."""
        arrays, factors = self.arrays(), canonical_factors(self.arrays())
        return dataclasses.replace(self, **{name: arrays[name] * factor for name, factor in factors.items()})

    def checked(self) -> DRNMF:
        """Return the network if activations cannot grow from frame to frame, or but for the rounding of its weights.

        Training up to version 0.4 did not bound them. Their canonical form would be another network, with masks that
        it was not trained for.

        Raises
        ------
        DeepnmfError
            If they can grow.
        """
        norms = np.linalg.norm(self.atoms, axis=1)  # (K, R)
        kept = np.prod(np.clip(1 - self.steps[:, None] * np.where(norms > epsilon(norms), norms, 1) ** 2, 0, None), 0)
        if (kept * self.transition.sum(axis=1)).max() < 1:
            return self
        factors = canonical_factors(self.arrays())
        if all(np.allclose(factors[name], 1, atol=ROUNDING) for name in ("atoms", "steps", "transition")):
            return self.canonical()
        raise DeepnmfError(
            "a DR-NMF of version 0.4 or earlier, whose activations can grow with the length of recordings"
        )

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        return self.atoms.size + (len(self.atoms) + 1) * self.transition.size + math.prod(self.output.shape)

    def title(self, trained_layers: int | None) -> str:  # noqa: ARG002
        """Return a short description of the kind of network."""
        return f"DR-NMF (Wisdom et al. 2017), K = {len(self.atoms)}"

    def describe(self) -> list[tuple[str, str]]:
        """Return name and value of the properties to show for this kind, besides its size."""
        steps = ", ".join(f"{step:.3g}" for step in self.steps)
        return [
            ("inference", f"{len(self.atoms)} steps of soft thresholding, of lengths {steps}"),
            ("memory", f"activations of the last frame, of which up to {100 * self.gain:.0f} % remain"),
        ]

    def layer_activations(self, magnitudes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the activations ``(R, N)`` after 0 … K layers of magnitudes ``(F, N)`` at unit level."""
        frames = list(DRNMFEstimator(self).frames(magnitudes))
        return (np.stack(h, axis=1) for h in zip(*frames, strict=True))

    def with_atoms(self) -> DRNMF:
        """Return the network."""
        return self

    def estimator(self) -> DRNMFEstimator:
        """Return a fresh streaming mask estimator."""
        return DRNMFEstimator(self)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays."""
        return {"layers": len(self.atoms), "speech_atoms": self.speech_atoms}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], hyperparameters: dict[str, Any]) -> DRNMF:
        """Restore a network from its :meth:`arrays` and :meth:`hyperparameters`."""
        return cls(**arrays, speech_atoms=hyperparameters["speech_atoms"])


def canonical_factors(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the factors that bring weights into canonical form, by name; of NumPy's arrays or torch's.

    Atoms have unit norm, as has the largest of the output's: masks do not depend on these scales. Steps are at most
    2/‖W‖², and thresholds at most `LARGEST_THRESHOLD`. Rows of the transition have a largest sum, so that activations
    that the last frame left fade at least a tenth as fast as in the layers alone (:func:`largest_gain`): no activation
    then exceeds ten times the largest norm of a frame so far, however many frames there are (docs/model.md §6).

    Parameters
    ----------
    arrays : dict of str to array
        Those of :meth:`DRNMF.arrays`.

    Returns
    -------
    dict of str to array
        Of shapes that broadcast to the arrays'.
    """
    names = "atoms", "steps", "thresholds", "transition", "output"
    W, steps, thresholds, A, output = (arrays[name] for name in names)
    xp: Any = array_namespace(W)
    norms = guarded_norms(W)
    longest = LONGEST_STEP / xp.linalg.norm(W / norms, 2, (1, 2)) ** 2  # (K,)
    shortened = xp.minimum(longest, steps)
    return {
        "atoms": 1 / norms,
        "steps": longest / xp.maximum(longest, steps),
        "thresholds": LARGEST_THRESHOLD / thresholds.clip(LARGEST_THRESHOLD, None),
        "transition": 1 / (A.sum(1) / largest_gain(shortened)).clip(1, None)[:, None],
        "output": 1 / xp.max(guarded_norms(output[None])),
    }


def largest_gain(steps: AnyArray) -> AnyArray:
    """Return the largest sum of a row of the transition, with which activations stay bounded.

    With c of :func:`kept_by_layers`, G the gain, and M the largest norm of a frame, activations approach at most
    ``(1 − c) M / (1 − c G)``, which is `LARGEST_ACTIVATION` M for the G returned. It is ≥ 1.
    """
    kept = kept_by_layers(steps).clip(1 / (1 + LARGEST_ACTIVATION), None)  # G is at most LARGEST_ACTIVATION
    return (1 - (1 - kept) / LARGEST_ACTIVATION) / kept


def kept_by_layers(steps: AnyArray) -> AnyArray:
    """Return the largest share of an activation that remains after steps ``(K,)`` of unit atoms: Π max(0, 1 − s)."""
    return cast("AnyArray", array_namespace(steps).prod((1 - steps).clip(0, None)))


def guarded_norms(atoms: AnyArray) -> AnyArray:
    """Return the norms ``(K, 1, R)`` of the atoms of dictionaries ``(K, F, R)``, guarded against zeros."""
    squares = (atoms * atoms).sum(1)[:, None] + epsilon(atoms) ** 4  # (K, 1, R)
    return array_namespace(atoms).sqrt(squares)


class DRNMFEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out.

    A step of ISTA, ``max(0, h + s Wᵀ(m − W h) − θ)``, is ``max(0, (I − s WᵀW) h + d)`` with the drive
    ``d = s Wᵀm − θ``, which is computed for all frames of a block at once.
    """

    def __init__(self, network: DRNMF) -> None:
        self._network = network
        identity = np.eye(network.output.shape[1], dtype=network.output.dtype)
        self._inhibition = [identity - s * (W.T @ W) for W, s in zip(network.atoms, network.steps, strict=True)]
        self._h = np.zeros_like(network.output[0])  # (R,)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        if not magnitudes.shape[1]:
            return np.zeros_like(magnitudes)
        h = np.stack([layers[-1] for layers in self.frames(magnitudes)], axis=1)  # (R, N)
        return wiener_mask(self._network.output, h, self._network.speech_atoms)  # (F, N)

    def frames(self, magnitudes: np.ndarray) -> Iterator[list[np.ndarray]]:
        """Yield the activations ``(R,)`` after 0 … K layers of each frame, and keep the last for the next."""
        network = self._network
        layers = zip(network.atoms, network.steps, network.thresholds, strict=True)
        drives = [(s * (W.T @ magnitudes) - theta[:, None]).T for W, s, theta in layers]  # each (N, R)
        for drive in zip(*drives, strict=True):
            h = [network.transition @ self._h]
            for inhibition, d in zip(self._inhibition, drive, strict=True):
                h.append(np.maximum(inhibition @ h[-1] + d, 0))
            self._h = h[-1]
            yield h
