"""The page: its content rendered by the template, with styles and script inline and every other source forbidden.

Every value is escaped by the template engine where it is written, and unprintable characters are replaced; only our own
style sheet and script are marked as markup.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from .._version import __version__
from ..evaluation import ComparisonFolder, EvaluationFolder
from ..evaluation.metrics import METRICS
from ..model import Model
from .compared import ComparedPlayer, compared_tables
from .dictionaries import ATOM_COLOURS, dictionary_panels
from .example_players import (
    ACTIVATION_COLOURS,
    MASK_COLOURS,
    SPECTROGRAM_COLOURS,
    ExamplePlayer,
    LayersSection,
    example_player,
    layers_section,
)
from .examples import Example
from .layers import LayerTrace
from .learning import learning_curves
from .score_tables import input_against_output, tables, tiles
from .strips import time_ticks
from .summary import model_summary
from .text import plain


def page(
    name: str,
    model: Model,
    scores: EvaluationFolder,
    history: list[dict[str, Any]],
    examples: list[Example],
    trace: LayerTrace | None,
    notes: list[str],
) -> str:
    """Return the complete page as HTML.

    Parameters
    ----------
    name : str
        Of the experiment.
    model, scores, history
        Content of the page.
    examples : list of Example
        Best, median and worst; empty if they could not be made.
    trace : LayerTrace or None
        Of the example that :func:`followed` names; None leaves its sections out.
    notes : list of str
        What the page could not show, and why.
    """
    players = [example_player(example, index, scores.metrics) for index, example in enumerate(examples)]
    ranked = scores.ranked()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            name=name,
            kind=model.title(),
            notes=notes,
            files=scores.summary["overall"]["files"],
            failed=len(scores.summary.get("failed", [])),
            split=scores.summary["split"],
            tiles=tiles(scores),
            tables=tables(scores),
            scatter=input_against_output(ranked, scores.leading) if ranked else None,
            recordings=len(ranked),
            worse=sum(row[f"{scores.leading}_improvement"] < 0 for row in ranked),
            players=players,
            learning=learning_curves(history, model.metadata.get("history", [])),
            dictionaries=dictionary_panels(model),
            layers=_layers(examples, players, trace),
            summary=model_summary(model),
            version=__version__,
        )
    )


def comparison_page(name: str, found: ComparisonFolder, players: list[ComparedPlayer], notes: list[str]) -> str:
    """Return the complete page of a comparison as HTML."""
    summary = found.summary
    overall = summary["systems"][0]["scores"]["overall"]
    return (
        _environment()
        .get_template("comparison.html.j2")
        .render(
            name=name,
            notes=notes,
            baseline=summary["baseline"],
            systems=[system["name"] for system in summary["systems"]],
            files=overall["files"],
            failed=summary["failed"],
            split=summary.get("split", ""),
            has_input="input" in overall[found.metrics[0]],
            tables=compared_tables(found),
            metric=METRICS[found.metrics[0]],
            players=players,
            version=__version__,
        )
    )


def followed(examples: list[Example]) -> int | None:
    """Return which example is followed through the network: the one nearest to the median."""
    return min(1, len(examples) - 1) if examples else None


def _layers(examples: list[Example], players: list[ExamplePlayer], trace: LayerTrace | None) -> LayersSection | None:
    index = followed(examples)
    if index is None or trace is None:
        return None
    frames = examples[index].tracks[0].spectrogram.shape[1]
    return layers_section(players[index], trace, examples[index].mixture.rate_hz, frames)


@functools.cache
def _environment() -> jinja2.Environment:
    script = _source("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.globals |= {
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
        "style": Markup(_source("style.css")),
        "time_ticks": time_ticks,
        "colours": {
            "spectrogram": SPECTROGRAM_COLOURS,
            "activation": ACTIVATION_COLOURS,
            "mask": MASK_COLOURS,
            "atom": ATOM_COLOURS,
        },
    }
    return environment


def _printable(value: Any) -> Any:
    return plain(value) if type(value) is str else value  # markup has a type of its own


def _source(name: str) -> str:
    return (resources.files(__package__) / "template" / name).read_text(encoding="utf-8")
