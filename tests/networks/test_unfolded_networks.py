"""Unfolded networks as mask estimators: a mask in NumPy and torch alike, from a file, from a stream, after training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from deepnmf.config import FeatureConfig, SnmfConfig, StftSpec
from deepnmf.dsp.stft import stack_context
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.base import FramewiseNetwork
from deepnmf.networks.kinds import KINDS, configuration
from deepnmf.networks.layers import standardised_logs
from deepnmf.networks.unfolded.markov import MarkovNetwork
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.nmf.sparse_nmf import normalised_atoms
from deepnmf.training.experiment import DataSource, train
from deepnmf.training.loop import train_network
from helpers.signals import TinyCorpus

INFERENCE: list[str] = ["mean-field", "belief-propagation", "ista"]
OTHERS: list[str] = [*INFERENCE, "sigmoid"]
F, T, UNITS, K = 6, 2, 9, 3
STFT = StftSpec(rate_hz=1000, window_ms=10.0, hop_ms=4.0, fft_size=10)
each_kind = pytest.mark.parametrize("kind", OTHERS)
tied_or_not = pytest.mark.parametrize("tied", [True, False])


def network(kind: str, tied: bool, dtype: type = np.float64) -> FramewiseNetwork:
    """Return an untrained network whose layers differ if they may."""
    network = {"kind": kind, "context": T, "layers": K, "tied": tied, "units": UNITS}
    if kind == "ista":
        del network["units"]
    rng = np.random.default_rng(0)
    speech, noise = (normalised_atoms(rng.random((F * T, atoms))) for atoms in (4, 3))
    source, features = Dictionary(speech, noise, SnmfConfig(), FeatureConfig(STFT), {}), FeatureConfig(STFT)
    config = configuration({"network": network})
    start = config.kind.start(config.network, features, source, rng).framewise()
    assert start is not None
    arrays = {name: (x * rng.uniform(0.8, 1.2, x.shape)).astype(dtype) for name, x in start.arrays().items()}
    return start.with_arrays(arrays)


def mixtures(frames: int = 20, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(1).random((F * T, frames)).astype(dtype)


@each_kind
@tied_or_not
def test_numpy_and_torch_agree_on_a_mask(kind: str, tied: bool) -> None:
    net, m = network(kind, tied), mixtures()
    mask = net.mask(m)
    assert mask.shape == (F, 20)
    assert ((mask >= 0) & (mask <= 1)).all()
    assert mask.std() > 0.01
    same = net.with_arrays({name: torch.tensor(x) for name, x in net.arrays().items()})
    np.testing.assert_allclose(same.mask(torch.tensor(m)).numpy(), mask, rtol=1e-10)
    assert network(kind, tied, np.float32).mask(m.astype(np.float32)).dtype == np.float32


@each_kind
@tied_or_not
def test_every_array_has_a_finite_gradient(kind: str, tied: bool) -> None:
    net = network(kind, tied)
    tensors = {name: torch.tensor(x, requires_grad=True) for name, x in net.arrays().items()}
    found = torch.autograd.grad(
        net.with_arrays(tensors).mask(torch.tensor(mixtures())).square().sum(), tensors.values()
    )
    for gradient in found:
        assert torch.isfinite(gradient).all()
        assert gradient.any()


@each_kind
def test_tied_is_untied_with_layers_that_are_the_same(kind: str) -> None:
    tied, untied, m = network(kind, True), network(kind, False), mixtures()
    alike = {}
    for name, own in untied.arrays().items():
        shared = tied.arrays()[name]
        if name == "couplings":
            assert isinstance(tied, MarkovNetwork)
            shared = tied.graph.table(shared[0]).reshape(1, -1)
        alike[name] = (
            np.broadcast_to(shared, own.shape) if name not in {"readout", "readout_bias", "output"} else shared
        )
    assert np.abs(untied.mask(m) - tied.mask(m)).max() > 1e-3
    np.testing.assert_allclose(untied.with_arrays(alike).mask(m), tied.mask(m), rtol=1e-12)


@tied_or_not
def test_mean_field_and_belief_propagation_have_the_same_weights_and_differ(tied: bool) -> None:
    mean_field, beliefs = network("mean-field", tied), network("belief-propagation", tied)
    assert mean_field.parameters == beliefs.parameters
    for name, x in mean_field.arrays().items():
        np.testing.assert_array_equal(x, beliefs.arrays()[name])
    assert np.abs(mean_field.mask(mixtures()) - beliefs.mask(mixtures())).max() > 1e-4


@pytest.mark.parametrize("kind", INFERENCE[:2])
def test_without_couplings_it_is_one_sigmoid_layer(kind: str) -> None:
    net, m = network(kind, True), mixtures()
    assert isinstance(net, MarkovNetwork)
    alone = dataclasses.replace(net, couplings=0 * net.couplings)
    hidden = 1 / (1 + np.exp(-(net.inputs[0] @ standardised_logs(m) + net.biases[0][:, None])))
    expected = 1 / (1 + np.exp(-(net.readout @ hidden + net.readout_bias[:, None])))
    np.testing.assert_allclose(alone.mask(m), expected, rtol=1e-12)
    assert np.abs(net.mask(m) - expected).max() > 1e-3


@pytest.mark.parametrize("kind", INFERENCE)
def test_tied_and_deep_enough_one_more_layer_changes_nothing(kind: str) -> None:
    net, m = network(kind, True), mixtures()
    masks = [dataclasses.replace(net, layers=layers).mask(m) for layers in (1, 1000, 1001)]
    assert np.abs(masks[1] - masks[0]).max() > 1e-3
    np.testing.assert_allclose(masks[2], masks[1], atol=1e-9)


def test_sizes_are_counted() -> None:
    inputs, readout, bins = UNITS * F * T, F * UNITS, F
    assert network("mean-field", True).parameters == inputs + UNITS + 2 * UNITS + readout + bins
    assert network("mean-field", False).parameters == K * (inputs + UNITS + 4 * UNITS) + readout + bins
    assert network("mean-field", True).multiplications_per_frame == inputs + K * 4 * UNITS + readout
    assert network("ista", False).parameters == K * (F * T * 7 + 1 + 7) + F * 7
    assert network("sigmoid", False).parameters == inputs + UNITS + (K - 1) * (UNITS + 1) * UNITS + readout + bins
    assert network("sigmoid", True).multiplications_per_frame == inputs + (K - 1) * UNITS**2 + readout
    assert network("ista", True).multiplications_per_frame == 2 * K * F * T * 7 + F * 7


@each_kind
@tied_or_not
def test_from_a_file_and_in_blocks_it_is_the_same(kind: str, tied: bool, tmp_path: Path) -> None:
    net, m = network(kind, tied, np.float32), mixtures(dtype=np.float32)[:F]
    save_model(tmp_path / "model.safetensors", Model(net, FeatureConfig(STFT)))
    estimator = load_model(tmp_path / "model.safetensors").estimator()
    blocks = [estimator.push(m[:, a:b]) for a, b in [(0, 1), (1, 1), (1, 8), (8, 20)]]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), net.mask(stack_context(m, T)), rtol=1e-5)


@each_kind
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e4])
def test_any_magnitude_gives_a_mask(kind: str, level: float) -> None:
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        mask = network(kind, False, np.float32).mask(np.full((F * T, 2), level, np.float32))
    assert ((mask >= 0) & (mask <= 1)).all()


@pytest.fixture(scope="module")
def prepared(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with features and a dictionary of the tiny corpus."""
    output = tmp_path_factory.mktemp("prepared")
    config = configuration(
        {
            "prepare": {"mixtures_per_utterance": 1},
            "snmf": {"speech_atoms": 4, "noise_atoms": 3, "iterations": 5},
            "network": {"kind": "deep-nmf"},
            "train": {"epochs": 0},
        }
    )
    train(output, DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise), config, report=lambda _: None)
    return output


@each_kind
def test_training_lowers_the_error(kind: str, prepared: Path, tmp_path: Path) -> None:
    network = {"kind": kind, "layers": 2, "units": 16}
    if kind == "ista":
        del network["units"]
    config = configuration({"network": network, "train": {"epochs": 3, "epoch_frames": 0, "batch_frames": 200}})
    dictionary = prepared / "dictionary.safetensors" if config.kind.FROM_DICTIONARY else None
    train_network(prepared / "features", tmp_path, config, dictionary)
    model = load_model(tmp_path / "last.safetensors")
    errors = [entry["error"] for entry in model.metadata["history"][1:]]
    assert isinstance(model.network, KINDS[kind])
    assert errors[-1] < 0.95 * errors[0]
