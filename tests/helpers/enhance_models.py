"""Models for the tests of enhancement: made in place, small, and good enough to separate tones from hiss."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from deepnmf.config import FeatureConfig
from deepnmf.model import Model
from deepnmf.networks.settings import RecurrentDeepNMFConfig
from deepnmf.networks.unfolded.deep_nmf import DeepNMF
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.nmf.sparse_nmf import normalised_atoms
from helpers.networks import deep_nmf, dictionary


def small_model(context: int = 1, layers: int = 4) -> Model:
    """Speech atoms are peaky and noise atoms flat, so white noise is turned down; harmonics of 500 Hz are an atom."""
    rng = np.random.default_rng(0)
    features = FeatureConfig()
    bins = features.stft.bins
    speech = normalised_atoms(rng.random((bins * context, 20)).astype(np.float32) ** 12)
    harmonics = np.isin(np.arange(bins) % 16, (15, 0, 1)).astype(np.float32)
    speech[:, 0] = normalised_atoms(np.tile(harmonics, context)[:, None])[:, 0]
    noise = normalised_atoms(1 + 0.2 * rng.random((bins * context, 6)).astype(np.float32))
    return Model(deep_nmf(speech, noise, bins, layers=layers, trained_layers=0), features)


def recurrent_model(
    layers: int = 1, recurrent_layers: int = 1, fusion: int = 0, filter_units: int = 0, filter_frames: int = 2
) -> Model:
    """Its prior and filter have random weights, and its dictionaries are those of :func:`small_model`."""
    small = small_model()
    network = cast(DeepNMF, small.network)
    speech, noise = np.split(network.output, [network.speech_atoms], axis=1)
    sizes = {"recurrent_layers": recurrent_layers, "layers": layers, "fusion_units": fusion}
    sizes |= {"filter_units": filter_units, "filter_frames": filter_frames}
    settings = RecurrentDeepNMFConfig(bands=20, units=12, subband_units=6, **sizes)
    rng = np.random.default_rng(0)
    start = RecurrentDeepNMF.start(settings, small.features, dictionary(speech, noise, len(speech), 3.0), rng)
    weights = {  # far from where training starts, so that the past matters
        name: W if name.startswith(("dictionary", "output")) else 0.5 * rng.standard_normal(W.shape, np.float32)
        for name, W in start.arrays().items()
    }
    weights["pooling"] = start.prior.pooling
    return Model(RecurrentDeepNMF.from_arrays(weights, start.hyperparameters()), small.features)


class _Constant(DeepNMF):
    def mask(self, m: Any) -> Any:
        return np.full((self.output.shape[0], m.shape[1]), self.sparsity, np.float32)


def constant_model(gain: float) -> Model:
    """Its mask is `gain` everywhere."""
    model = small_model()
    network = _Constant(**{**vars(model.network), "sparsity": gain})
    return dataclasses.replace(model, network=network)


def hum_and_hiss(rate_hz: int, seconds: float = 2.0) -> np.ndarray:
    """Return ``(n,)``: harmonics of 500 Hz for 0.4 s, and hiss throughout, which some layers separate from them."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    hum = sum(np.sin(2 * np.pi * pitch_hz * time) for pitch_hz in range(500, min(rate_hz // 2, 8000), 500)) / 40
    hiss = np.random.default_rng(0).standard_normal(len(time)) / 20
    return (np.where(time < 0.4, hum, 0) + hiss).astype(np.float32)
