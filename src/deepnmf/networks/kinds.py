"""The configuration of an experiment, which depends on its kind of network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import (
    FeatureConfig,
    NetworkConfig,
    PrepareConfig,
    Settings,
    SnmfConfig,
    TrainConfig,
    from_dict,
    overlaid,
    read_toml,
    to_dict,
)
from ..errors import ConfigError, DeepnmfError
from .registry import KINDS as KINDS
from .registry import MODULES as MODULES
from .registry import kind_of as kind_of
from .settings import DeepNMFConfig, RecurrentDeepNMFConfig

if TYPE_CHECKING:
    from .base import Network


DEFAULT_KIND = RecurrentDeepNMFConfig.kind
"""The kind that is trained if none is given: the strongest, that of the package's default model."""


@dataclass(frozen=True)
class Config:
    """Everything that determines the result of a training run."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    snmf: SnmfConfig = field(default_factory=SnmfConfig)
    network: NetworkConfig = field(default_factory=RecurrentDeepNMFConfig)
    train: TrainConfig = None  # type: ignore[assignment]
    """By default the settings of the kind of network, at their defaults."""

    def __post_init__(self) -> None:
        kind = _kind(self.network.kind)
        if self.train is None:
            object.__setattr__(self, "train", kind.TRAINING())
        for section, expected in ((self.network, kind.SETTINGS), (self.train, kind.TRAINING)):
            if type(section) is not expected:
                raise ConfigError(f"{self.network.kind} has {expected.__name__}, not {type(section).__name__}")
        bands, bins = getattr(self.network, "bands", 0), self.features.stft.bins
        if bands > bins:
            raise ConfigError(f"network.bands must be 2 to {bins}, the bins of a frame, not {bands}")

    @property
    def kind(self) -> type[Network]:
        """The class of the kind of network."""
        return KINDS[self.network.kind]

    @property
    def context(self) -> int:
        """T, the frames stacked into one observation."""
        return getattr(self.network, "context", 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that have an effect, as nested plain dictionaries."""
        names = [item.name for item in dataclasses.fields(self)]
        return {name: to_dict(getattr(self, name)) for name in names if name != "snmf" or self.kind.FROM_DICTIONARY}


SECTIONS = ("features", "prepare", "snmf", "network", "train")


def configuration(values: dict[str, Any], where: str = "config") -> Config:
    """Build a configuration from nested dictionaries; missing keys keep the defaults of the kind of network.

    Raises
    ------
    DeepnmfError
        If the kind of network does not have a setting, or a value has the wrong type or is out of range; the message
        names the key, and the kinds that have it.

    Examples
    --------
    >>> configuration({"network": {"layers": 25}}).network.layers
    25
    >>> configuration({"network": {"kind": "gru", "layers": 25}})
    Traceback (most recent call last):
    deepnmf.errors.ConfigError: config: gru has no setting network.layers; deep-nmf, ..., dr-nmf have it
    """
    for section, content in values.items():
        if section not in SECTIONS and not isinstance(content, dict):
            raise ConfigError(f"{where}: unknown key {section}; known tables: {', '.join(SECTIONS)}")
        if not isinstance(content, dict):
            raise ConfigError(f"{where}: {section} is a table, not {content!r}")
    try:
        kind = values.get("network", {}).get("kind", DEFAULT_KIND)
        sections = _sections(_kind(kind))
        _check_keys(kind, values)
        parts: dict[str, Any] = {
            name: from_dict(cls, _with_kind(name, kind, values), "") for name, cls in sections.items()
        }
        return Config(**parts)
    except DeepnmfError as error:
        raise ConfigError(f"{where}: {str(error).removeprefix(': ')}") from None


