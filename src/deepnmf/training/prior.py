"""The torch twin of the recurrent prior, for training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..config import RecurrentConfig, StftSpec
from ..dsp.bands import band_pooling
from ..networks.cells import LSTM, CellT
from ..networks.layers import FEATURE_FLOOR
from ..networks.unfolded.prior import SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior

STARTING_BIAS = -2.0
"""c at the start: activations of 0.13, at which the unit-norm atoms of the dictionaries about give unit level."""
FROM_FULL_BAND = 10
"""C: numbers from the full band to each sub-band."""
EMBEDDING = 8
"""S: numbers from each sub-band to the output."""


class PriorModule(torch.nn.Module):
    """The torch twin of :class:`deepnmf.networks.unfolded.prior.RecurrentPrior`, for whole segments in batches."""

    def __init__(self, config: RecurrentConfig, stft: StftSpec, atoms: int) -> None:
        super().__init__()
        self.precision = getattr(torch, config.precision)
        self.pooling = torch.from_numpy(band_pooling(stft.bins, config.bands, stft.rate_hz))
        self.subbands = config.bands // SUBBAND_STRIDE
        self.cells = torch.nn.LSTM(config.bands, config.units, config.recurrent_layers)
        self.fullband_to_subband = torch.nn.Linear(config.units, self.subbands * FROM_FULL_BAND)
        self.subband = torch.nn.LSTM(SUBBAND_WIDTH + FROM_FULL_BAND, config.subband_units)
        self.subband_embedding = torch.nn.Linear(config.subband_units, EMBEDDING)
        self.output = torch.nn.Linear(config.units + self.subbands * EMBEDDING, atoms)
        torch.nn.init.constant_(self.output.bias, STARTING_BIAS)

    def forward(self, m: Tensor) -> Tensor:
        """Return h⁰ ``(N, segments, R)`` of magnitudes ``(segments, F, N)``, each segment from silence on."""
        segments, _, frames = m.shape
        bands = log_bands(m, self.pooling)
        with layers_in(self.precision, m):
            z, _ = self.cells(bands)
            message = self.fullband_to_subband(z).tanh().reshape(frames, segments, self.subbands, FROM_FULL_BAND)
            margin = (SUBBAND_WIDTH - SUBBAND_STRIDE) // 2
            local = functional.pad(bands, (margin, margin)).unfold(2, SUBBAND_WIDTH, SUBBAND_STRIDE)
            y, _ = self.subband(torch.cat([local, message], 3).reshape(frames, segments * self.subbands, -1))
            summary = self.subband_embedding(y).reshape(frames, segments, -1)
            h = self.output(torch.cat([z, summary], 2))
        return functional.softplus(h.float())

    def exported(self) -> RecurrentPrior:
        """Return the prior with NumPy weights."""
        return RecurrentPrior(
            pooling=self.pooling.numpy(),
            cells=exported_cells(self.cells, LSTM),
            fullband_to_subband=exported_array(self.fullband_to_subband.weight),
            fullband_to_subband_bias=exported_array(self.fullband_to_subband.bias),
            subband=exported_cells(self.subband, LSTM),
            subband_embedding=exported_array(self.subband_embedding.weight),
            subband_embedding_bias=exported_array(self.subband_embedding.bias),
            output=exported_array(self.output.weight),
            output_bias=exported_array(self.output.bias),
        )


def layers_in(precision: torch.dtype, m: Tensor) -> torch.autocast:
    """Return the context in which layers that work on `m` compute at this precision; their weights stay as they are."""
    return torch.autocast(m.device.type, precision, enabled=precision != torch.float32)


def log_bands(m: Tensor, pooling: Tensor) -> Tensor:
    """Return what recurrent layers read, ``(N, segments, bands)``, of magnitudes ``(segments, F, N)``."""
    return (pooling.to(m.device) @ m + FEATURE_FLOOR).log().permute(2, 0, 1)


def exported_array(weight: Tensor) -> np.ndarray:
    """Return a copy of a weight in NumPy."""
    return weight.detach().cpu().numpy().copy()


def exported_cells(layers: torch.nn.RNNBase, kind: type[CellT]) -> tuple[CellT, ...]:
    """Return recurrent layers in NumPy."""
    names = ("weight_ih_l{}", "bias_ih_l{}", "weight_hh_l{}", "bias_hh_l{}")
    weights = {name: exported_array(value) for name, value in layers.named_parameters()}
    return tuple(kind(*(weights[name.format(i)] for name in names)) for i in range(layers.num_layers))
