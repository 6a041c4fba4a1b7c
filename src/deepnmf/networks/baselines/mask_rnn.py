"""The recurrent baselines: masks directly from gated recurrent units or long short-term memory (docs/model.md §4).

Their inputs are those of the prior of recurrent deep NMF, log-compressed band-pooled magnitudes; a sigmoid layer
replaces the activations and dictionaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...artifacts.schema import RECURRENT_LAYERS, ArraySpec, NumberSpec, Shapes
from ...config import FeatureConfig, NetworkConfig, TrainConfig
from ...dsp.arrays import sigmoid
from ...dsp.bands import band_pooling
from ..base import SequenceNetwork
from ..cells import GRU, LSTM, Cell, cell_arrays, cell_specs, cells_from_arrays, random_cells
from ..layers import FEATURE_FLOOR, uniform_layer
from ..recurrence import CellStack
from ..settings import RecurrentConfig, SequenceTraining

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...nmf.dictionary import Dictionary


@dataclass(frozen=True)
class MaskNetwork(SequenceNetwork):
    """Recurrent layers and a sigmoid layer, ``σ(W z + b)``.

    Attributes
    ----------
    pooling : ndarray
        Fixed ``(bands, F)`` (:func:`deepnmf.dsp.bands.band_pooling`).
    cells : tuple of Cell
        The recurrent layers, from input to output.
    output : ndarray
        W, ``(F, units)``.
    output_bias : ndarray
        b, ``(F,)``.
    """

    SETTINGS: ClassVar[type[NetworkConfig]] = RecurrentConfig
    TRAINING: ClassVar[type[TrainConfig]] = SequenceTraining
    CELL: ClassVar[type[Cell]]
    HYPERPARAMETERS: ClassVar[dict[str, NumberSpec]] = {"recurrent_layers": RECURRENT_LAYERS}

    pooling: np.ndarray
    cells: tuple[Cell, ...]
    output: np.ndarray
    output_bias: np.ndarray

    @classmethod
    def array_specs(cls, hyperparameters: dict[str, Any], bins: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays that a model file of this kind must have (:meth:`.base.Network.array_specs`)."""
        bands, units = shapes.size("pooling", 0), shapes.size("output", 1)
        return cell_specs(cls.CELL, hyperparameters["recurrent_layers"], bands, units) | {
            "pooling": ArraySpec((bands, bins), nonnegative=True),
            "output": ArraySpec((bins, units)),
            "output_bias": ArraySpec((bins,)),
        }

    @classmethod
    def start(
        cls, settings: RecurrentConfig, features: FeatureConfig, dictionary: Dictionary | None, rng: np.random.Generator
    ) -> Self:
        """Return a network with random weights."""
        stft, bands, units = features.stft, settings.bands, settings.units
        cells = random_cells(cls.CELL, settings.recurrent_layers, bands, units, rng)
        return cls(band_pooling(stft.bins, bands, stft.rate_hz), cells, *uniform_layer(stft.bins, units, rng))

    @property
    def multiplications_per_frame(self) -> int:
        """Multiply–accumulate operations of the matrix products of one frame (MACs)."""
        return self.pooling.size + sum(cell.multiplications for cell in self.cells) + self.output.size

    def estimator(self) -> MaskNetworkEstimator:
        """Return a fresh streaming mask estimator."""
        return MaskNetworkEstimator(self)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        others = {"pooling": self.pooling, "output": self.output, "output_bias": self.output_bias}
        return others | cell_arrays(self.cells)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays."""
        return {"recurrent_layers": len(self.cells)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], hyperparameters: dict[str, Any]) -> Self:
        """Restore a network from its :meth:`arrays` and :meth:`hyperparameters`."""
        cells = cells_from_arrays(cls.CELL, arrays, hyperparameters["recurrent_layers"])
        return cls(arrays["pooling"], cells, arrays["output"], arrays["output_bias"])


class GRUNetwork(MaskNetwork):
    """A mask network of gated recurrent units."""

    CELL: ClassVar[type[Cell]] = GRU


class LSTMNetwork(MaskNetwork):
    """A mask network of long short-term memory."""

    CELL: ClassVar[type[Cell]] = LSTM


class MaskNetworkEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out."""

    def __init__(self, network: MaskNetwork) -> None:
        self._network = network
        self._cells = CellStack(network.cells)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        network = self._network
        bands = np.log(magnitudes.T @ network.pooling.T + np.float32(FEATURE_FLOOR))  # (N, bands)
        z = self._cells.push(bands)  # (N, U)
        return sigmoid(network.output @ z.T + network.output_bias[:, None])  # (F, N)