def _with_kind(section: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    return {**values.get(section, {}), **({"kind": kind} if section == "network" else {})}


def _kind(name: Any) -> type[Network]:
    if not isinstance(name, str) or name not in MODULES:
        raise ConfigError(f"network.kind must be one of {', '.join(MODULES)}, not {name!r}")
    return KINDS[name]


def _sections(kind: type[Network]) -> dict[str, type[Settings]]:
    """Return the sections that a kind of network has."""
    snmf: dict[str, type[Settings]] = {"snmf": SnmfConfig} if kind.FROM_DICTIONARY else {}
    return {
        "features": FeatureConfig,
        "prepare": PrepareConfig,
        **snmf,
        "network": kind.SETTINGS,
        "train": kind.TRAINING,
    }


def _has(kind: type[Network], section: str, key: str) -> bool:
    sections = _sections(kind)
    return section in sections and key in {item.name for item in dataclasses.fields(sections[section])}


def _check_keys(kind: str, values: dict[str, Any]) -> None:
    """Raise if the kind does not have a setting that others have, or that version 0.1 had."""
    for section, key in [(section, key) for section, content in values.items() for key in content]:
        if _has(KINDS[kind], section, key):
            continue
        if others := [name for name in KINDS if _has(KINDS[name], section, key)]:
            raise ConfigError(f"{kind} has no setting {section}.{key}; {', '.join(others)} have it")
        if f"{section}.{key}" in RENAMED:
            raise ConfigError(f"unknown key {section}.{key}, of version 0.1; it is {RENAMED[f'{section}.{key}']} now")
        if section not in SECTIONS:
            raise ConfigError(f"unknown key {section}; known tables: {', '.join(SECTIONS)}")


def given_settings(path: Path | None, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of a TOML file with `overrides` (nested, ``None`` left out)."""
    return overlaid(read_toml(path) if path is not None else {}, overrides or {})


def load(path: Path | None, overrides: dict[str, Any] | None = None) -> Config:
    """Return the configuration of :func:`given_settings`, with defaults of the rest."""
    return configuration(given_settings(path, overrides), str(path) if path else "config")


def with_defaults(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a configuration recorded in `where` with defaults for the settings added since it was recorded.

    Raises
    ------
    DeepnmfError
        If it has settings that no longer exist.
    """
    try:
        return configuration(values, where).to_dict()
    except DeepnmfError as error:
        raise ConfigError(f"{error}; an earlier deepnmf began this run: choose another folder") from None


def changed_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return the non-default settings of a model's configuration, of this version or of 0.1.

    Settings that had no effect on its kind of network are left out.
    """
    kind = values.get("network", {}).get("kind", DeepNMFConfig.kind)
    if kind not in MODULES:
        return {}
    if "recurrent" in values and KINDS[kind].DYNAMIC_MIXING:  # of 0.1: the other settings were for other kinds
        common = {item.name for item in dataclasses.fields(TrainConfig)}
        train = {name: value for name, value in values.get("train", {}).items() if name in common}
        values = {**values, "network": {}, "train": train}
    defaults, sections = Config(network=KINDS[kind].SETTINGS(kind)).to_dict(), _sections(KINDS[kind])
    changed: dict[str, Any] = {}
    for name, value in _flat(values):
        now = RENAMED.get(name, name) if not _has(KINDS[kind], *_split(name)) else name
        section, key = _split(now)
        if section in sections and _has(KINDS[kind], section, key) and dict(_flat(defaults)).get(now, value) != value:
            changed[now] = value
    return changed


def _split(name: str) -> tuple[str, str]:
    section, _, key = name.partition(".")
    return section, key.partition(".")[0]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in sorted(values.items()):
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


RENAMED = {
    "features.copies": "prepare.mixtures_per_utterance",
    "features.snr_db_low": "prepare.snr_db_low",
    "features.snr_db_high": "prepare.snr_db_high",
    "snmf.context": "network.context",
    "network.trained": "network.trained_layers",
    "train.exponent": "train.eta",
    "train.memory": "train.gradient_decay",
    "train.splitting": "train.split_at",
    "train.learning_rate": "train.dictionary_learning_rate",
    "train.weight_rate": "train.weight_learning_rate",
    **{
        f"recurrent.{name}": f"network.{name}"
        for name in ("bands", "units", "recurrent_layers", "subband_units", "layers")
    },
    **{f"recurrent.{name}": f"train.{name}" for name in ("batch_segments", "precision", "loss_power", "loss_phase")},
    "recurrent.loss_intelligibility": "train.loss_intelligibility",
    "recurrent.loss_plain": "train.loss_uncompressed",
    "recurrent.learning_rate": "train.weight_learning_rate",
    "recurrent.dictionary_rate": "train.dictionary_learning_rate",
}
"""Settings renamed since version 0.1."""
