"""GRU and LSTM mask networks: inference is the forward pass of training, causal, streaming, within [0, 1]."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.config import FeatureConfig
from deepnmf.networks.baselines.mask_rnn import GRUNetwork, LSTMNetwork, MaskNetwork
from deepnmf.networks.settings import RecurrentConfig
from deepnmf.training.modules import MaskRNNModule
from helpers.examples import at_rate

BINS = FeatureConfig().stft.bins
NETWORKS = [GRUNetwork, LSTMNetwork]


def module(kind: type[MaskNetwork]) -> MaskRNNModule:
    settings = RecurrentConfig("gru", bands=20, units=12, recurrent_layers=2)
    return MaskRNNModule(kind.start(settings, FeatureConfig(), None, np.random.default_rng(0)))


def magnitudes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (BINS, frames)).astype(np.float32)


@pytest.mark.parametrize("kind", NETWORKS)
def test_inference_is_the_forward_pass_of_training(kind: type[MaskNetwork]) -> None:
    net, m = module(kind), magnitudes(30)
    with torch.inference_mode():
        batch = net(torch.from_numpy(np.stack([m, m[:, ::-1].copy()])))
    assert batch.numpy().std() > 0.01
    for mask, of in zip(batch.numpy(), (m, m[:, ::-1]), strict=True):
        np.testing.assert_allclose(net.to_numpy().mask(of), mask, atol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
@given(sizes=st.lists(st.integers(0, 9), max_size=6))
@at_rate(10)
def test_blocks_of_any_size_give_the_mask_of_the_whole(kind: type[MaskNetwork], sizes: list[int]) -> None:
    network = module(kind).to_numpy()
    m = magnitudes(sum(sizes) + 3)
    estimator = network.estimator()
    edges = [0, *np.cumsum(sizes).tolist(), m.shape[1]]
    parts = [estimator.push(m[:, a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), network.mask(m), atol=1e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_past_matters_and_the_future_does_not(kind: type[MaskNetwork]) -> None:
    network = module(kind).to_numpy()
    m, other = magnitudes(20), magnitudes(20, seed=1)
    mask = network.mask(m)
    future, past = (np.concatenate(parts, axis=1) for parts in ((m[:, :10], other[:, 10:]), (other[:, :9], m[:, 9:])))
    np.testing.assert_allclose(network.mask(future)[:, :10], mask[:, :10], atol=1e-6)
    assert np.abs(network.mask(past)[:, 9] - mask[:, 9]).max() > 1e-4


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1e6])
def test_masks_of_any_input_are_between_zero_and_one(kind: type[MaskNetwork], value: float) -> None:
    mask = module(kind).to_numpy().mask(np.full((BINS, 20), value, np.float32))
    assert mask.dtype == np.float32
    assert ((mask >= 0) & (mask <= 1)).all()


@pytest.mark.parametrize(("kind", "gates"), [(GRUNetwork, 3), (LSTMNetwork, 4)])
def test_weights_and_operations_are_counted(kind: type[MaskNetwork], gates: int) -> None:
    net = module(kind)
    assert net.to_numpy().parameters == sum(p.numel() for p in net.parameters())
    macs = 20 * BINS + gates * 12 * (20 + 12) + gates * 12 * (12 + 12) + 12 * BINS
    assert net.to_numpy().multiplications_per_frame == macs
