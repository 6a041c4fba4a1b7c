"""Metadata of artifacts, validated before use: features, and the provenance of a model."""

from __future__ import annotations

from typing import Any

from ..config import FeatureConfig, from_dict
from ..errors import DeepnmfError
from .schema import LAYERS_LIMIT, NumberSpec, shown

PREPARE_SETTINGS = frozenset({"copies", "snr_db_low", "snr_db_high"})
"""Of :class:`deepnmf.config.PrepareConfig`; deepnmf 0.1 recorded them in a model's features."""
SCORE, OLD_SCORE = "dev_si_sdr_db", "dev_sdr_db"
"""Of an epoch of a history."""
TEXT_LIMIT = 1000
"""Most characters of a text in the training record of a file."""


def read_features(values: Any) -> FeatureConfig:
    """Return the features that a file records.

    Raises
    ------
    DeepnmfError
        If they are not a table of valid keys, or a value has the wrong type or is out of range.
    """
    if not isinstance(values, dict):
        raise DeepnmfError(f"features must be a table, not {shown(values)}")
    kept = {key: value for key, value in values.items() if key not in PREPARE_SETTINGS}
    return from_dict(FeatureConfig, kept, "features")


def read_provenance(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a model file, with the names of today in its history.

    Raises
    ------
    DeepnmfError
        If what it records of its training is not what card and report show.
    """
    for name in ("config", "seed", "manifest", "dictionary", "deepnmf"):
        if not _is_printable(metadata.get(name)):
            raise DeepnmfError(f"{name} has text that cannot be printed")
    if not _is_table_of_tables(metadata.get("config", {})):
        raise DeepnmfError("config must be a table of tables")
    network = metadata.get("config", {}).get("network", {})
    for name in ("layers", "trained", "trained_layers"):
        if network.get(name) is not None:
            NumberSpec(0, LAYERS_LIMIT + 1, integer=True).check(f"config.network.{name}", network[name])
    if not isinstance(network.get("kind", ""), str):
        raise DeepnmfError(f"config.network.kind must be a name, not {shown(network['kind'])}")
    return metadata | {"history": _read_history(metadata["history"])} if "history" in metadata else metadata


def _read_history(history: Any) -> list[dict[str, Any]]:
    """Return the history of a training; up to deepnmf 0.4, the key of the dev score was `OLD_SCORE`."""
    if not isinstance(history, list) or not all(isinstance(epoch, dict) for epoch in history):
        raise DeepnmfError("history must be a list of tables")
    history = [{SCORE if key == OLD_SCORE else key: value for key, value in epoch.items()} for epoch in history]
    for epoch in history:
        NumberSpec(-1e6, 1e6).check(f"history.{SCORE}", epoch.get(SCORE))
    return history


def read_run(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a checkpoint, with the names of today in its history.

    Raises
    ------
    DeepnmfError
        If they are not a run and its history.
    """
    run = metadata.get("run")
    if not isinstance(run, dict) or not isinstance(run.get("config"), dict) or not metadata.get("history"):
        raise DeepnmfError("it records no run")
    return metadata | {"history": read_provenance({**run, "history": metadata["history"]})["history"]}


def check_best(history: list[dict[str, Any]]) -> None:
    """Raise `DeepnmfError` if the last epoch of a `history` is not its best: then the model is not the best one."""
    scores = [epoch[SCORE] for epoch in history]
    if scores and max(scores) > scores[-1]:
        raise DeepnmfError("its last epoch is not its best, so that another model stands in the place of the best one")


def is_text(value: Any) -> bool:
    """Return whether a JSON value is a text that may name a file: not empty, without a zero byte."""
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_table_of_tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(section, dict) for section in value.values())


def _is_printable(value: Any) -> bool:
    """Return whether all text in a JSON value is short and free of control characters (terminals interpret them)."""
    if isinstance(value, dict):
        return all(_is_printable(part) for item in value.items() for part in item)
    if isinstance(value, list):
        return all(map(_is_printable, value))
    return not isinstance(value, str) or (value.isprintable() and len(value) <= TEXT_LIMIT)
