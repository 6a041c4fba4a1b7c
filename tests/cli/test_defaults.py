"""The defaults of each command are those of the Python function of the same name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
import typer

from deepnmf import cli

FUNCTIONS = {
    "evaluate": "evaluation.evaluate",
    "features": "data.features",
    "prepare": "data.prepare",
    "pretrain": "training.pretrain",
    "profile": "enhancement.profile",
    "report": "report",
    "train": "training.experiment",
    "verify": "training.verify",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_defaults_of_command_and_function_agree(name: str) -> None:
    command: Any = typer.main.get_command(cli.application())
    function = getattr(importlib.import_module(f"deepnmf.{FUNCTIONS[name]}"), name)
    given = {parameter.name: parameter.default for parameter in command.commands[name].params}
    own = {key: value.default for key, value in inspect.signature(function).parameters.items()}
    left_to_function = (inspect.Parameter.empty, None, [])  # of an option that is not given
    known = {key: value for key, value in given.items() if key in own and value not in left_to_function}
    assert known == {key: own[key] for key in known}
