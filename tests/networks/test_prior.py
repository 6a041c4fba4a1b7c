"""The recurrent prior: cells of torch, neighbouring bands, sub-bands that share their weights, blocks and whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.config import StftSpec
from deepnmf.networks.cells import GRU, LSTM
from deepnmf.networks.recurrence import CellStack, LSTMBank
from deepnmf.networks.settings import RecurrentDeepNMFConfig
from deepnmf.networks.unfolded.prior import MARGIN, SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior, bands_read
from deepnmf.networks.unfolded.prior_stream import PriorStream, neighbourhoods
from deepnmf.training.layers import cells_to_numpy
from deepnmf.training.modules import PriorModule

SPEC = StftSpec()
BANDS = 20


def prior_module(bands: int = BANDS, seed: int = 0, fusion: int = 0) -> PriorModule:
    settings = RecurrentDeepNMFConfig(bands=bands, units=12, recurrent_layers=2, subband_units=6, fusion_units=fusion)
    return PriorModule(RecurrentPrior.start(settings, SPEC, 9, np.random.default_rng(seed)))


def magnitudes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (SPEC.bins, frames)).astype(np.float32)


@pytest.mark.parametrize("kind", [GRU, LSTM])
@pytest.mark.parametrize("layers", [1, 2])
def test_stacked_cells_are_those_of_torch(kind: type[GRU | LSTM], layers: int) -> None:
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind.__name__)(7, 5, num_layers=layers)
    x = torch.randn(30, 7)
    with torch.inference_mode():
        expected = theirs(x)[0].numpy()
    ours, frames = CellStack(cells_to_numpy(theirs, kind)), x.numpy()
    found = np.concatenate([ours.push(frames[:11]), ours.push(frames[11:12]), ours.push(frames[12:])])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_bank_is_one_layer_of_torch_for_each_stream() -> None:
    theirs = torch.nn.LSTM(7, 5)
    x = torch.randn(30, 4, 7)
    with torch.inference_mode():
        expected = theirs(x)[0].permute(0, 2, 1).numpy()
    bank = LSTMBank(*cells_to_numpy(theirs, LSTM), streams=4)
    for frame, outputs in zip(x.numpy()[:20], expected, strict=False):
        bank.inputs[0][:] = frame.T
        bank.step()
        np.testing.assert_allclose(bank.outputs / 2, outputs, atol=1e-6)
    bank.inputs_of(10)[0][:] = x.numpy()[20:].swapaxes(1, 2)
    np.testing.assert_allclose(bank.push(10)[:, 1:] / 2, expected[20:], atol=1e-6)


@pytest.mark.parametrize("bands", [2, 3, 21, 64])
@pytest.mark.parametrize("fusion", [0, 7])
def test_the_stream_is_the_forward_pass_of_training(bands: int, fusion: int) -> None:
    module, m = prior_module(bands, fusion=fusion), magnitudes(40)
    with torch.inference_mode():
        expected = module(torch.from_numpy(m)[None])[:, 0].T.numpy()
    assert np.std(expected, axis=1).min() > 0
    np.testing.assert_allclose(PriorStream(module.to_numpy()).push(m), expected, atol=1e-6)


def test_the_arrays_and_settings_give_the_prior_back() -> None:
    prior, m = prior_module().to_numpy(), magnitudes(10)
    again = RecurrentPrior.from_arrays(prior.arrays(), prior.hyperparameters())
    assert list(again.arrays()) == list(prior.arrays())
    np.testing.assert_array_equal(PriorStream(again).push(m), PriorStream(prior).push(m))


@given(st.integers(2, 80))
def test_a_sub_band_reads_its_own_bands_in_the_middle_and_zeros_beyond_the_ends(count: int) -> None:
    values = np.arange(1.0, 1 + count)
    (read,) = neighbourhoods(np.pad(values, MARGIN)[None])
    assert read.shape == (SUBBAND_WIDTH, count // SUBBAND_STRIDE)
    padded = np.append(values, 0)
    np.testing.assert_array_equal(read, padded[bands_read(count)])  # what exported graphs read
    for b in range(read.shape[1]):
        for k in range(SUBBAND_WIDTH):
            band = b * SUBBAND_STRIDE + k - MARGIN
            assert read[k, b] == (values[band] if 0 <= band < count else 0)


def test_sub_bands_share_their_weights() -> None:
    """Without a word from the full band, what enters two bands higher up comes out one sub-band higher up."""
    module, prior = prior_module(), prior_module().to_numpy()
    silent = dataclasses.replace(
        prior,
        fullband_to_subband=0 * prior.fullband_to_subband,
        fullband_to_subband_bias=0 * prior.fullband_to_subband_bias,
    )
    one_bin = np.eye(BANDS, SPEC.bins, dtype=np.float32)  # so that bands can be set one by one
    summaries = _summary_rows(prior, units=module.cells.hidden_size)
    only_summaries = dataclasses.replace(
        silent, pooling=one_bin, output=summaries, output_bias=np.zeros(len(summaries), np.float32)
    )
    m = np.ones((SPEC.bins, 6), np.float32)
    m[8] = 9
    moved = np.roll(m, SUBBAND_STRIDE, axis=0)
    first, second = (PriorStream(only_summaries).push(x).reshape(BANDS // SUBBAND_STRIDE, -1, 6) for x in (m, moved))
    inner = slice(2, -3)  # away from the zeros beyond the ends
    np.testing.assert_allclose(second[3:-2], first[inner], atol=1e-6)
    assert np.abs(first[2:-2] - first[2:-2].mean(axis=0)).max() > 1e-3


def _summary_rows(prior: RecurrentPrior, units: int) -> np.ndarray:
    """Return prior weights that pass the summaries on."""
    size = prior.output.shape[1] - units
    return np.concatenate([np.zeros((size, units)), np.eye(size)], axis=1).astype(np.float32)
