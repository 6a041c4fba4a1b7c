"""The sigmoid network: the mask estimator that deep NMF is compared with (Hershey et al. 2014, §5; MODEL.md §4).

It reads logarithms of the stacked magnitudes and gives a mask, all layers being ``σ(W x + b)``. That is mean field
inference in a layered binary field, from below and once (MODEL.md §5), with parameters untied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..numerics import Array, library, sigmoid
from . import layer_parameters, unfold
from .base import UnfoldedNetwork
from .prior import FEATURE_FLOOR

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
class SigmoidNetwork(UnfoldedNetwork):
    """A network of K hidden layers of H sigmoid units.

    Attributes
    ----------
    inputs, input_bias : Array
        ``(H, T·F)`` and ``(H,)`` of the first hidden layer.
    hidden, hidden_biases : Array
        ``(sets, H, H)`` and ``(sets, H)`` of the others, each with its own, or if tied with one set for all of them.
    readout, readout_bias : Array
        ``(F, H)`` and ``(F,)`` of the mask.
    layers : int
        K.
    """

    inputs: Array
    input_bias: Array
    hidden: Array
    hidden_biases: Array
    readout: Array
    readout_bias: Array
    layers: int

    @classmethod
    def start(cls, settings: Config, source: Dictionary, rng: np.random.Generator) -> SigmoidNetwork:
        """Return a network with random weights, for observations of the size that the dictionary's have."""
        H, K = settings.network.units, settings.network.layers
        sets = min(1, K - 1) if settings.network.tied else K - 1
        hidden = [random_layer(H, H, 0.5, rng) for _ in range(sets)]
        return cls(
            *random_layer(H, len(source.speech), 0.0, rng),
            np.array([weights for weights, _ in hidden], np.float32).reshape(sets, H, H),
            np.array([bias for _, bias in hidden], np.float32).reshape(sets, H),
            *random_layer(settings.features.stft.bins, H, 0.5, rng),
            layers=K,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """F and T·F."""
        return self.readout.shape[0], self.inputs.shape[1]

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        units = self.inputs.shape[0]
        return self.inputs.size + (self.layers - 1) * units * units + self.readout.size

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes ``(T·F, N)``."""
        hidden = layer_parameters(list(zip(self.hidden, self.hidden_biases, strict=True)), self.layers - 1)
        layers = [(self.inputs, self.input_bias), *hidden, (self.readout, self.readout_bias)]
        return unfold(activate, layers, standardised_logs(m))


def random_layer(units: int, inputs: int, mean: float, rng: np.random.Generator) -> Layer:
    """Return a layer whose units start where the sigmoid is steep, if its inputs have this mean.

    Weights are uniform within ``±2 √(6 / (units + inputs))``, half of what Glorot & Bengio (2010) give for sigmoids; on
    dev, twice as much and half as much train worse.
    """
    limit = 2 * math.sqrt(6 / (units + inputs))
    weights = rng.uniform(-limit, limit, (units, inputs)).astype(np.float32)
    return weights, -mean * weights.sum(axis=1)
