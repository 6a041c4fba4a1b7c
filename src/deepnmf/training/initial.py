"""Training that starts from a trained model: its weights, and the settings that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import overlaid, to_dict
from ..errors import ConfigError, InputError
from ..model import Model, load_model
from ..networks.kinds import Config, changed_settings, configuration, kind_of
from ..networks.settings import RATES

RATE_SHARE = 0.25
"""Step sizes, relative to the defaults."""
EPOCHS = 20
OWN_LENGTH = frozenset(
    {"epochs", "epoch_frames", "batch_segments", "batch_frames", "patience", "average_share", "seed", *RATES}
)
"""Training settings that are not those of the model's own training."""
OF_OPTIMISER = frozenset({"optimiser", "split_at", "gradient_decay"})
FIXED = ("features", "snmf", "network")
"""Sections that the weights determine."""


@dataclass(frozen=True)
class Initial:
    """A model to start from.

    Attributes
    ----------
    model : Model
        Its network, features and provenance.
    name : str
        As the user named it, for messages.
    """

    model: Model
    name: str

    @property
    def sha256(self) -> str:
        """Checksum of the model."""
        return str(self.model.metadata.get("sha256", ""))

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a run, nested: the model's, a lower rate, and the given ones.

        Raises
        ------
        DeepnmfError
            If a given setting contradicts the weights, or the model has no weights that training changes.
        """
        own = self._own_settings(given.get("train", {}).get("optimiser"))
        config = configuration(own, self.name)
        _check_agreement(self.name, config, given)
        if not self.model.network.trained_arrays(config.network):
            raise InputError(f"{self.name}: none of its layers is trained; start from another model")
        return overlaid(overlaid(own, {"train": _lower_rates(config)}), dict(given))

    def _own_settings(self, optimiser: str | None) -> dict[str, Any]:
        """Return the settings that the model was trained with, less those of its length, and of another optimiser."""
        recorded = self.model.metadata.get("config")
        if not recorded:
            raise InputError(f"{self.name}: no settings of its training are recorded in it; start from another model")
        kind = kind_of(self.model.network)
        values: dict[str, Any] = {"network": {"kind": kind}, "features": to_dict(self.model.features)}
        dropped = OWN_LENGTH | (OF_OPTIMISER if optimiser else frozenset())
        for name, value in changed_settings(recorded).items():
            section, _, key = name.partition(".")
            if section in {"snmf", "network"} or (section == "train" and key not in dropped):
                values.setdefault(section, {})[key] = value
        values["network"] |= self.model.network.optional_parts()  # they may have been added since
        if optimiser:
            values.setdefault("train", {})["optimiser"] = optimiser
        return values


def load_initial(name_or_path: str | Path) -> Initial:
    """Load a model to start from: a name of the package, a model file, or an experiment.

    Raises
    ------
    DeepnmfError
        If there is no such model, or it is damaged.
    """
    return Initial(load_model(name_or_path), str(name_or_path))


def _lower_rates(config: Config) -> dict[str, Any]:
    defaults = to_dict(type(config.train)(**_optimiser(config)))
    return {"epochs": EPOCHS, **{name: RATE_SHARE * defaults[name] for name in RATES if name in defaults}}


def _optimiser(config: Config) -> dict[str, Any]:
    return {name: getattr(config.train, name) for name in ("optimiser",) if hasattr(config.train, name)}


def _check_agreement(name: str, own: Config, given: Mapping[str, Any]) -> None:
    """Raise if a given setting of the network or of its input is another than the model's."""
    values, advice = own.to_dict(), "leave it out, or train from scratch"
    for section in FIXED:
        known = dict(_leaves(values.get(section, {})))
        for key, wanted in _leaves(given.get(section, {})):
            if wanted is None:
                continue
            if key not in known:
                raise ConfigError(f"{name}: {section}.{key} is not a setting of this model; {advice}")
            if known[key] != wanted:
                raise ConfigError(f"{name}: {section}.{key} is {known[key]} in this model, not {wanted}; {advice}")


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
