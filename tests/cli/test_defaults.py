"""The defaults of each command are those of the Python functions behind it."""

from __future__ import annotations

import importlib
import inspect
import operator
from typing import Any

import pytest
import typer

from deepnmf import cli

FUNCTIONS = {
    "enhance": [
        "enhancement.setup:set_up_model",
        "enhancement.files:FileOptions",
        "enhancement.batch:Batch",
        "enhancement.batch:Batch.run",
    ],
    "evaluate": ["evaluation.evaluate:evaluate", "evaluation.evaluate:evaluate_folders", "evaluation.compare:compare"],
    "export": ["export.onnx:ExportOptions", "model:load_model"],
    "features": ["data.features:features"],
    "live": ["enhancement.live:run_live", "model:load_model"],
    "prepare": ["data.prepare:prepare", "data.prepare:prepare_corpus"],
    "pretrain": ["training.pretrain:pretrain"],
    "profile": ["enhancement.profile:profile"],
    "report": ["report:report"],
    "serve": ["page.server:serve"],
    "show": ["model:load_model"],
    "train": ["training.experiment:train", "training.experiment:train_last_stage", "training.loop:train_network"],
    "verify": ["training.verify:verify"],
}
"""Of every command but `models`, which has no option in common with its function."""
OTHER_NAMES = {
    "enhance": {"audio_track": "track", "jobs": "workers"},
    "export": {"model": "name_or_path"},
    "live": {"model": "name_or_path"},
    "show": {"model": "name_or_path"},
}
"""Options whose parameters are called otherwise."""
LEFT_TO_FUNCTION = (inspect.Parameter.empty, None, [])
"""Defaults of options that are passed on only if given."""


def attribute(path: str) -> Any:
    """Return what stands in a module of the package."""
    module, *names = path.split(":")
    return operator.attrgetter(*names)(importlib.import_module(f"deepnmf.{module}"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_defaults_of_command_and_functions_agree(name: str) -> None:
    command: Any = typer.main.get_command(cli.application())
    others = OTHER_NAMES.get(name, {})
    given = {others.get(each.name, each.name): each.default for each in command.commands[name].params}
    for path in FUNCTIONS[name]:
        own = {key: value.default for key, value in inspect.signature(attribute(path)).parameters.items()}
        shared = given.keys() & own.keys()
        assert shared, path
        assert {key: given[key] for key in shared if given[key] not in LEFT_TO_FUNCTION} == {
            key: own[key] for key in shared if given[key] not in LEFT_TO_FUNCTION
        }


def test_every_command_is_compared() -> None:
    command: Any = typer.main.get_command(cli.application())
    assert command.commands.keys() - FUNCTIONS.keys() == {"models"}
