"""The page: sections put into the template, with styles and script inside and every other source forbidden."""

from __future__ import annotations

import base64
import hashlib
import string
from importlib import resources
from typing import Any

from .._version import __version__
from ..model import Model
from .charts import curve
from .examples import Example
from .html_examples import example_html, inside
from .html_network import card_html, dictionaries_html
from .html_parts import esc
from .html_scores import headline, input_against_output, learning_curves, tables
from .layers import Anatomy
from .scores import Scores
from .summary import kind


def page(
    name: str,
    model: Model,
    scores: Scores,
    history: list[dict[str, Any]],
    examples: list[Example],
    anatomy: Anatomy | None,
    notes: list[str],
) -> str:
    """Return the whole page as HTML.

    Parameters
    ----------
    name : str
        Of the experiment.
    model, scores, history
        What the page is about.
    examples : list of Example
        Best, median and worst; empty if they could not be made.
    anatomy : Anatomy or None
        Of the example that :func:`followed` names; None leaves its sections out.
    notes : list of str
        What the page could not show, and why.
    """
    script = _template("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = {
        "name": esc(name),
        "kind": esc(kind(model)),
        "script": script,
        "script_hash": f"sha256-{digest}",
        "style": _template("style.css"),
        "files": _files(scores),
        "notes": "".join(f'<p class="note">{esc(note)}</p>' for note in notes),
        "headline": headline(scores),
        "tables": tables(scores),
        "scatter": input_against_output(scores),
        "curves": learning_curves(history, model),
        "examples": "".join(example_html(e, index, scores.metrics) for index, e in enumerate(examples)),
        "dictionaries": dictionaries_html(model),
        "inside": _inside(examples, anatomy),
        "card": card_html(model),
        "version": esc(__version__),
    }
    return string.Template(_template("page.html")).substitute(values)


def followed(examples: list[Example]) -> int | None:
    """Return which example is followed through the network: the one nearest to the median."""
    return min(1, len(examples) - 1) if examples else None


def _files(scores: Scores) -> str:
    count = scores.summary["overall"]["files"]
    failed = len(scores.summary.get("failed", []))
    text = f"{count} recording{'' if count == 1 else 's'} of the {scores.summary['split']} split"
    return esc(text + (f"; {failed} more could not be scored" if failed else ""))


def _inside(examples: list[Example], anatomy: Anatomy | None) -> str:
    player = followed(examples)
    if player is None:
        return "<p>Activations and masks are shown of an example; there is none.</p>"
    if anatomy is None:
        return "<p>Activations and masks after each layer can be shown of deep NMF networks only.</p>"
    example = examples[player]
    activations, masks = inside(example, anatomy, player)
    quality = curve(anatomy.si_sdr_db, "layers", "SI-SDR (dB)", marked=len(anatomy.si_sdr_db) - 1)
    values = {"title": esc(example.title.lower()), "activations": activations, "masks": masks, "quality": quality}
    return string.Template(_template("inside.html")).substitute(values)


def _template(name: str) -> str:
    return (resources.files(__package__) / "template" / name).read_text(encoding="utf-8")
