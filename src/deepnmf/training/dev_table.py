"""The last step of an experiment: its model beside the input and the models of the package, on the dev split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..artifacts import file_hash
from ..errors import DeepnmfError
from ..evaluation.compare import compare, folder_name
from ..evaluation.comparison import check_comparison_table, read_comparison
from ..evaluation.folder import read_evaluation
from ..evaluation.items import Items, ManifestRecordings, Recordings
from ..evaluation.metrics import METRICS
from ..evaluation.systems import EnhancedFiles, System, model_system
from ..model import ADAPTABLE_MODEL, DEFAULT_MODEL

SCORED = ("si_sdr", "sdr", "stoi", "estoi")
MOST_RECORDINGS = 60
"""Dev recordings scored, from the first: their SNRs take turns. Three models take a minute or two."""
INPUT, NEW = "input", "new model"
Means: TypeAlias = dict[str, dict[str, float | None]]
"""Mean of each metric, by system."""


@dataclass(frozen=True)
class UsableRecordings(ManifestRecordings):
    """The rows of a split whose files are not among those `left_out`, lines that begin with the file's name."""

    left_out: tuple[str, ...] = ()

    def items(self, enhanced: EnhancedFiles | None = None) -> Items:
        """Return the rows, in the order of the manifest."""
        items, problems = super().items(enhanced)
        bad = {line.partition(": ")[0] for line in self.left_out}
        rows = (item.row for item in items)
        usable = [row is None or not {row.speech, row.noise, row.noisy} & bad for row in rows]
        return [item for item, keep in zip(items, usable, strict=True) if keep], problems


def compare_on_dev(
    manifest: Path, model: Path, output: Path, report: Callable[[str], None], left_out: Sequence[str] = ()
) -> None:
    """Report a table of scores on dev of input, `model`, ``default`` and ``snmf``, and whether the model is worse.

    The comparison is written to `output`, and kept if manifest and models are the same as before. Recordings that were
    `left_out`, lines that begin with their file, are left out here, too.
    """
    systems = [dataclasses.replace(model_system(model), name=NEW), *map(model_system, (DEFAULT_MODEL, ADAPTABLE_MODEL))]
    recordings = UsableRecordings(manifest, "dev", tuple(left_out))
    try:
        summaries = _known_summaries(manifest, systems, output) or _compared(recordings, systems, output)
    except DeepnmfError as error:
        report(f"no comparison on dev: {error}")
        return
    means = {INPUT: _means(summaries[NEW], "input")}
    means.update({name: _means(summary, "output") for name, summary in summaries.items()})
    report(f"mean of {summaries[NEW]['overall']['files']} dev recordings:")
    for line in (*_table(means), *losses(means)):
        report(line)


def _compared(recordings: Recordings, systems: list[System], output: Path) -> dict[str, Any]:
    found = compare(recordings, output, systems, limit=MOST_RECORDINGS, only=SCORED)
    if len(found.evaluations) < len(systems):
        raise DeepnmfError(found.failures[0])
    return {name: evaluation.summary for name, evaluation in found.evaluations.items()}


def _known_summaries(manifest: Path, systems: list[System], output: Path) -> dict[str, Any]:
    """Return the summaries of an earlier comparison; none if it is not whole, or was of another manifest or model."""
    wanted = {system.name: system.sha256 for system in systems}
    try:
        check_comparison_table(output)
        comparison = read_comparison(output).summary
        summaries = {name: read_evaluation(output / folder_name(name)).summary for name in wanted}
    except DeepnmfError:
        return {}
    compared = {system["name"]: system.get("model_sha256") for system in comparison["systems"]}
    models = {name: summary["system"]["model_sha256"] for name, summary in summaries.items()}
    is_same = comparison.get("manifest_sha256") == file_hash(manifest) and compared == models == wanted
    return summaries if is_same else {}


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
