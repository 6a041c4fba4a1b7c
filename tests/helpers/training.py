"""Small networks in training, for tests: their settings, and batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepnmf.networks.kinds import KINDS, Config, configuration
from deepnmf.training.batches import Example, MixedExample
from helpers.networks import SMALL, F, untrained


def small(kind: str, **train: Any) -> tuple[Any, Config]:
    """Return a small untrained network of a kind, and settings of its training."""
    known = KINDS[kind].SETTINGS.__dataclass_fields__
    network = {name: value for name, value in {**SMALL, "layers": 2}.items() if name in known}
    features = {"stft": {"rate_hz": 1000, "window_ms": 10.0, "hop_ms": 4.0, "fft_size": 32}}
    config = configuration({"features": features, "network": {"kind": kind, **network}, "train": train})
    return untrained(kind, layers=2), config


def batch(kind: str, seed: int = 0) -> list[Example] | list[MixedExample]:
    """Return a batch of noise for a small network of a kind."""
    rng = np.random.default_rng(seed)
    if KINDS[kind].DYNAMIC_MIXING:
        speech, noise = rng.normal(size=(2, 3, F, 40, 2)).astype(np.float32).view(np.complex64)[..., 0]
        return [MixedExample(speech + noise, speech)]
    mixture = rng.exponential(1, (1, F * 2, 40)).astype(np.float32)
    speech, noise = rng.exponential(0.7, (2, 1, F, 40)).astype(np.float32)
    return [Example(mixture, speech, noise)]
