"""`deepnmf report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(report)


def report(
    experiment: Annotated[Path, typer.Argument(help="An experiment, a model file, or a bundled model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")],
    scores: Annotated[
        Path | None, typer.Option(help="Folder that `deepnmf evaluate` wrote; EXPERIMENT/test by default.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Manifest that was scored; by default in the experiment's folder or above it.")
    ] = None,
) -> None:
    """Write one page with scores, sound, spectrograms, dictionaries and learning curves; it works offline."""
    from ..report import report

    for note in report(experiment, output, scores=scores, manifest=manifest):
        typer.echo(f"deepnmf: {note}", err=True)
    typer.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
