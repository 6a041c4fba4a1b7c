"""`deepnmf profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._completion import complete_model
from ._help import IN_OUT, MODEL, USE, add
from ._process import print_line


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(
        app,
        USE,
        "deepnmf profile hum.wav -o noise.safetensors",
        "deepnmf profile meeting.wav --span 0:5 -o room.safetensors",
    )(profile)


def profile(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Recording of noise, or of the wanted voice, alone.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="Profile to write (.safetensors).", rich_help_panel=IN_OUT),
    ],
    span: Annotated[
        str | None,
        typer.Option(metavar="START:END", help="Part to use, in seconds.", show_default="all", rich_help_panel=IN_OUT),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The model it is for, or one of the same features.",
            autocompletion=complete_model,
            rich_help_panel=MODEL,
        ),
    ] = "default",
) -> None:
    """Compute a profile once, for --noise-profile or --voice-profile of `deepnmf enhance`."""
    from ..enhancement.profile import profile

    print_line(f"{profile(source, output, model, span)}")
