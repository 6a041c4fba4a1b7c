"""A small untrained network of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepnmf.config import Config, FeatureConfig, NetworkConfig, RecurrentConfig, SnmfConfig, StftSpec
from deepnmf.model import FRAMEWISE
from deepnmf.networks.base import Network
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.training.loop import LEARNERS

FEATURES = FeatureConfig(stft=StftSpec(1000, 10.0, 4.0, 32))
F = FEATURES.stft.bins


def untrained(kind: Any, **network: Any) -> Network:
    context = 2 if kind in FRAMEWISE else 1
    recurrent = RecurrentConfig(bands=6, units=5, subband_units=3, recurrent_layers=network.pop("recurrent_layers", 1))
    config = Config(FEATURES, SnmfConfig(3, 2, context), NetworkConfig(kind, units=9, **network), recurrent=recurrent)
    rng = np.random.default_rng(0)
    speech, noise = (rng.random((F * context, count), np.float32) for count in (3, 2))
    source = Dictionary(speech, noise, config.snmf, FEATURES, {})
    return LEARNERS[kind](config, source, 1, "cpu").network()
