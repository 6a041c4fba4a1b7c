"""`deepnmf report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._help import EVALUATE, IN_OUT, add
from ._process import print_line


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, EVALUATE, "deepnmf report exp -o report.html", "deepnmf report default -o report.html --scores scores")(
        report
    )


def report(
    experiment: Annotated[Path, typer.Argument(help="An experiment, a model file, a bundled model, or a comparison.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="HTML file to write.", metavar="FILE", rich_help_panel=IN_OUT)
    ],
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Output of `deepnmf evaluate`.",
            metavar="FOLDER",
            show_default="EXPERIMENT/test",
            rich_help_panel=IN_OUT,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Manifest that was scored.",
            metavar="FILE",
            show_default="in the experiment or above it",
            rich_help_panel=IN_OUT,
        ),
    ] = None,
) -> None:
    """Write a self-contained HTML page with scores, audio, spectrograms, dictionaries and learning curves."""
    from ..report import report

    for note in report(experiment, output, scores=scores, manifest=manifest):
        typer.echo(f"deepnmf: {note}", err=True)
    print_line(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
