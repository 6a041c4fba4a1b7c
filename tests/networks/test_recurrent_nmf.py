"""Recurrent deep NMF: streams, agrees with torch, keeps to [0, 1] and to finite values, survives its file."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.config import FeatureConfig, StftSpec
from deepnmf.dsp.bands import band_pooling
from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.kinds import MODULES
from deepnmf.networks.settings import RecurrentDeepNMFConfig
from deepnmf.networks.unfolded.prior import EMBEDDING, FROM_FULL_BAND
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training.modules import RecurrentModule
from helpers.examples import at_rate
from helpers.networks import dictionary

SPEC = StftSpec(fft_size=512)


def module(layers: int = 1, recurrent_layers: int = 2, seed: int = 0, fusion: int = 0) -> RecurrentModule:
    rng = np.random.default_rng(seed)
    settings = RecurrentDeepNMFConfig(
        bands=20, units=12, recurrent_layers=recurrent_layers, subband_units=6, layers=layers, fusion_units=fusion
    )
    speech, noise = (rng.random((SPEC.bins, atoms)).astype(np.float32) for atoms in (5, 4))
    source = dictionary(speech, noise, SPEC.bins, sparsity=0.5)
    return RecurrentModule(RecurrentDeepNMF.start(settings, FeatureConfig(stft=SPEC), source, rng))


def magnitudes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (SPEC.bins, frames)).astype(np.float32)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize(("recurrent_layers", "fusion"), [(1, 0), (2, 0), (2, 7)])
def test_inference_is_the_forward_pass_of_training(layers: int, recurrent_layers: int, fusion: int) -> None:
    net = module(layers, recurrent_layers, fusion=fusion)
    m = magnitudes(60)
    with torch.inference_mode():
        batch = net(torch.from_numpy(np.stack([m, m[:, ::-1].copy()])))
    for mask, of in zip(batch.numpy(), (m, m[:, ::-1]), strict=True):
        np.testing.assert_allclose(net.to_numpy().mask(of), mask, atol=1e-5)


@given(st.lists(st.integers(0, 17), max_size=12))
@at_rate(25)
def test_blocks_of_any_size_give_the_mask_of_the_whole(sizes: list[int]) -> None:
    network = module(fusion=7).to_numpy()
    m = magnitudes(sum(sizes) + 3)
    estimator = network.estimator()
    edges = [0, *np.cumsum(sizes).tolist(), m.shape[1]]
    parts = [estimator.push(m[:, a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), network.mask(m), atol=1e-6)


def test_the_past_matters_and_the_future_does_not() -> None:
    network = module().to_numpy()
    m, other = magnitudes(40), magnitudes(40, seed=1)
    future, past = m.copy(), m.copy()
    future[:, 20:], past[:, :10] = other[:, 20:], other[:, :10]
    mask = network.mask(m)
    np.testing.assert_allclose(network.mask(future)[:, :20], mask[:, :20], atol=1e-6)
    assert np.abs(network.mask(past)[:, 11] - mask[:, 11]).max() > 1e-4


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize("layers", [0, 2])
def test_masks_of_any_input_are_between_zero_and_one(value: float, layers: int) -> None:
    mask = module(layers).to_numpy().mask(np.full((SPEC.bins, 50), value, np.float32))
    assert mask.dtype == np.float32
    assert np.isfinite(mask).all()
    assert (mask >= 0).all()
    assert (mask <= 1).all()


def test_the_estimates_of_both_sources_add_up() -> None:
    network = module().to_numpy()
    order = np.r_[network.speech_atoms : network.output.shape[1], : network.speech_atoms]
    swapped = dataclasses.replace(
        network,
        prior=dataclasses.replace(
            network.prior, output=network.prior.output[order], output_bias=network.prior.output_bias[order]
        ),
        dictionaries=tuple(W[:, order] for W in network.dictionaries),
        output=network.output[:, order],
        speech_atoms=len(order) - network.speech_atoms,
    )
    m = magnitudes(20)
    np.testing.assert_allclose(network.mask(m) + swapped.mask(m), 1, atol=1e-3)  # to the guard against zero


@pytest.mark.parametrize("fusion", [0, 7])
def test_a_model_file_gives_the_network_back(tmp_path: Path, fusion: int) -> None:
    network = module(layers=2, fusion=fusion).to_numpy()
    for name in ("a", "b"):
        save_model(tmp_path / f"{name}.safetensors", Model(network, FeatureConfig(stft=SPEC), {"seed": 0}))
    loaded = load_model(tmp_path / "a.safetensors")
    assert isinstance(loaded.network, RecurrentDeepNMF)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    np.testing.assert_array_equal(loaded.estimator().push(magnitudes(9)), network.mask(magnitudes(9)))


@pytest.mark.parametrize("fusion", [0, 7])
def test_weights_are_counted(fusion: int) -> None:
    net = module(layers=2, fusion=fusion)
    assert net.to_numpy().parameters == sum(p.numel() for p in net.parameters())
    full_band = 20 * 257 + 4 * 12 * (20 + 12) + 4 * 12 * (12 + 12) + 12 * 10 * FROM_FULL_BAND
    subbands = 10 * (4 * 6 * (8 + FROM_FULL_BAND + 6) + 6 * EMBEDDING)
    known = 12 + 10 * EMBEDDING
    fused = 4 * fusion * (known + fusion)
    macs = full_band + subbands + fused + (known + fusion) * 9 + 2 * (2 * 257 * 9) + 257 * 9
    assert net.to_numpy().multiplications_per_frame == macs


def test_an_unknown_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    monkeypatch.setitem(MODULES, "oracle", MODULES["recurrent-deep-nmf"])
    save_model(path, Model(module().to_numpy(), FeatureConfig(stft=SPEC)))
    monkeypatch.undo()
    with pytest.raises(DeepnmfError, match=r"oracle.* upgrade deepnmf"):
        load_model(path)


@given(st.integers(3, 300), st.integers(2, 80), st.sampled_from([8000, 16000, 48000]))
def test_bands_cover_every_bin_and_average(bins: int, bands: int, rate_hz: int) -> None:
    bands = min(bands, bins)
    P = band_pooling(bins, bands, rate_hz)
    assert P.shape == (bands, bins)
    assert (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    assert (P.sum(axis=0) > 0).all()
