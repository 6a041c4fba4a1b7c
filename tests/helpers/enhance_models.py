"""Models for the tests of enhancement: made in place, small, and good enough to tell tones from hiss."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from deepnmf.config import Config, FeatureConfig, NetworkConfig, RecurrentConfig
from deepnmf.model import Model
from deepnmf.networks.unfolded.deep_nmf import DeepNMF, from_snmf
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.nmf.sparse_nmf import normalised_atoms
from deepnmf.training.recurrent import RecurrentModule


def small_model(context: int = 1, layers: int = 4) -> Model:
    """Speech atoms are peaky and noise atoms flat, so white noise is turned down; harmonics of 500 Hz are an atom."""
    rng = np.random.default_rng(0)
    features = FeatureConfig()
    bins = features.stft.bins
    speech = normalised_atoms(rng.random((bins * context, 20)).astype(np.float32) ** 12)
    harmonics = np.isin(np.arange(bins) % 16, (15, 0, 1)).astype(np.float32)
    speech[:, 0] = normalised_atoms(np.tile(harmonics, context)[:, None])[:, 0]
    noise = normalised_atoms(1 + 0.2 * rng.random((bins * context, 6)).astype(np.float32))
    return Model(from_snmf(speech, noise, bins, 0.1, 1.0, NetworkConfig(layers=layers, trained=0)), features)


def recurrent_model(layers: int = 1, recurrent_layers: int = 1) -> Model:
    """Its prior has random weights, and its dictionaries are those of :func:`small_model`."""
    import torch

    small = small_model()
    network = cast(DeepNMF, small.network)
    speech, noise = np.split(network.output, [network.speech_atoms], axis=1)
    settings = Config(small.features, recurrent=RecurrentConfig(20, 12, recurrent_layers, 6, layers))
    torch.manual_seed(0)
    module = RecurrentModule(settings, Dictionary(speech, noise, settings.snmf, small.features, {}))
    for weight in module.prior.parameters():  # far from where training starts, so that the past matters
        torch.nn.init.normal_(weight, std=0.5)
    return Model(module.exported(), small.features)


class _Constant(DeepNMF):
    def mask(self, m: Any) -> Any:
        return np.full((self.output.shape[0], m.shape[1]), self.sparsity, np.float32)


def constant_model(gain: float) -> Model:
    """Its mask is `gain` everywhere."""
    model = small_model()
    network = _Constant(**{**vars(model.network), "sparsity": gain})
    return dataclasses.replace(model, network=network)
