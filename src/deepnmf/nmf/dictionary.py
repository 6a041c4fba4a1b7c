"""Pretrained dictionaries of speech and of noise, the artifact that networks start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import FeatureConfig, SnmfConfig, from_dict
from ..errors import DeepnmfError
from ..records import read_features
from ..schema import BETA, SPARSITY, ArraySpec, check_arrays, shown
from ..tensor_file import about, open_tensors


@dataclass(frozen=True)
class Dictionary:
    """Pretrained atoms of speech ``(T·F, R_s)`` and of noise ``(T·F, R_n)``, and how they were made."""

    speech: np.ndarray
    noise: np.ndarray
    snmf: SnmfConfig
    features: FeatureConfig
    metadata: dict[str, Any]


def load_dictionary(path: Path) -> Dictionary:
    """Read what :func:`deepnmf.training.pretrain.pretrain` wrote.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged or no dictionary: its arrays are not of the size that it records, not finite or
        negative.
    """
    file = open_tensors(path, "dictionary")
    with about(path):
        features = read_features(file.metadata.get("features"))
        snmf = _read_snmf(file.metadata.get("snmf"))
        rows = snmf.context * features.stft.bins
        sizes = {"speech": snmf.speech_atoms, "noise": snmf.noise_atoms}
        check_arrays({name: ArraySpec((rows, atoms), nonnegative=True) for name, atoms in sizes.items()}, file.arrays)
    arrays = file.copy()
    return Dictionary(arrays["speech"], arrays["noise"], snmf, features, file.metadata)


def _read_snmf(values: Any) -> SnmfConfig:
    if not isinstance(values, dict):
        raise DeepnmfError(f"snmf must be a table, not {shown(values)}")
    snmf = from_dict(SnmfConfig, values, "snmf")
    SPARSITY.check("snmf.sparsity", snmf.sparsity)
    BETA.check("snmf.beta", snmf.beta)
    return snmf
