"""The option `--model` of commands that load one model."""

from __future__ import annotations

from typing import Annotated

import typer

from ._completion import complete_model
from ._help import MODEL

ModelName = Annotated[
    str,
    typer.Option(
        help="A bundled model, a model file or an experiment.",
        metavar="MODEL",
        autocompletion=complete_model,
        rich_help_panel=MODEL,
    ),
]
