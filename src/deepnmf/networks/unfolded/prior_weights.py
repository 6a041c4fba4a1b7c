"""The weights of the recurrent prior as its streams read them: by rows that hold all that is known of a frame.

What enters and leaves the layers of a frame lies in one row, so that each layer reads a part of it in one product:
first the bands, between zeros for the neighbours of the outermost, then a one, the outputs of the full-band layers, the
embeddings of the sub-bands and the outputs of the fusion layer. Biases are weights of the one. Outputs of LSTM are kept
doubled (:mod:`deepnmf.networks.recurrence`), and embeddings by feature instead of by sub-band.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import aligned
from ..cells import LSTM

if TYPE_CHECKING:
    from .prior import RecurrentPrior


class Columns(NamedTuple):
    """Places in a row."""

    bands: slice
    """The bands; zeros are on both sides."""
    one: int
    """The constant."""
    layers: tuple[slice, ...]
    """Outputs of the full-band layers."""
    embedding: slice
    """Embeddings of the sub-bands, ``S·B``."""
    fusion: slice
    """Outputs of the fusion layer, to the end of the row."""


class Product(NamedTuple):
    """Weights that read a part of a row."""

    columns: slice
    """The part."""
    weights: np.ndarray
    """``(columns, outputs)``."""


class StreamWeights(NamedTuple):
    """Weights of a prior.

    Attributes
    ----------
    columns : Columns
        The row.
    pooling : ndarray
        ``(F, bands)``.
    layers : tuple of Product
        The full-band layers, for :class:`deepnmf.networks.recurrence.LSTMRows`.
    fullband_to_subband : Product
        To the features for each sub-band, ``C·B``.
    subband_embedding : ndarray
        ``(S, V)``, of doubled outputs.
    fusion : tuple of Product
        The fusion layer, if there is one.
    output : Product
        To the R activations.
    """

    columns: Columns
    pooling: np.ndarray
    layers: tuple[Product, ...]
    fullband_to_subband: Product
    subband_embedding: np.ndarray
    fusion: tuple[Product, ...]
    output: Product


def stream_weights(prior: RecurrentPrior, margin: int) -> StreamWeights:
    """Return the weights of a prior for rows with `margin` zeros on both sides of the bands."""
    columns = _columns(prior, margin)
    return StreamWeights(
        columns=columns,
        pooling=aligned.copy(prior.pooling.T),
        layers=tuple(_layer(cell, columns, index) for index, cell in enumerate(prior.cells)),
        fullband_to_subband=_fullband_to_subband(prior, columns),
        subband_embedding=aligned.copy(prior.subband_embedding / 2),
        fusion=tuple(_fusion(prior, cell, columns) for cell in prior.fusion),
        output=_output(prior, columns),
    )


def _columns(prior: RecurrentPrior, margin: int) -> Columns:
    bands = slice(margin, margin + len(prior.pooling))
    one = bands.stop + margin
    sizes = [cell.units for cell in prior.cells]
    sizes += [prior.subbands * len(prior.subband_embedding), sum(cell.units for cell in prior.fusion)]
    ends = itertools.accumulate(sizes, initial=one + 1)
    *layers, embedding, fusion = itertools.starmap(slice, itertools.pairwise(ends))
    return Columns(bands, one, tuple(layers), embedding, fusion)


def _layer(cell: LSTM, columns: Columns, index: int) -> Product:
    bias, inputs, state = np.split(cell.joint_weights.T, [1, 1 + cell.inputs])
    own = columns.layers[index]
    if not index:
        return _product(columns, slice(columns.bands.start, own.stop), bias, (columns.bands, inputs), (own, state))
    before = columns.layers[index - 1]
    return _product(columns, slice(columns.one, own.stop), bias, (before, inputs / 2), (own, state))


def _fullband_to_subband(prior: RecurrentPrior, columns: Columns) -> Product:
    z = columns.layers[-1]
    weights, bias = prior.fullband_to_subband, prior.fullband_to_subband_bias[:, None]
    by_feature = (_features_first(part, prior.subbands).T for part in (bias, weights / 2))
    bias_by_feature, weights_by_feature = by_feature
    return _product(columns, slice(columns.one, z.stop), bias_by_feature, (z, weights_by_feature))


def _fusion(prior: RecurrentPrior, cell: LSTM, columns: Columns) -> Product:
    bias, inputs, state = np.split(cell.joint_weights.T, [1, 1 + cell.inputs])
    of_z, of_embedding, added = _known(prior, inputs)
    parts = (columns.layers[-1], of_z), (columns.embedding, of_embedding), (columns.fusion, state)
    return _product(columns, slice(columns.one, columns.fusion.stop), bias + added, *parts)


def _output(prior: RecurrentPrior, columns: Columns) -> Product:
    known = len(prior.output.T) - (columns.fusion.stop - columns.fusion.start)
    of_z, of_embedding, added = _known(prior, prior.output.T[:known])
    of_fusion = prior.output.T[known:] / 2
    parts = (columns.layers[-1], of_z), (columns.embedding, of_embedding), (columns.fusion, of_fusion)
    return _product(columns, slice(columns.one, columns.fusion.stop), prior.output_bias + added, *parts)


def _known(prior: RecurrentPrior, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights ``(U + B·S, …)`` for z and for embeddings by feature, and what the embedding's bias adds."""
    of_z, of_embedding = np.split(weights, [prior.cells[-1].units])
    added = np.tile(prior.subband_embedding_bias, prior.subbands) @ of_embedding
    return of_z / 2, _features_first(of_embedding, prior.subbands), added


def _product(columns: Columns, read: slice, bias: np.ndarray, *parts: tuple[slice, np.ndarray]) -> Product:
    """Return the weights of a part of a row, given by columns; the others are zero."""
    weights = aligned.zeros(read.stop - read.start, bias.shape[-1])
    weights[columns.one - read.start] = bias
    for place, values in parts:
        weights[place.start - read.start : place.stop - read.start] = values
    return Product(read, weights)


def _features_first(weights: np.ndarray, subbands: int) -> np.ndarray:
    """Return rows ``(B·C, …)`` in the order ``(C·B, …)``."""
    return weights.reshape(subbands, -1, weights.shape[1]).swapaxes(0, 1).reshape(weights.shape)
