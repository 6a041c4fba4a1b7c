"""Mean field and belief propagation unfolded into mask estimators, on one Markov random field (docs/model.md §5).

Binary hidden units x depend on the observation through their unary logits ``b = V v + c``, v the log-magnitudes, and on
each other through couplings A; inference gives the probability q that a unit is 1, and the mask is ``σ(O q + o)``.

The paper couples all units of neighbouring layers. Belief propagation has one message for each coupling and frame,
so that this would cost 65,000 messages where mean field has 256 means; here the units lie on a :func:`grid` of 4
neighbours, 1,024 messages for 256 units, and every unit depends on the observation. Both kinds have the same arrays.
Tied, couplings are symmetric, one for each edge; untied, each iteration has its own V and c, and as in the paper one
coupling for each direction of an edge, so that it no longer corresponds to inference in any one field.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...artifacts.schema import LAYERS, ArraySpec, NumberSpec, Shapes, context_of, parameter_sets
from ...config import FeatureConfig, NetworkConfig, TrainConfig
from ...dsp.arrays import Array, sigmoid
from ..base import FramewiseNetwork
from ..layers import random_layer, standardised_logs
from ..settings import GridConfig, SignedTraining
from . import belief_propagation, mean_field
from .graph import Graph, grid
from .unfold import layer_parameters, unfold

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...nmf.dictionary import Dictionary

Potentials = tuple[Array, Array]
"""The unary logits b ``(n, N)`` and the table of couplings A ``(n, d)`` of an iteration."""
COUPLING = 0.5
"""Standard deviation of the couplings of the untrained network."""


@dataclass(frozen=True)
class MarkovNetwork(FramewiseNetwork):
    """K iterations of inference among n hidden units, and a sigmoid readout.

    Attributes
    ----------
    inputs : Array
        V, ``(sets, n, T·F)``, with one set of parameters if tied and K if not; so too below.
    biases : Array
        c, ``(sets, n)``.
    couplings : Array
        A, ``(1, edges)`` if tied, else ``(K, n·d)``, those into a unit one after the other.
    readout : Array
        O, ``(F, n)``.
    readout_bias : Array
        o, ``(F,)``.
    layers : int
        K.
    """

    SETTINGS: ClassVar[type[NetworkConfig]] = GridConfig
    TRAINING: ClassVar[type[TrainConfig]] = SignedTraining
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {"layers": LAYERS}

    inputs: Array
    biases: Array
    couplings: Array
    readout: Array
    readout_bias: Array
    layers: int

    @classmethod
    def start(
        cls, settings: GridConfig, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> Self:
        """Return the untrained network: a sigmoid network of one hidden layer, and random couplings."""
        bins = features.stft.bins
        n, sets = settings.units, 1 if settings.tied else settings.layers
        slots = grid(n).neighbours.size
        hidden = [random_layer(n, settings.context * bins, 0.0, rng) for _ in range(sets)]
        readout, readout_bias = random_layer(bins, n, 0.5, rng)
        couplings = COUPLING * rng.standard_normal((sets, slots // 2 if settings.tied else slots))
        return cls(
            inputs=np.stack([V for V, _ in hidden]),
            biases=np.stack([c for _, c in hidden]),
            couplings=couplings.astype(np.float32),
            readout=readout,
            readout_bias=readout_bias,
            layers=settings.layers,
        )

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`.base.Network.array_specs`)."""
        sets = parameter_sets(shapes.size("inputs", 0), hyperparameters["layers"])
        units, stacked = shapes.size("readout", 1), shapes.size("inputs", 2)
        context_of(stacked, bins)
        slots = grid(units).neighbours.size
        tied = sets == 1 and shapes.size("couplings", 1) != slots
        return {
            "inputs": ArraySpec((sets, units, stacked)),
            "biases": ArraySpec((sets, units)),
            "couplings": ArraySpec((sets, slots // 2 if tied else slots)),
            "readout": ArraySpec((bins, units)),
            "readout_bias": ArraySpec((bins,)),
        }

    @property
    def shape(self) -> tuple[int, int]:
        """F and T·F."""
        return self.readout.shape[0], self.inputs.shape[2]

    @property
    def graph(self) -> Graph:
        """The grid of the hidden units."""
        return grid(int(self.readout.shape[1]))  # a tensor while torch traces it for ONNX

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of one frame (MACs), counting one for each coupling and step.

        Mean field also multiplies by the zeros of its matrix, and belief propagation has two logarithms per message.
        """
        observed, read = math.prod(self.inputs.shape), math.prod(self.readout.shape)
        return observed + self.layers * self.graph.neighbours.size + read

    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes at unit level ``(T·F, N)``."""
        potentials = self.potentials(standardised_logs(m))  # (n, N) and (n, d), one pair for each set of parameters
        q = self.infer(layer_parameters(potentials, self.layers))  # (n, N)
        return sigmoid(self.readout @ q + self.readout_bias[:, None])  # (F, N)

    def potentials(self, v: Array) -> list[Potentials]:
        """Return the potentials of each set of parameters for observations v ``(T·F, N)``."""
        shape = self.graph.neighbours.shape
        directed = self.couplings.shape[1] == shape[0] * shape[1]
        tables = [A.reshape(*shape) if directed else self.graph.table(A) for A in self.couplings]
        return [(V @ v + c[:, None], A) for V, c, A in zip(self.inputs, self.biases, tables, strict=True)]

    @abstractmethod
    def infer(self, layers: list[Potentials]) -> Array:
        """Return the probabilities q ``(n, N)`` that units are 1, after one step with the potentials of each layer."""


class MeanFieldNetwork(MarkovNetwork):
    """Mean field, all units in parallel, from the means of uncoupled units."""

    def infer(self, layers: list[Potentials]) -> Array:
        """Return the means of the units ``(n, N)``."""
        matrices = [(b, self.graph.matrix(A)) for b, A in layers]
        return unfold(lambda q, layer: mean_field.update(q, *layer), matrices, sigmoid(layers[0][0]))


class BeliefPropagationNetwork(MarkovNetwork):
    """Belief propagation, all messages in parallel, from uninformative messages."""

    def infer(self, layers: list[Potentials]) -> Array:
        """Return the beliefs of the units ``(n, N)``."""
        start = belief_propagation.initial_messages(layers[0][0], self.graph)
        M = unfold(lambda M, layer: belief_propagation.update(M, *layer, self.graph), layers, start)
        return belief_propagation.beliefs(M, layers[-1][0])
