"""`deepnmf show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(show)


def show(
    model: Annotated[str, typer.Argument(help="A bundled model, a model file, or an experiment.")] = "default",
    plot: Annotated[Path | None, typer.Option(help="Picture of the atoms to write, such as atoms.png.")] = None,
) -> None:
    """Print a model's card: its score and limitations, what it is and costs, where it came from, and its atoms."""
    from ..model import load_model
    from ..report.atoms import drawing
    from ..report.summary import model_summary, package_card, summary_text

    loaded = load_model(model)
    typer.echo(summary_text(model_summary(loaded, package_card(model))))
    if plot is not None:
        from ..report.plot import plot_atoms

        plot_atoms(loaded, plot)
        typer.echo(f"{'atoms':<13}{plot}")
    elif (network := loaded.network.with_atoms()) is not None:
        typer.echo("\n" + drawing(network.output, network.speech_atoms, loaded.features.stft.rate_hz))
