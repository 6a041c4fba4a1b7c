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
from .networks.base import Estimator, FramewiseNetwork, Network
from .networks.baselines.mask_rnn import GRUNetwork, LSTMNetwork
from .networks.baselines.sigmoid import SigmoidNetwork
from .networks.unfolded.deep_nmf import DeepNMF
from .networks.unfolded.ista import IstaNetwork
from .networks.unfolded.markov import BeliefPropagationNetwork, MeanFieldNetwork
from .networks.unfolded.recurrent_nmf import RecurrentDeepNMF

DEFAULT_MODEL = "default"
ADAPTABLE_MODEL = "snmf"
"""Model of the package whose layers are all its dictionary of sounds, so that new noise atoms can join it."""
PREPARE_SETTINGS = ("copies", "snr_db_low", "snr_db_high")
"""Of :class:`PrepareConfig`; deepnmf 0.1 recorded them in a model's features."""
FRAMEWISE: dict[str, type[FramewiseNetwork]] = {
    "deep-nmf": DeepNMF,
    "sigmoid": SigmoidNetwork,
    "mean-field": MeanFieldNetwork,
    "belief-propagation": BeliefPropagationNetwork,
    "ista": IstaNetwork,
}
"""Kinds of networks whose frames are independent, by the name that the model file gives them."""
KINDS: dict[str, type[Network]] = {
    **FRAMEWISE,
    "recurrent-deep-nmf": RecurrentDeepNMF,
    "gru": GRUNetwork,
    "lstm": LSTMNetwork,
}
"""All kinds; a file without one holds deep NMF."""


@dataclass(frozen=True)
class Model:
    """A trained network with everything that its use needs.

    Attributes
    ----------
    network : Network
        With NumPy weights.
    features : FeatureConfig
        STFT and level normalisation.
    metadata : dict
        Configuration, seed, history and provenance, as JSON values.
    """

    network: Network
    features: FeatureConfig
    metadata: dict[str, Any] = field(default_factory=dict)

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""
        return self.network.estimator()


def kind_of(network: Network) -> str:
    """Return the name of a network's kind."""
    return next(name for name, cls in KINDS.items() if isinstance(network, cls))


def save_model(path: Path, model: Model, half: bool = False) -> None:
    """Write a model file (safetensors with JSON metadata, no pickle), with 16 bits a weight if `half`.

    Raises
    ------
    DeepnmfError
        If a weight is too large for 16 bits.
    """
    kind = kind_of(model.network)
    metadata = {
        **model.metadata,
        "features": to_dict(model.features),
        "network": {"kind": kind, **model.network.hyperparameters()},
    }
    tensors = model.network.arrays()
    if half:
        largest = float(np.finfo(np.float16).max)
        if any(np.abs(weights).max() > largest for weights in tensors.values()):
            raise DeepnmfError(f"{path}: weights beyond {largest:g} need 32 bits")
        tensors = {name: weights.astype(np.float16) for name, weights in tensors.items()}
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
    settings = metadata["network"]
    kind = settings.get("kind", "deep-nmf")
    if kind not in KINDS:
        raise DeepnmfError(f"{path}: a network of the kind {kind!r}, which this deepnmf does not know; upgrade deepnmf")
    weights = {name: np.asarray(values, np.float32) for name, values in tensors.items()}
    network = KINDS[kind].from_arrays(weights, settings)
    features = {key: value for key, value in metadata["features"].items() if key not in PREPARE_SETTINGS}
    return Model(network, from_dict(FeatureConfig, features, str(path)), metadata)


def _package_model(name: str) -> Path:
    folder = Path(str(resources.files("deepnmf") / "models"))
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors")))
        raise DeepnmfError(f"{name}: no such file and no such model in the package; the package has: {known}")
    return path
