"""`deepnmf show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._completion import complete_model
from ._help import EVALUATE, IN_OUT, add
from ._process import print_line


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, EVALUATE, "deepnmf show small", "deepnmf show exp --plot atoms.png")(show)


def show(
    model: Annotated[
        str, typer.Argument(help="A bundled model, a model file or an experiment.", autocompletion=complete_model)
    ] = "default",
    plot: Annotated[
        Path | None,
        typer.Option(help="Also plot the atoms, for example into atoms.png.", metavar="FILE", rich_help_panel=IN_OUT),
    ] = None,
) -> None:
    """Print a summary of a model: score, limitations, structure, cost, provenance and atoms."""
    from ..model import load_model
    from ..model_cards import package_card
    from ..report.atoms import drawing
    from ..report.summary import model_summary, summary_text

    loaded = load_model(model)
    print_line(summary_text(model_summary(loaded, "" if Path(model).exists() else package_card(model))))
    if plot is not None:
        from ..report.plot import plot_atoms

        plot_atoms(loaded, plot)
        print_line(f"{'atoms':<13}{plot}")
    elif (network := loaded.network.with_atoms()) is not None:
        print_line("\n" + drawing(network.output, network.speech_atoms, loaded.features.stft.rate_hz))
