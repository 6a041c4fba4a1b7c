"""`deepnmf models`."""

from __future__ import annotations

import dataclasses
import json
import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from ._help import SCRIPTING, USE, add
from ._process import print_line

if TYPE_CHECKING:
    from ..model import PackageModel

METRICS = {"si_sdr": "SI-SDR", "sdr": "SDR", "stoi": "STOI", "estoi": "ESTOI", "pesq_wb": "PESQ"}
DECIMALS = {"stoi": 3, "estoi": 3}
WIDEST = 98


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, USE, "deepnmf models", "deepnmf models --json | jq -r .name")(models)


def models(
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            rich_help_panel=SCRIPTING,
            help="Print a JSON object per model: name, kind, weights, latency_ms, scores, limitations.",
        ),
    ] = False,
) -> None:
    """List the bundled models: name, kind, weights, latency, scores and limitations.

    Scores are means on the dev split of the models' cards: SI-SDR and SDR in dB, STOI, ESTOI and wide-band PESQ.
    """
    from ..model import models
    from ..model_cards import package_scores

    found = models()
    if as_json:
        for model in found:
            print_line(json.dumps(dataclasses.asdict(model)))
        return
    for row in _table(found, package_scores("noisy")):
        print_line(row)
    for model in found:
        print_line()
        print_line("\n".join(_paragraph(model)))


def _table(models: list[PackageModel], noisy: dict[str, float]) -> list[str]:
    """Return the lines of a table, numbers to the right, with the scores of the noisy input at the end."""
    rows = [["name", "kind", "weights", "ms", *METRICS.values()]]
    for model in models:
        rows.append([model.name, model.kind, f"{model.weights:,}", f"{model.latency_ms:g}", *_cells(model.scores)])
    rows.append(["(noisy)", "", "", "", *_cells(noisy)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_aligned(row, widths) for row in rows]


def _aligned(row: list[str], widths: list[int]) -> str:
    """Return text to the left and numbers to the right, close enough for 80 columns."""
    cells = list(zip(row, widths, strict=True))
    text = [f"{cell:<{width}}" for cell, width in cells[:2]]
    numbers = " ".join(f"{cell:>{width}}" for cell, width in cells[2:])
    return f"{' '.join(text)}  {numbers}".rstrip()


def _cells(scores: dict[str, float]) -> list[str]:
    return [f"{scores[name]:.{DECIMALS.get(name, 2)}f}" if name in scores else "-" for name in METRICS]


def _paragraph(model: PackageModel) -> list[str]:
    text = f"{model.name}: {model.limitations or 'no limitations named'}"
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
