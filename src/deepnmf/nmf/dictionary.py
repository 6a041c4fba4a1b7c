"""Pretrained dictionaries of speech and of noise, the artifact that networks start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts import load_tensors
from ..config import FeatureConfig, SnmfConfig, from_dict


@dataclass(frozen=True)
class Dictionary:
    """Pretrained atoms of speech ``(T·F, R_s)`` and of noise ``(T·F, R_n)``, and how they were made."""

    speech: np.ndarray
    noise: np.ndarray
    snmf: SnmfConfig
    features: FeatureConfig
    metadata: dict[str, Any]


def load_dictionary(path: Path) -> Dictionary:
    """Read what :func:`pretrain` wrote."""
    tensors, metadata = load_tensors(path, "dictionary")
    return Dictionary(
        tensors["speech"],
        tensors["noise"],
        from_dict(SnmfConfig, metadata["snmf"], str(path)),
        from_dict(FeatureConfig, metadata["features"], str(path)),
        metadata,
    )
