"""The model file: a network, the features it was trained on, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .artifacts import load_tensors, save_tensors
from .config import FeatureConfig, from_dict, to_dict
from .errors import DeepnmfError
from .network import DeepNMF
from .stft import stack_context

DEFAULT_MODEL = "default"
ADAPTABLE_MODEL = "snmf"
"""Model of the package whose layers are all its dictionary of sounds, so that new noise atoms can join it."""


@dataclass(frozen=True)
class Model:
    """A trained network with everything that its use needs.

    Attributes
    ----------
    network : DeepNMF
        With NumPy weights.
    features : FeatureConfig
        STFT and level normalisation.
    metadata : dict
        Configuration, seed, history and provenance, as JSON values.
    """

    network: DeepNMF
    features: FeatureConfig
    metadata: dict[str, Any] = field(default_factory=dict)

    def estimator(self) -> MaskEstimator:
        """Return a fresh streaming mask estimator."""
        return MaskEstimator(self)


class MaskEstimator:
    """Speech mask of level-normalised magnitudes, frame blocks of any size in, the same frames out."""

    def __init__(self, model: Model) -> None:
        self._network = model.network
        bins = model.features.stft.bins
        self._context = model.network.dictionaries[0].shape[0] // bins
        self._past = np.zeros((bins, self._context - 1), np.float32)

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask in [0, 1] of magnitudes ``(F, N)`` at unit level, shape ``(F, N)``."""
        stacked = stack_context(magnitudes, self._context, self._past)
        if self._context > 1:
            self._past = np.concatenate([self._past, magnitudes], axis=1)[:, -(self._context - 1) :]
        return self._network.mask(stacked)


def save_model(path: Path, model: Model) -> None:
    """Write a model file (safetensors with JSON metadata, no pickle)."""
    network = model.network
    tensors = {f"dictionary.{index}": W for index, W in enumerate(network.dictionaries)}
    tensors["output"] = network.output
    metadata = {
        **model.metadata,
        "features": to_dict(model.features),
        "network": {
            "layers": list(network.layers),
            "speech_atoms": network.speech_atoms,
            "sparsity": network.sparsity,
            "beta": network.beta,
        },
    }
    save_tensors(path, tensors, "model", metadata)


def load_model(name_or_path: str | Path = DEFAULT_MODEL) -> Model:
    """Load a model of the package by name, a model file by path, or the best model of an experiment's folder.

    Raises
    ------
    DeepnmfError
        If there is no such model, or the file is damaged or not a model.
    """
    path = Path(name_or_path)
    if path.is_dir():
        path /= "best.safetensors"
    elif not path.suffix and not path.exists():
        path = _package_model(str(name_or_path))
    tensors, metadata = load_tensors(path, "model")
    values = metadata["network"]
    network = DeepNMF(
        dictionaries=tuple(tensors[f"dictionary.{index}"] for index in range(len(tensors) - 1)),
        layers=tuple(values["layers"]),
        output=tensors["output"],
        speech_atoms=values["speech_atoms"],
        sparsity=values["sparsity"],
        beta=values["beta"],
    )
    return Model(network, from_dict(FeatureConfig, metadata["features"], str(path)), metadata)


def _package_model(name: str) -> Path:
    folder = Path(str(resources.files("deepnmf") / "models"))
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors")))
        raise DeepnmfError(f"{name}: no such file and no such model in the package; the package has: {known}")
    return path
