"""Common to several kinds of network: log-magnitude inputs, and initialisation of dense layers."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from ..dsp.arrays import AnyArray, Array, array_namespace

FEATURE_FLOOR = 1e-3
"""Added to unit-level magnitudes before the logarithm: a floor at −60 dB."""

LOG_MEAN, LOG_DEVIATION = -2.3, 1.7
"""Of the log-magnitudes of noisy speech at unit level; training adapts to other corpora."""
Layer: TypeAlias = tuple[Array, Array]
"""Weights ``(units, inputs)`` and bias ``(units,)``."""


def standardised_logs(m: AnyArray) -> AnyArray:
    """Return the log of unit-level magnitudes with about zero mean and unit variance, any shape."""
    return (array_namespace(m).log(m + FEATURE_FLOOR) - LOG_MEAN) / LOG_DEVIATION


def random_layer(units: int, inputs: int, mean: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer initialised in the steep range of the sigmoid, for inputs of this mean.

    Weights are uniform within ``±2 √(6 / (units + inputs))``, half the bound of Glorot & Bengio (2010) for sigmoids; on
    dev, twice as much and half as much train worse.
    """
    limit = 2 * math.sqrt(6 / (units + inputs))
    weights = rng.uniform(-limit, limit, (units, inputs)).astype(np.float32)
    return weights, -mean * weights.sum(axis=1)


def uniform_layer(units: int, inputs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias uniform within ``±1 / √inputs``, the initialisation of torch's linear layers."""
    limit = 1 / math.sqrt(inputs)
    weights, bias = rng.uniform(-limit, limit, (units, inputs)), rng.uniform(-limit, limit, units)
    return weights.astype(np.float32), bias.astype(np.float32)
