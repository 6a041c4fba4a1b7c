"""The sigmoid network: the baseline mask estimator of the paper (Hershey et al. 2014, §5; docs/model.md §4).

It maps the log of the stacked magnitudes to a mask, all layers being ``σ(W x + b)``. That is one bottom-up pass of mean
field inference in a layered binary field (docs/model.md §5), with untied parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...artifacts.schema import LAYERS, ArraySpec, NumberSpec, Shapes, context_of, parameter_sets
from ...config import FeatureConfig, NetworkConfig, TrainConfig
from ...dsp.arrays import Array, sigmoid
from ..base import FramewiseNetwork
from ..layers import Layer, random_layer, standardised_logs
from ..settings import SignedTraining, UnitsConfig
from ..unfolded.unfold import layer_parameters, unfold

if TYPE_CHECKING:
    from ...nmf.dictionary import Dictionary


def activate(x: Array, layer: Layer) -> Array:
    """Return ``σ(W x + b)``, shape ``(units, N)``, from ``(inputs, N)``."""
    weights, bias = layer
    return sigmoid(weights @ x + bias[:, None])


@dataclass(frozen=True)
class SigmoidNetwork(FramewiseNetwork):
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

    SETTINGS: ClassVar[type[NetworkConfig]] = UnitsConfig
    TRAINING: ClassVar[type[TrainConfig]] = SignedTraining
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {"layers": LAYERS}

    inputs: Array
    input_bias: Array
    hidden: Array
    hidden_biases: Array
    readout: Array
    readout_bias: Array
    layers: int

    @classmethod
    def start(
        cls, settings: UnitsConfig, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> SigmoidNetwork:
        """Return a network with random weights, for observations of T stacked frames."""
        H, K, bins = settings.units, settings.layers, features.stft.bins
        sets = min(1, K - 1) if settings.tied else K - 1
        hidden = [random_layer(H, H, 0.5, rng) for _ in range(sets)]
        return cls(
            *random_layer(H, settings.context * bins, 0.0, rng),
            np.array([weights for weights, _ in hidden], np.float32).reshape(sets, H, H),
            np.array([bias for _, bias in hidden], np.float32).reshape(sets, H),
            *random_layer(bins, H, 0.5, rng),
            layers=K,
        )

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`.base.Network.array_specs`)."""
        units, stacked = shapes.size("readout", 1), shapes.size("inputs", 1)
        context_of(stacked, bins)
        more = hyperparameters["layers"] - 1
        sets = parameter_sets(shapes.size("hidden", 0), more) if more else 0
        return {
            "inputs": ArraySpec((units, stacked)),
            "input_bias": ArraySpec((units,)),
            "hidden": ArraySpec((sets, units, units)),
            "hidden_biases": ArraySpec((sets, units)),
            "readout": ArraySpec((bins, units)),
            "readout_bias": ArraySpec((bins,)),
        }

    @property
    def shape(self) -> tuple[int, int]:
        """F and T·F."""
        return self.readout.shape[0], self.inputs.shape[1]

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        units = self.inputs.shape[0]
        observed, read = math.prod(self.inputs.shape), math.prod(self.readout.shape)
        return observed + (self.layers - 1) * units * units + read

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes ``(T·F, N)``."""
        hidden = layer_parameters(list(zip(self.hidden, self.hidden_biases, strict=True)), self.layers - 1)
        layers = [(self.inputs, self.input_bias), *hidden, (self.readout, self.readout_bias)]
        return unfold(activate, layers, standardised_logs(m))  # (T·F, N), then (H, N) for each layer, (F, N)
