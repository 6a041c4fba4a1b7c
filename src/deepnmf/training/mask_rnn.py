"""Training of the recurrent mask networks, the rivals of recurrent deep NMF, on its examples and with its error."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..config import Config
from ..dsp.bands import band_pooling
from ..networks.baselines.mask_rnn import GRUNetwork, LSTMNetwork, MaskNetwork
from ..nmf.dictionary import Dictionary
from .prior import exported_array, exported_cells, layers_in, log_bands
from .recurrent import RecurrentLearner, SequenceModule


class MaskModule(SequenceModule):
    """The torch twin of :class:`deepnmf.networks.baselines.mask_rnn.MaskNetwork`."""

    NETWORK: ClassVar[type[MaskNetwork]]
    LAYERS: ClassVar[type[torch.nn.GRU | torch.nn.LSTM]]

    def __init__(self, settings: Config, source: Dictionary) -> None:
        super().__init__(settings, source)
        config, stft = settings.recurrent, settings.features.stft
        self.precision = getattr(torch, config.precision)
        self.pooling = torch.from_numpy(band_pooling(stft.bins, config.bands, stft.rate_hz))
        self.layers = self.LAYERS(config.bands, config.units, config.recurrent_layers)
        self.output = torch.nn.Linear(config.units, stft.bins)
        self.logs = torch.nn.ParameterList()

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(segments, F, N)`` of magnitudes of that shape, each from silence on."""
        bands = log_bands(m, self.pooling)
        with layers_in(self.precision, m):
            z, _ = self.layers(bands)
            y = self.output(z)
        return y.float().sigmoid().permute(1, 2, 0)

    def exported(self) -> MaskNetwork:
        """Return the network with NumPy weights."""
        cells = exported_cells(self.layers, self.NETWORK.CELL)
        weight, bias = exported_array(self.output.weight), exported_array(self.output.bias)
        return self.NETWORK(self.pooling.numpy(), cells, weight, bias)


class GRUModule(MaskModule):
    """Of gated recurrent units."""

    NETWORK: ClassVar[type[MaskNetwork]] = GRUNetwork
    LAYERS: ClassVar[type[torch.nn.GRU | torch.nn.LSTM]] = torch.nn.GRU


class LSTMModule(MaskModule):
    """Of long short-term memory."""

    NETWORK: ClassVar[type[MaskNetwork]] = LSTMNetwork
    LAYERS: ClassVar[type[torch.nn.GRU | torch.nn.LSTM]] = torch.nn.LSTM


class GRULearner(RecurrentLearner):
    """A GRU mask network in training."""

    MODULE: ClassVar[type[SequenceModule]] = GRUModule


class LSTMLearner(RecurrentLearner):
    """An LSTM mask network in training."""

    MODULE: ClassVar[type[SequenceModule]] = LSTMModule
