"""The model file: a network, the features it was trained on, and its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .artifacts import save_tensors
from .artifacts.records import check_best, read_features, read_provenance
from .artifacts.schema import Shapes, check_arrays, check_numbers, shown
from .artifacts.tensor_file import about, open_tensors
from .config import FeatureConfig, to_dict
from .errors import DeepnmfError
from .model_cards import limitations, package_card, package_models, package_path, package_scores
from .networks.base import Estimator, Network
from .networks.registry import KINDS as KINDS
from .networks.registry import kind_of as kind_of

DEFAULT_MODEL = "default"
BEST = "best.safetensors"
"""Of the models in an experiment's folder, the one of the epoch with the highest dev score."""
ADAPTABLE_MODEL = "snmf"
"""Bundled model all of whose layers share the pretrained dictionary, so that noise atoms can be added."""
PROFILE_MODEL = "profile"
"""Bundled model with inputs for profiles of the noise and of the wanted voice."""


@dataclass(frozen=True)
class Model:
    """A trained network with its features and metadata.

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

    def title(self) -> str:
        """Return a short description of the kind of network."""
        return self.network.title(_trained_layers(self.metadata)) or kind_of(self.network)


@dataclass(frozen=True)
class PackageModel:
    """What distinguishes a model of the package.

    Attributes
    ----------
    name, kind : str
        Name for ``--model`` or :func:`load_model`, and kind of network in words.
    weights : int
        Number of weights.
    latency_ms : float
        Algorithmic latency in ms.
    scores : dict of str to float
        Means on the dev split by metric (``si_sdr`` in dB, ``pesq_wb`` in MOS), from its card.
    limitations : str
        From its card.
    """

    name: str
    kind: str
    weights: int
    latency_ms: float
    scores: dict[str, float]
    limitations: str


def models() -> list[PackageModel]:
    """Return the models of the package, by name: kind, size, latency, scores and limitations."""
    return [_package_model(name) for name in package_models()]


def _package_model(name: str) -> PackageModel:
    model = load_model(package_path(name))
    latency_ms = model.features.stft.window_ms
    facts = package_scores(name), limitations(package_card(name))
    return PackageModel(name, model.title(), model.network.parameters, latency_ms, *facts)


def save_model(path: Path, model: Model, half: bool = False) -> None:
    """Write a model file (safetensors with JSON metadata, no pickle), with 16 bits a weight if `half`.

    Raises
    ------
    DeepnmfError
        If a weight is too large for 16 bits, or :func:`load_model` would refuse the model, for example because
        its weights are not finite.
    """
    kind, arrays = kind_of(model.network), model.network.arrays()
    metadata = {
        **model.metadata,
        "features": to_dict(model.features),
        "network": {"kind": kind, **model.network.hyperparameters()},
    }
    if half:
        largest = float(np.finfo(np.float16).max)
        if any(np.abs(weights).max() > largest for weights in arrays.values()):
            raise DeepnmfError(f"{path}: weights beyond {largest:g} need 32 bits")
        arrays = {name: weights.astype(np.float16) for name, weights in arrays.items()}
    with about(path, "it is not written"):
        _check_network(metadata["network"], arrays, model.features.stft.bins)
        model.network.checked()
    save_tensors(path, arrays, "model", metadata)


def load_model(name_or_path: str | Path = DEFAULT_MODEL) -> Model:
    """Load a model of the package by name, a model file by path, or the best model of an experiment's folder.

    Raises
    ------
    DeepnmfError
        If there is no such model, or the file is damaged or not a model: arrays, hyperparameters, features and
        provenance are checked against the specification of its kind of network before any array is copied.
    """
    if not str(name_or_path).strip():  # "" would be the working folder
        raise DeepnmfError("an empty name for the model; is a variable unset?")
    path = Path(name_or_path)
    if of_experiment := path.is_dir():
        path /= BEST
    elif not path.suffix and not path.exists():
        path = _known_path(str(name_or_path))
    file = open_tensors(path, "model")
    with about(path):
        features = read_features(file.metadata.get("features"))
        metadata = read_provenance(file.metadata)
        if of_experiment:
            check_best(metadata.get("history", []))
        cls, hyperparameters = _check_network(file.metadata.get("network"), file.arrays, features.stft.bins)
    weights = {name: np.array(values, np.float32) for name, values in file.arrays.items()}
    with about(path, "train it again"):
        network = cls.from_arrays(weights, hyperparameters).checked()
    return Model(network, features, metadata)


def _check_network(record: Any, arrays: Mapping[str, np.ndarray], bins: int) -> tuple[type[Network], dict[str, Any]]:
    """Return the class and hyperparameters of the network of `record` if `arrays` are its."""
    if not isinstance(record, dict):
        raise DeepnmfError(f"network must be a table, not {shown(record)}")
    kind = record.get("kind", "deep-nmf")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DeepnmfError(f"a network of the kind {shown(kind)}, which this deepnmf does not support; upgrade deepnmf")
    cls = KINDS[kind]
    given = {name: value for name, value in record.items() if name != "kind"}
    hyperparameters = check_numbers(cls.HYPERPARAMETERS, given, "network")
    shapes = Shapes({name: array.shape for name, array in arrays.items()})
    check_arrays(cls.array_specs(hyperparameters, bins, shapes), arrays)
    return cls, hyperparameters


def _known_path(name: str) -> Path:
    if name not in (known := package_models()):
        raise DeepnmfError(
            f"{name}: no such file and no such model in the package, which has {', '.join(known)}; "
            "`deepnmf models` describes them"
        )
    return package_path(name)


def _trained_layers(metadata: dict[str, Any]) -> int | None:
    network = metadata.get("config", {}).get("network", {})
    if "layers" not in network:
        return None
    trained = network.get("trained_layers", network.get("trained"))
    return int(network["layers"]) + 1 if trained is None else int(trained)
