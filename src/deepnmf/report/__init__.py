"""The report: one page with scores, audio and pictures of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..artifacts import write_text
from ..artifacts.outputs import check_suffix, check_writable
from ..artifacts.paths import resolved
from ..errors import DeepnmfError, InputError, require
from ..evaluation import EvaluationFolder, read_comparison
from ..evaluation.comparison import COMPARISON
from ..evaluation.folder import SUMMARY
from ..model import BEST, Model, load_model
from ..training.curves import read_curves
from ..training.files import LAST
from .examples import Example, make_examples
from .layers import trace_layers
from .scores import find_rows, load_scores

__all__ = ["report"]


def report(experiment: Path, output: Path, *, scores: Path | None = None, manifest: Path | None = None) -> list[str]:
    """Write the report of a model that has been evaluated: one self-contained HTML file.

    Parameters
    ----------
    experiment : Path
        Folder of an experiment, a model file, or the folder of a comparison: its page has a column for each system.
    output : Path
        HTML file to write; equal bytes for equal inputs.
    scores : Path, optional
        Folder that :func:`deepnmf.evaluation.evaluate` wrote; ``test`` in the experiment's folder by default.
    manifest : Path, optional
        Manifest that was scored; by default that of the experiment or of the folder above it.

    Returns
    -------
    list of str
        What the page could not show, and why; the page lists it too.

    Raises
    ------
    DeepnmfError
        If jinja2 is missing, the model cannot be read, there are no scores of it, or `output` cannot be written
        or is not the name of a page.
    """
    check_suffix(output, "a report", ".html", ".htm")
    check_writable(output)
    require("the report", "jinja2")
    from .page import followed, page  # here, as `show` must work without jinja2

    experiment = Path(experiment)
    if (experiment / COMPARISON).is_file():
        return _report_comparison(experiment, Path(output))
    if (experiment / SUMMARY).is_file() and not (experiment / BEST).exists():
        how = f"of a model with its scores (deepnmf report MODEL --scores {experiment}) or of a comparison"
        raise InputError(f"{experiment}: the scores of one system; a report is {how}")
    model = load_model(experiment)
    folder = experiment if experiment.is_dir() else experiment.parent
    found = load_scores(Path(scores) if scores else folder / "test", model, experiment)
    examples, notes = _examples(found, experiment, manifest, model)
    player = followed(examples)
    mixture = None if player is None else examples[player].mixture
    trace = None if mixture is None else trace_layers(model, mixture.noisy, mixture.speech)
    name = resolved(experiment).name
    write_text(Path(output), page(name, model, found, _history(folder, model), examples, trace, notes))
    return notes


def _report_comparison(folder: Path, output: Path) -> list[str]:
    """Write the report of a comparison."""
    from .compared import compared_players
    from .page import comparison_page

    found = read_comparison(folder)
    players, notes = compared_players(found)
    write_text(output, comparison_page(resolved(folder).name, found, players, notes))
    return notes


def _examples(
    scores: EvaluationFolder, experiment: Path, manifest: Path | None, model: Model
) -> tuple[list[Example], list[str]]:
    """Return the examples, or none and the reason: a report is useful without the recordings."""
    try:
        return make_examples(scores.ranked(), find_rows(scores, experiment, manifest), model), []
    except DeepnmfError as error:
        if manifest:
            raise
        return [], [f"no examples: {error}"]


def _history(folder: Path, model: Model) -> list[dict[str, Any]]:
    """Return the history of the complete run, with its training curves: the best model's own ends with its epoch."""
    history = _complete_history(folder, model)
    return [entry | row for entry, row in zip(history, read_curves(folder, history), strict=True)]


def _complete_history(folder: Path, model: Model) -> list[dict[str, Any]]:
    """Return the history of the last epoch's model if it is of the same run, else that of the model itself."""
    own = model.metadata.get("history", [])
    last = folder / LAST
    if not last.is_file():
        return own
    metadata = load_model(last).metadata
    same = all(metadata.get(key) == model.metadata.get(key) for key in ("config", "dictionary", "manifest"))
    return metadata["history"] if same else own
