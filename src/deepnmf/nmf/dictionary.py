"""Pretrained dictionaries of speech and of noise, the artifact that networks are initialised from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.records import read_features
from ..artifacts.schema import ArraySpec, Shapes, check_arrays
from ..artifacts.tensor_file import about, open_tensors
from ..config import FeatureConfig, SnmfConfig, from_dict


@dataclass(frozen=True)
class Dictionary:
    """Pretrained atoms of speech ``(T·F, R_s)`` and of noise ``(T·F, R_n)``, and their provenance."""

    speech: np.ndarray
    noise: np.ndarray
    snmf: SnmfConfig
    features: FeatureConfig
    metadata: dict[str, Any]

    @property
    def atoms(self) -> np.ndarray:
        """Atoms of speech, then of noise, ``(T·F, R_s + R_n)``."""
        return np.concatenate([self.speech, self.noise], axis=1)

    @property
    def context(self) -> int:
        """T."""
        return len(self.speech) // self.features.stft.bins


def load_dictionary(path: Path) -> Dictionary:
    """Read the output of :func:`deepnmf.training.pretrain.pretrain`.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged or not a dictionary, as when arrays differ in size from the record, are not
        finite or are negative.
    """
    file = open_tensors(path, "dictionary")
    with about(path):
        features = read_features(file.metadata.get("features"))
        snmf = _read_snmf(file.metadata.get("snmf"))
        rows = Shapes({name: array.shape for name, array in file.arrays.items()}).size("speech", 0)
        rows = max(1, rows // features.stft.bins) * features.stft.bins  # T·F; another height does not fit
        sizes = {"speech": snmf.speech_atoms, "noise": snmf.noise_atoms}
        check_arrays({name: ArraySpec((rows, atoms), nonnegative=True) for name, atoms in sizes.items()}, file.arrays)
    arrays = file.copy()
    return Dictionary(arrays["speech"], arrays["noise"], snmf, features, file.metadata)


def _read_snmf(values: Any) -> SnmfConfig:
    """Return the settings of sparse NMF; those of version 0.1 had the context too, which the arrays show."""
    if isinstance(values, dict):
        values = {name: value for name, value in values.items() if name != "context"}
    return from_dict(SnmfConfig, values, "snmf")
