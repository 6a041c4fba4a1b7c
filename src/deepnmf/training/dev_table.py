"""The last step of an experiment: its model beside the input and the models of the package, on the dev split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from ..artifacts import file_hash
from ..errors import DeepnmfError
from ..evaluation import evaluate
from ..evaluation.folder import SUMMARY, read_evaluation
from ..evaluation.metrics import METRICS
from ..model import ADAPTABLE_MODEL, DEFAULT_MODEL, load_model

SCORED = ("si_sdr", "sdr", "stoi", "estoi")
MOST_RECORDINGS = 60
"""Dev recordings scored, from the first: their SNRs take turns. Three models take a minute or two."""
INPUT, NEW = "input", "new model"
Means: TypeAlias = dict[str, dict[str, float | None]]
"""Mean of each metric, by system."""


def compare_on_dev(manifest: Path, model: Path, output: Path, report: Callable[[str], None]) -> None:
    """Report a table of scores on dev of input, `model`, ``default`` and ``snmf``, and whether the model is worse.

    Scores are written to a folder for each system in `output`; those of the same model and manifest are kept.
    """
    systems = {NEW: str(model), DEFAULT_MODEL: DEFAULT_MODEL, ADAPTABLE_MODEL: ADAPTABLE_MODEL}
    try:
        summaries = {name: _summary(manifest, system, output / name.split()[0]) for name, system in systems.items()}
    except DeepnmfError as error:
        report(f"no comparison on dev: {error}")
        return
    means = {INPUT: _means(summaries[NEW], "input")}
    means.update({name: _means(summary, "output") for name, summary in summaries.items()})
    report(f"mean of {summaries[NEW]['overall']['files']} dev recordings:")
    for line in (*_table(means), *losses(means)):
        report(line)


def _summary(manifest: Path, model: str, folder: Path) -> dict[str, Any]:
    """Return the summary of an evaluation, which is made unless the folder has it."""
    wanted = file_hash(manifest), load_model(model).metadata["sha256"]
    if (folder / SUMMARY).is_file():
        summary = read_evaluation(folder).summary
        if (summary.get("manifest_sha256"), summary["system"]["model_sha256"]) == wanted:
            return summary
    return evaluate(manifest, folder, model=model, split="dev", limit=MOST_RECORDINGS, only=SCORED).summary


def _means(summary: dict[str, Any], part: str) -> dict[str, float | None]:
    return {name: summary["overall"][name][part]["mean"] for name in SCORED}


def _table(means: Means) -> list[str]:
    """Return the lines of a table, a row for each system."""
    headings = [f"{METRICS[name].label}{f', {METRICS[name].unit}' * bool(METRICS[name].unit)}" for name in SCORED]
    first = max(map(len, means))
    rows = [[" " * first, *headings]]
    rows += [
        [f"{system:<{first}}", *(_cell(name, scores[name]) for name in SCORED)] for system, scores in means.items()
    ]
    return [
        "  ".join([row[0], *(f"{cell:>{len(h)}}" for cell, h in zip(row[1:], headings, strict=True))]) for row in rows
    ]


def _cell(name: str, value: float | None) -> str:
    return "–" if value is None else f"{value:.{METRICS[name].decimals}f}"


def losses(means: Means) -> list[str]:
    """Return a sentence if the new model is worse than its input, and one if it is worse than ``default``.

    Examples
    --------
    >>> scores = {"si_sdr": 2.0, "sdr": 2.0, "stoi": 0.7, "estoi": 0.5}
    >>> losses({"input": scores, "new model": {**scores, "stoi": 0.6}, "default": {**scores, "stoi": 0.5}})
    ['The new model is worse than its input in STOI: more speech, more noises or longer training is needed.']
    """
    advice = {
        INPUT: ("its input", "more speech, more noises or longer training is needed"),
        DEFAULT_MODEL: (f"`{DEFAULT_MODEL}`", "use that, or fine-tune it on these recordings"),
    }
    lines = []
    for other, (called, what_to_do) in advice.items():
        pairs = {name: (means[NEW][name], means[other][name]) for name in SCORED}
        lost = [
            METRICS[n].label for n, (new, old) in pairs.items() if new is not None and old is not None and new < old
        ]
        if lost:
            lines.append(f"The new model is worse than {called} in {', '.join(lost)}: {what_to_do}.")
    return lines
