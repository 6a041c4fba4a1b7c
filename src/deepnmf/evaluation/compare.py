"""Several systems on the same recordings: each scored as :func:`evaluate` does, and their paired differences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._version import __version__
from ..artifacts.outputs import check_writable
from ..errors import DeepnmfError, InputError, printable
from ..model import DEFAULT_MODEL
from ..progress import note
from ..shards import WHOLE, Shard
from .comparison import (
    COMPARISON,
    COMPARISON_SCORES,
    COMPARISON_TABLE,
    summarise_comparison,
    write_comparison,
)
from .evaluate import Evaluation, NothingScored, evaluate, recordings_of
from .folder import check_output
from .items import Recordings
from .summary import Rows, metric_notes
from .systems import EnhancedFiles, System, model_system
from .tables import comparison_table

LONGEST_FOLDER = 80


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    rows : list of dict
        Lines of ``comparison.csv``: those of each system, with its name as ``system``.
    summary : dict
        Contents of ``comparison.json``.
    table : str
        Contents of ``comparison.md``.
    evaluations : dict of str to Evaluation
        What was found for each system that could be scored.
    failures : list of str
        One line for each recording that a system failed on, with the name of the system.
    remaining : int
        Recordings left to other shards; while there are any nothing is merged, and `summary` and `table` are empty.
    """

    rows: Rows
    summary: dict[str, Any]
    table: str
    evaluations: dict[str, Evaluation]
    failures: list[str]
    remaining: int = 0


def compare(
    recordings: Path | Recordings,
    output: Path,
    systems: Sequence[str | Path | System | EnhancedFiles] = (DEFAULT_MODEL,),
    *,
    baseline: str | None = None,
    split: str = "test",
    jobs: int = 1,
    limit: int | None = None,
    save_audio: bool = False,
    only: Sequence[str] = (),
    shard: Shard = WHOLE,
) -> Comparison:
    """Score several systems on the same recordings, and the differences of their scores, recording by recording.

    Writes the output of :func:`evaluate` for each system to a folder of its name in `output`, and ``comparison.csv``,
    ``comparison.json`` and ``comparison.md`` beside them. Means and differences are those of the recordings that every
    system has a score of. Manifest rows are mixed and scored at the highest rate of all systems.

    Parameters
    ----------
    recordings : Path or Recordings
        A manifest, or recordings as of :func:`evaluate`.
    output : Path
        Folder for the results.
    systems : sequence of str, Path, System or EnhancedFiles
        Models, other systems and files that systems have enhanced; their names must differ.
    baseline : str, optional
        Name of the system from which the differences are taken, the first by default.
    split, jobs, limit, save_audio, only, shard
        As in :func:`evaluate`.

    Raises
    ------
    DeepnmfError
        If names are equal, there is no such baseline, a model or the recordings cannot be read, `output` cannot be
        written, or no recording could be scored. Recordings that some systems fail on are in ``failures``.
    """
    check_writable(*(Path(output) / name for name in (COMPARISON, COMPARISON_SCORES, COMPARISON_TABLE)))
    recordings = recordings_of(recordings, split)
    named = _named(systems)
    baseline = next(iter(named), None) if baseline is None else baseline
    if baseline not in named:
        raise InputError(f"baseline {baseline} is none of the systems: {', '.join(named)}")
    for name in named:
        check_output(Path(output) / folder_name(name))
    for system in named.values():  # missing files are reported before anything is scored
        recordings.items(system if isinstance(system, EnhancedFiles) else None)
    how = {"jobs": jobs, "limit": limit, "save_audio": save_audio, "only": only, "shard": shard}
    how["rate_hz"] = max((system.rate_hz for system in named.values() if isinstance(system, System)), default=None)
    run = _Run(recordings, Path(output), named, how)
    for name in named:
        run.score(name)
    if not shard.is_whole:
        run.score_again()  # another shard may have finished the rest in the meantime
    return run.comparison(baseline)


@dataclass
class _Run:
    """Evaluations of named systems, one after the other."""

    recordings: Recordings
    output: Path
    systems: dict[str, System | EnhancedFiles]
    how: dict[str, Any]
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def score(self, name: str) -> None:
        """Score a system; one that fails on every recording is listed and does not stop the others."""
        note(f"scoring {name}")
        system, folder = self.systems[name], self.output / folder_name(name)
        try:
            found = evaluate(self.recordings, folder, model=system, known=self._known(), **self.how)
        except NothingScored as error:
            note(str(error))
            self.failures[name] = [str(error)]
            return
        self.evaluations[name] = found
        self.failures[name] = found.failures

    def score_again(self) -> None:
        """Merge the results of other shards."""
        for name, found in list(self.evaluations.items()):
            if found.remaining:
                self.score(name)

    def _known(self) -> dict[str, Mapping[str, float]]:
        """Return the scores of the noisy recordings that have been computed for a system before."""
        ending = "_input"
        return {
            row["id"]: {name.removesuffix(ending): value for name, value in row.items() if name.endswith(ending)}
            for found in self.evaluations.values()
            for row in found.rows
        }

    def comparison(self, baseline: str) -> Comparison:
        """Write the comparison, unless recordings are left to other shards."""
        failures = [f"{name}: {line}" for name, lines in self.failures.items() for line in lines]
        rows = {name: found.rows for name, found in self.evaluations.items()}
        flat = [{"system": name, **row} for name, members in rows.items() for row in members]
        if remaining := sum(found.remaining for found in self.evaluations.values()):
            return Comparison(flat, {}, "", self.evaluations, failures, remaining)
        if baseline not in rows:
            raise DeepnmfError(f"{self.output}: nothing to compare with, as the baseline {baseline} has no scores")
        metrics = tuple(self.evaluations[baseline].summary["metrics"])
        summary = {
            **self.recordings.about(),
            "paths": self.recordings.paths(),
            **summarise_comparison(rows, baseline, metrics),
            "deepnmf": __version__,
            "failed": failures,
            "metrics": metric_notes(metrics),
        }
        for system in summary["systems"]:
            found = self.evaluations[system["name"]].summary.get("system", {})
            system["source"] = self.systems[system["name"]].source
            system |= {"model_sha256": found.get("model_sha256", ""), "rate_hz": found.get("rate_hz")}
        write_comparison(self.output, flat, summary)
        return Comparison(flat, summary, comparison_table(summary, metrics), self.evaluations, failures)


def _named(systems: Sequence[str | Path | System | EnhancedFiles]) -> dict[str, System | EnhancedFiles]:
    """Return systems by name.

    Raises
    ------
    DeepnmfError
        If two of them have one name, or names that give one folder.
    """
    named: dict[str, System | EnhancedFiles] = {}
    folders: dict[str, str] = {}
    for system in systems:
        found = system if isinstance(system, System | EnhancedFiles) else model_system(system)
        name = printable(found.name)
        other = folders.setdefault(folder_name(name).casefold(), name)
        if other != name or name in named:
            raise InputError(f"two systems are named {other}; give them different names")
        named[name] = found
    if not named:
        raise InputError("there are no systems to compare; name at least one")
    return named


def folder_name(name: str) -> str:
    """Return the folder of a system within the output.

    Examples
    --------
    >>> folder_name("../exp/best"), folder_name("My model")
    ('exp_best', 'My_model')
    """
    return re.sub(r"[^\w.-]+", "_", name).strip("._-")[:LONGEST_FOLDER] or "system"
