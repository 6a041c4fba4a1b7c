"""Untrained networks for tests: deep NMF from arrays, and a small one of every kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from deepnmf.config import FeatureConfig, SnmfConfig, StftSpec
from deepnmf.dsp.arrays import Array
from deepnmf.networks.base import Network
from deepnmf.networks.kinds import KINDS, Config, configuration
from deepnmf.networks.settings import DeepNMFConfig
from deepnmf.networks.unfolded.deep_nmf import DeepNMF
from deepnmf.nmf.dictionary import Dictionary


def dictionary(speech: np.ndarray, noise: np.ndarray, bins: int, sparsity: float = 0.1) -> Dictionary:
    """Return pretrained dictionaries that are these arrays."""
    features = FeatureConfig(StftSpec(1000, 2 * (bins - 1), bins - 1, 2 * (bins - 1)))
    return Dictionary(speech, noise, SnmfConfig(sparsity=sparsity), features, {})


def deep_nmf(
    speech: np.ndarray, noise: np.ndarray, bins: int, sparsity: float = 0.1, beta: float = 1.0, **settings: Any
) -> DeepNMF:
    """Return a sparse NMF, unfolded."""
    source = dictionary(speech, noise, bins, sparsity)
    network = DeepNMF.start(DeepNMFConfig(**settings), source.features, source, np.random.default_rng(0))
    return dataclasses.replace(network, beta=beta)  # any real β, also such as no setting may have


def with_weights(network: Any, dictionaries: Iterable[Array], output: Array) -> DeepNMF:
    """Return a deep NMF with other weights; all its arrays become such as `output` is, NumPy's or torch's."""
    scale = {name: like(output, getattr(network, name)) for name in ("gains", "sparsities")}
    return dataclasses.replace(network, dictionaries=tuple(dictionaries), output=output, **scale)


def like(array: Any, values: Any) -> Any:
    """Return values as NumPy's or torch's, as `array` is."""
    return array.new_tensor(np.asarray(values)) if hasattr(array, "new_tensor") else np.asarray(values, array.dtype)


FEATURES = FeatureConfig(stft=StftSpec(1000, 10.0, 4.0, 32))
F = FEATURES.stft.bins
SMALL: dict[str, Any] = {"context": 2, "units": 9, "bands": 6, "subband_units": 3}
"""Settings of small networks, of which each kind takes what it has."""


def small_config(kind: str, **network: Any) -> Config:
    """Return a configuration with a small network of a kind."""
    known = KINDS[kind].SETTINGS.__dataclass_fields__
    given = {name: value for name, value in {**SMALL, **network}.items() if name in known}
    features = {"stft": {"rate_hz": 1000, "window_ms": 10.0, "hop_ms": 4.0, "fft_size": 32}}
    return configuration({"features": features, "network": {"kind": kind, **given}})


def untrained(kind: str, **network: Any) -> Network:
    """Return a small untrained network of a kind, of 17 bins."""
    config = small_config(kind, **network)
    rng = np.random.default_rng(0)
    rows = FEATURES.stft.bins * config.context
    speech, noise = (rng.random((rows, count), np.float32) for count in (3, 2))
    source = Dictionary(speech, noise, config.snmf, FEATURES, {})
    return config.kind.start(config.network, FEATURES, source, rng)
