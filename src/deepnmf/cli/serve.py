"""`deepnmf serve`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ._completion import complete_model
from ._help import DEVICE, MODEL, USE, add
from ._process import print_line


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, USE, "deepnmf serve", "deepnmf serve --model exp --port 0 --no-open")(serve)


def serve(
    model: Annotated[
        str | None,
        typer.Option(
            help="A model file or an experiment, to choose from beside the bundled models.",
            metavar="MODEL",
            show_default="bundled models only",
            autocompletion=complete_model,
            rich_help_panel=MODEL,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port on this machine; 0 takes a free one.", metavar="N", min=0, rich_help_panel=DEVICE)
    ] = 8765,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the default browser.", rich_help_panel=DEVICE)
    ] = True,
) -> None:
    """Open a page that enhances recordings in the browser; nothing leaves this machine.

    The page reads files and the microphone, plays the sound before and after, shows both spectrograms and offers the
    result for download. It runs until Ctrl-C.
    """
    from ..model import DEFAULT_MODEL, load_model
    from ..page.build import exportable_models
    from ..page.server import serve

    def opened(url: str) -> None:
        print_line(f"{url} (Ctrl-C ends it)")
        if open_browser:
            webbrowser.open(url)

    models, default = exportable_models(), model or DEFAULT_MODEL
    if default not in models:
        default, loaded = Path(default).stem, load_model(default)
        models = {default: loaded, **models}
    serve(port, models, default, opened)
