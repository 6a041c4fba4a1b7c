"""Whether features, dictionary and settings of a training run belong together: checked without importing torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from .._version import __version__
from ..artifacts.outputs import check_writable
from ..artifacts.records import read_features, read_run
from ..artifacts.tensor_file import TensorFile, about, open_tensors
from ..config import difference, to_dict
from ..data.features import read_record
from ..errors import ConfigError, InputError
from ..model import BEST
from ..networks.kinds import Config, with_defaults
from ..nmf.dictionary import Dictionary, load_dictionary
from .files import CHECKPOINT, LAST
from .initial import Initial

Run: TypeAlias = dict[str, Any]
"""What identifies a run: configuration, seed, hashes of its inputs."""


OUTPUTS = (BEST, LAST, CHECKPOINT)
LENGTH = ("epochs", "patience")
"""Training settings that a run may change when it goes on."""


def without_length(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration less the length of its training."""
    return {**config, "train": {name: value for name, value in config["train"].items() if name not in LENGTH}}


def check_output(output: Path, run: Run) -> None:
    """Raise `InputError` if the models cannot be written into a folder, or it holds another run: before any work."""
    check_writable(*(output / name for name in OUTPUTS))
    checkpoint_of(output, run)


def checkpoint_of(output: Path, run: Run) -> TensorFile | None:
    """Return the checkpoint of a run in a folder, None if there is none.

    Raises
    ------
    DeepnmfError
        If it is damaged, or of another run.
    """
    path = output / CHECKPOINT
    if not path.exists():
        return None
    file = open_tensors(path, "checkpoint")
    with about(path, "delete it and train again"):
        file.metadata = read_run(file.metadata)
    recorded = file.metadata["run"]
    recorded = {**recorded, "config": with_defaults(recorded["config"], str(path))}
    if "precision" not in run:  # it is known once the network is on its device
        recorded.pop("precision", None)
    expected, present = ({**each, "config": without_length(each["config"])} for each in (run, recorded))
    if found := difference(expected, present):
        raise InputError(f"{output}: holds a run of another configuration ({found}); choose another folder")
    return file


def check_inputs(
    features: Path, config: Config, dictionary: Path | None, initial: Initial | None = None
) -> tuple[Config, Dictionary | None, Run]:
    """Check that the inputs of a run belong together.

    Returns
    -------
    Config
        The configuration, with the settings that features and dictionary were made with.
    Dictionary or None
        The dictionary, if the kind of network starts from one.
    dict
        What identifies the run.

    Raises
    ------
    DeepnmfError
        If something is missing or does not belong to the rest.
    """
    record = read_record(features)
    config = dataclasses.replace(config, features=read_features(record["features"]))
    source = None if initial else _dictionary(features, config, dictionary)
    if initial:
        _check_initial(initial, features, config, dictionary)
    if source is not None:
        config = dataclasses.replace(config, snmf=source.snmf)
    run = {
        "config": config.to_dict(),
        "seed": config.train.seed,
        "dictionary": source.metadata["sha256"] if source else None,
        "manifest": record["manifest"],
        "deepnmf": __version__,
        **({"initial": initial.sha256} if initial else {}),
    }
    return config, source, run


def _check_initial(initial: Initial, features: Path, config: Config, dictionary: Path | None) -> None:
    if dictionary is not None:
        raise InputError(f"{dictionary}: {initial.name} has dictionaries already; leave it out")
    if found := difference(to_dict(initial.model.features), to_dict(config.features)):
        raise InputError(f"{features}: not the features of {initial.name} ({found}); make them with its settings")


def _dictionary(features: Path, config: Config, dictionary: Path | None) -> Dictionary | None:
    kind = config.network.kind
    if not config.kind.FROM_DICTIONARY:
        if dictionary is not None:
            raise InputError(f"{dictionary}: {kind} starts from no dictionary; leave it out")
        return None
    if dictionary is None:
        raise InputError(f"{kind} starts from a dictionary: run deepnmf pretrain and give its output")
    source, context = load_dictionary(dictionary), config.context
    if source.context != context:
        raise ConfigError(f"{dictionary}: made for a context of {source.context}, but network.context is {context}")
    if found := difference(to_dict(source.features), to_dict(config.features)):
        raise InputError(f"{features}: not the features of {dictionary} ({found}); make both with one configuration")
    return source
