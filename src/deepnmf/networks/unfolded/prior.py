"""The recurrent prior of deep NMF: initial activations predicted from past and present frames.

Two recurrent parts process log-compressed, band-pooled magnitudes. A full-band part sees all bands at once and captures
the spectral context. A small sub-band part runs in every sub-band with shared weights: it sees a few neighbouring bands
and a few features from the full-band part, and tracks the local levels of speech and noise. Weight sharing over the
sub-bands makes it parameter-efficient (the idea of FullSubNet, Hao et al. 2021, in miniature). A fusion layer may
follow, which sees the full band and all sub-bands at once.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...artifacts.schema import ArraySpec, Shapes
from ...dsp.bands import band_pooling
from ...errors import DeepnmfError
from ..cells import LSTM, cell_arrays, cell_specs, cells_from_arrays, random_cells
from ..layers import FEATURE_FLOOR, uniform_layer
from .prior_weights import StreamWeights, stream_weights
from .profile_input import PROFILE_KINDS, Modulation, ProfileInput, name_in_file

if TYPE_CHECKING:
    from ...config import StftSpec
    from ..settings import RecurrentDeepNMFConfig

SUBBAND_STRIDE = 2
"""Bands from one sub-band to the next."""
SUBBAND_WIDTH = 8
"""Input bands of a sub-band: its own and as many of its neighbours on both sides."""
MARGIN = (SUBBAND_WIDTH - SUBBAND_STRIDE) // 2
"""Neighbours on each side."""
FROM_FULL_BAND = 10
"""C: features from the full-band part to each sub-band."""
EMBEDDING = 8
"""S: features from each sub-band to the output."""
LARGEST_FEATURE = np.float32(1 - 1e-6)
"""Of the constant inputs of sub-bands, which are held as arguments of a tanh."""
STARTING_BIAS = -2.0
"""Initial output bias: activations of 0.13, at which the unit-norm atoms of the dictionaries give about unit level."""


@dataclass(frozen=True, eq=False)
class RecurrentPrior:
    """Weights of the prior: U units over the full band, V units in each of B sub-bands, R atoms.

    Attributes
    ----------
    pooling : ndarray
        Fixed ``(bands, F)`` (:func:`deepnmf.dsp.bands.band_pooling`).
    cells : tuple of LSTM
        The full-band layers, from input to output.
    fullband_to_subband, fullband_to_subband_bias : ndarray
        ``(B·C, U)`` and ``(B·C,)``: from the full-band part to each sub-band, C features.
    subband : tuple of LSTM
        One layer of V units, whose inputs are `SUBBAND_WIDTH` bands and C features.
    subband_embedding, subband_embedding_bias : ndarray
        ``(S, V)`` and ``(S,)``: from each sub-band's units to S features.
    fusion : tuple of LSTM
        No layer, or one of D units, whose inputs are the U units and the B·S features.
    output, output_bias : ndarray
        ``(R, U + B·S + D)`` and ``(R,)``: from all of this to the activations.
    profiles : dict of str to ProfileInput
        The inputs for profiles, by their kind: none, ``noise``, ``voice``, or both.
    """

    pooling: np.ndarray
    cells: tuple[LSTM, ...]
    fullband_to_subband: np.ndarray
    fullband_to_subband_bias: np.ndarray
    subband: tuple[LSTM, ...]
    subband_embedding: np.ndarray
    subband_embedding_bias: np.ndarray
    fusion: tuple[LSTM, ...]
    output: np.ndarray
    output_bias: np.ndarray
    profiles: Mapping[str, ProfileInput] = field(default_factory=dict)

    @classmethod
    def start(
        cls, settings: RecurrentDeepNMFConfig, stft: StftSpec, atoms: int, rng: np.random.Generator
    ) -> RecurrentPrior:
        """Return a prior with random weights."""
        bands, units, subbands = settings.bands, settings.units, settings.bands // SUBBAND_STRIDE
        fullband_to_subband, fullband_to_subband_bias = uniform_layer(subbands * FROM_FULL_BAND, units, rng)
        subband_embedding, subband_embedding_bias = uniform_layer(EMBEDDING, settings.subband_units, rng)
        known, fused = units + subbands * EMBEDDING, settings.fusion_units
        output, output_bias = uniform_layer(atoms, known + fused, rng)
        return cls(
            pooling=band_pooling(stft.bins, bands, stft.rate_hz),
            cells=random_cells(LSTM, settings.recurrent_layers, bands, units, rng),
            fullband_to_subband=fullband_to_subband,
            fullband_to_subband_bias=fullband_to_subband_bias,
            subband=random_cells(LSTM, 1, SUBBAND_WIDTH + FROM_FULL_BAND, settings.subband_units, rng),
            subband_embedding=subband_embedding,
            subband_embedding_bias=subband_embedding_bias,
            fusion=random_cells(LSTM, 1, known, fused, rng) if fused else (),
            output=output,
            output_bias=np.full_like(output_bias, STARTING_BIAS),
        )

    @classmethod
    def array_specs(cls, layers: int, bins: int, atoms: int, shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays of a prior of some recurrent `layers`; U, V, C and S are those of the file."""
        bands, units = shapes.size("pooling", 0), shapes.size("message", 1)
        subbands = bands // SUBBAND_STRIDE
        if not subbands or shapes.size("message", 0) % subbands:
            raise DeepnmfError(f"array message must have a multiple of {subbands} rows for {bands} bands")
        inputs = SUBBAND_WIDTH + shapes.size("message", 0) // subbands
        embedded, local = shapes.size("summary", 0), shapes.size("summary", 1)
        known, fused = units + subbands * embedded, shapes.size("fusion.0.state_weights", 1) if FUSION in shapes else 0
        gates = shapes.size("cell.0.input_bias", 0) + LSTM.GATES * fused
        sizes = {"bands": bands, "gates": gates, "known": known + fused, "atoms": atoms}
        sizes |= {"around": SUBBAND_WIDTH, "local_gates": LSTM.GATES * local}
        profiles = [ProfileInput.array_specs(kind, sizes, shapes) for kind in _profile_kinds(shapes)]
        return {
            **{name: spec for specs in profiles for name, spec in specs.items()},
            "pooling": ArraySpec((bands, bins), nonnegative=True),
            "message": ArraySpec((shapes.size("message", 0), units)),
            "message_bias": ArraySpec((shapes.size("message", 0),)),
            "summary": ArraySpec((embedded, local)),
            "summary_bias": ArraySpec((embedded,)),
            "prior": ArraySpec((atoms, known + fused)),
            "prior_bias": ArraySpec((atoms,)),
            **cell_specs(LSTM, layers, bands, units),
            **cell_specs(LSTM, 1, inputs, local, "subband"),
            **(cell_specs(LSTM, 1, known, fused, "fusion") if fused else {}),
        }

    @property
    def subbands(self) -> int:
        """B."""
        return len(self.pooling) // SUBBAND_STRIDE

    def subband_of_bins(self, bins: int) -> np.ndarray:
        """Return the sub-band ``(bins,)`` of each of the lowest bins: that of the band with the largest share of it."""
        own = self.pooling[:, :bins].argmax(axis=0) // SUBBAND_STRIDE
        return np.minimum(own, self.subbands - 1)  # an odd last band is in no sub-band

    @property
    def multiplications(self) -> int:
        """Multiply–accumulate operations of a frame."""
        dense = self.pooling.size + self.fullband_to_subband.size + self.output.size
        dense += _multiplications(self.cells) + _multiplications(self.fusion)
        return dense + self.subbands * (_multiplications(self.subband) + self.subband_embedding.size)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as the model file holds them."""
        arrays = {in_file: getattr(self, name) for name, in_file in NAMES_IN_FILE.items()}
        arrays |= cell_arrays(self.cells) | cell_arrays(self.subband, "subband")
        arrays |= cell_arrays(self.fusion, "fusion")
        for kind, profile in self.profiles.items():
            arrays |= profile.arrays(kind)
        return arrays

    def with_profiles(self, magnitudes: Mapping[str, np.ndarray]) -> RecurrentPrior:
        """Return the prior for recordings with profiles, given as magnitudes ``(F, N)`` at unit level by their kind."""
        for kind, m in magnitudes.items():
            bands = np.log(m.T @ self.pooling.T + np.float32(FEATURE_FLOOR))  # (N, bands)
            profile = self.profiles[kind]
            self = self._modulated(profile.modulation(bands, bands_read(len(self.pooling))), profile.local_gates)
            left = {other: profile for other, profile in self.profiles.items() if other != kind}
            self = dataclasses.replace(self, profiles=left)
        return self

    def _modulated(self, profile: Modulation, local_gates: np.ndarray) -> RecurrentPrior:
        """Return the prior with a profile in its weights; the sub-bands' constant inputs are features of no weights."""
        first, units = self.cells[0], self.fullband_to_subband.shape[1]
        known = self.output.shape[1] - sum(cell.units for cell in self.fusion)  # U + B·S
        local = np.arctanh(np.clip(profile.local, -LARGEST_FEATURE, LARGEST_FEATURE))  # (B, K)
        weights = (self.fullband_to_subband * profile.gains[:units]).reshape(self.subbands, -1, units)
        bias = self.fullband_to_subband_bias.reshape(self.subbands, -1)
        none = np.zeros((*local.shape, units), local.dtype)
        return dataclasses.replace(
            self,
            cells=(_shifted(first, profile.gates[: len(first.input_bias)]), *self.cells[1:]),
            fullband_to_subband=np.concatenate([weights, none], axis=1).reshape(-1, units),
            fullband_to_subband_bias=np.concatenate([bias, local], axis=1).ravel(),
            subband=tuple(
                dataclasses.replace(cell, input_weights=np.concatenate([cell.input_weights, local_gates], axis=1))
                for cell in self.subband
            ),
            fusion=tuple(
                dataclasses.replace(
                    _shifted(cell, profile.gates[-len(cell.input_bias) :]),
                    input_weights=cell.input_weights * profile.gains[:known],
                )
                for cell in self.fusion
            ),
            output=self.output * profile.gains,
            output_bias=self.output_bias + profile.output,
        )

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters stored beside the arrays."""
        return {"recurrent_layers": len(self.cells)}

    @functools.cached_property
    def stream_weights(self) -> StreamWeights:
        """The weights as streams read them."""
        return stream_weights(self, MARGIN)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], hyperparameters: dict[str, Any]) -> RecurrentPrior:
        """Put together what :meth:`arrays` and :meth:`hyperparameters` returned."""
        cells = cells_from_arrays(LSTM, arrays, hyperparameters["recurrent_layers"])
        subband = cells_from_arrays(LSTM, arrays, 1, "subband")
        fusion = cells_from_arrays(LSTM, arrays, int(FUSION in arrays), "fusion")
        return cls(
            cells=cells,
            subband=subband,
            fusion=fusion,
            profiles={kind: ProfileInput.from_arrays(kind, arrays) for kind in _profile_kinds(arrays)},
            **{name: arrays[in_file] for name, in_file in NAMES_IN_FILE.items()},
        )


NAMES_IN_FILE = {
    "pooling": "pooling",
    "fullband_to_subband": "message",
    "fullband_to_subband_bias": "message_bias",
    "subband_embedding": "summary",
    "subband_embedding_bias": "summary_bias",
    "output": "prior",
    "output_bias": "prior_bias",
}
"""Attributes that are arrays by themselves, and their names in a model file, which are those of version 0.1."""
FUSION = "fusion.0.state_weights"
"""An array that a model file has if there is a fusion layer."""


def _profile_kinds(names: Shapes | Mapping[str, np.ndarray]) -> list[str]:
    """Return the kinds of profiles that a model file with arrays of these names has an input for."""
    return [kind for kind in PROFILE_KINDS if name_in_file(kind, "embedding") in names]


def _shifted(cell: LSTM, offset: np.ndarray) -> LSTM:
    """Return a layer with an offset ``(4U,)`` of its gates."""
    return dataclasses.replace(cell, input_bias=cell.input_bias + offset)


def _multiplications(cells: tuple[LSTM, ...]) -> int:
    return sum(cell.multiplications for cell in cells)


@functools.cache
def bands_read(bands: int) -> np.ndarray:
    """Return the indices ``(SUBBAND_WIDTH, B)`` of the input bands of the sub-bands; the one after the last is zero."""
    own = np.arange(0, bands - SUBBAND_STRIDE + 1, SUBBAND_STRIDE)
    read = np.arange(SUBBAND_WIDTH)[:, None] - MARGIN + own
    return np.where((read >= 0) & (read < bands), read, bands)
