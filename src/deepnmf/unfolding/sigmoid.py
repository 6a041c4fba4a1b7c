"""The sigmoid network: the mask estimator that deep NMF is compared with (Hershey et al. 2014, §5; MODEL.md §4).

It reads logarithms of the stacked magnitudes and gives a mask, all layers being ``σ(W x + b)``. That is mean field
inference in a layered binary field, from below and once (MODEL.md §5), with parameters untied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..network import Estimator, MaskEstimator
from ..numerics import Array, library, sigmoid
from . import layer_parameters, unfold
from .recurrent import FEATURE_FLOOR

if TYPE_CHECKING:
    from ..config import Config
    from ..pretraining import Dictionary

Layer = tuple[Array, Array]
"""Weights ``(units, inputs)`` and bias ``(units,)``."""
LOG_MEAN, LOG_DEVIATION = -2.3, 1.7
"""Of the logarithms of the magnitudes of noisy speech at unit level; training corrects what other corpora have."""


def standardised_logs(m: Array) -> Array:
    """Return the logarithms of unit-level magnitudes with about zero mean and unit variance, any shape."""
    return (library(m).log(m + FEATURE_FLOOR) - LOG_MEAN) / LOG_DEVIATION


def activate(x: Array, layer: Layer) -> Array:
    """Return ``σ(W x + b)``, shape ``(units, N)``, from ``(inputs, N)``."""
    weights, bias = layer
    return sigmoid(weights @ x + bias[:, None])


@dataclass(frozen=True)
class SigmoidNetwork:
    """A network of sigmoid layers.

    Attributes
    ----------
    first : tuple of Array
        Weights ``(H, T·F)`` and bias ``(H,)`` of the first hidden layer.
    hidden : tuple of tuple of Array
        Weights ``(H, H)`` and bias ``(H,)`` of each of the others, or one for all of them if they are tied.
    output : tuple of Array
        Weights ``(F, H)`` and bias ``(F,)`` of the mask.
    layers : int
        K, the hidden layers.
    """

    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset()

    first: Layer
    hidden: tuple[Layer, ...]
    output: Layer
    layers: int

    @classmethod
    def start(cls, settings: Config, source: Dictionary, rng: np.random.Generator) -> SigmoidNetwork:
        """Return a network with random weights, for observations of the size that the dictionary's have."""
        units, layers = settings.network.units, settings.network.layers
        own = 1 if settings.network.tied else layers - 1
        return cls(
            first=random_layer(units, len(source.speech), 0.0, rng),
            hidden=tuple(random_layer(units, units, 0.5, rng) for _ in range(min(own, layers - 1))),
            output=random_layer(settings.features.stft.bins, units, 0.5, rng),
            layers=layers,
        )

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(math.prod(value.shape) for value in self.tensors().values())

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        return sum(math.prod(weights.shape) for weights, _ in (*self._hidden_layers(), self.output))

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes ``(T·F, N)``."""
        return activate(unfold(activate, self._hidden_layers(), standardised_logs(m)), self.output)

    def _hidden_layers(self) -> list[Layer]:
        return [self.first, *layer_parameters(list(self.hidden), self.layers - 1)]

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""
        bins = len(self.output[0])
        return MaskEstimator(self.mask, bins, self.first[0].shape[1] // bins)

    def tensors(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        layers = {"first": self.first, "output": self.output} | {f"{i}": layer for i, layer in enumerate(self.hidden)}
        weights = {f"weights.{name}": weights for name, (weights, _) in layers.items()}
        return weights | {f"bias.{name}": bias for name, (_, bias) in layers.items()}

    def settings(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {"layers": self.layers}

    @classmethod
    def from_file(cls, tensors: dict[str, Array], settings: dict[str, Any]) -> SigmoidNetwork:
        """Put together what :meth:`tensors` and :meth:`settings` returned."""
        first, output, *hidden = (
            (tensors[f"weights.{name}"], tensors[f"bias.{name}"])
            for name in ("first", "output", *range(len(tensors) // 2 - 2))
        )
        return cls(first, tuple(hidden), output, settings["layers"])


def random_layer(units: int, inputs: int, mean: float, rng: np.random.Generator) -> Layer:
    """Return a layer whose units start where the sigmoid is steep, if its inputs have this mean.

    Weights are uniform within ``±2 √(6 / (units + inputs))``, half of what Glorot & Bengio (2010) give for sigmoids; on
    dev, twice as much and half as much train worse.
    """
    limit = 2 * math.sqrt(6 / (units + inputs))
    weights = rng.uniform(-limit, limit, (units, inputs)).astype(np.float32)
    return weights, -mean * weights.sum(axis=1)
