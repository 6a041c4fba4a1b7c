"""Scores of a model from `deepnmf evaluate`, checked to belong to it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..artifacts import file_hash
from ..data.manifest import MixtureEntry, read_manifest
from ..data.prepare import MANIFEST
from ..errors import DeepnmfError
from ..evaluation import EvaluationFolder, read_evaluation
from ..evaluation.scoring import PARTS
from ..model import Model
from ..training.experiment import EXPERIMENT, read_experiment

FIELDS = ("split", "manifest_sha256")


def load_scores(folder: Path, model: Model, experiment: Path) -> EvaluationFolder:
    """Read an evaluation folder.

    Raises
    ------
    DeepnmfError
        If there are no scores, or they are not of this model; the message gives the command that computes them.
    """
    manifest = next((path for path in _candidates(_folder(experiment)) if path.is_file()), "MANIFEST")
    command = f"deepnmf evaluate --manifest {manifest} --model {experiment} -o {folder}"
    if not (folder / "summary.json").is_file() or not (folder / "scores.csv").is_file():
        raise DeepnmfError(f"{folder}: no scores there; make them first: {command}")
    found = read_evaluation(folder)
    try:
        complete = _is_complete(found)
        scored = found.summary["system"]["model_sha256"]
    except (AttributeError, KeyError, TypeError, ValueError):
        complete = False
    if not complete:
        raise DeepnmfError(f"{folder}: not the scores of a model on a manifest; make them: {command}")
    if scored != model.metadata.get("sha256"):
        raise DeepnmfError(f"{folder}: scores of another model than {experiment}; make them again: {command}")
    return found


def _is_complete(scores: EvaluationFolder) -> bool:
    """Return whether the summary is complete; anything but a dictionary where one is expected raises."""
    summary = scores.summary
    groups = [summary["overall"], *summary["by_snr"].values(), *summary["by_noise_type"].values()]
    columns = {"id", "snr_db", "noise_type", *(f"{name}_{part}" for name in scores.metrics for part in PARTS)}
    return (
        all(name in summary for name in FIELDS)
        and all("variant" in summary["metrics"][name] for name in scores.metrics)
        and all(math.isfinite(float(snr)) for snr in summary["by_snr"])
        and all(_has_means(group[name]) for group in groups for name in scores.metrics)
        and all(columns <= row.keys() for row in scores.rows)
    )


def _has_means(group: dict[str, Any]) -> bool:
    if not group["count"]:
        return True
    interval = group["improvement"]["ci95"]
    return all(math.isfinite(group[part]["mean"]) for part in PARTS) and (interval is None or len(interval) == 2)


def find_rows(scores: EvaluationFolder, experiment: Path, manifest: Path | None) -> dict[str, MixtureEntry]:
    """Return the manifest rows that were scored, by id: of `manifest`, or of the one in or above the experiment.

    Raises
    ------
    DeepnmfError
        If `manifest` is not, or no manifest is found that is, the one the scores were made from.
    """
    wanted = scores.summary.get("manifest_sha256")
    folder = _folder(experiment)
    for path in [manifest] if manifest else _candidates(folder):
        if path.is_file() and file_hash(path) == wanted:
            return {row.id: row for row in read_manifest(path, scores.summary.get("split"))}
    if manifest:
        raise DeepnmfError(f"{manifest}: not the manifest that the scores were made from; give that one")
    raise DeepnmfError(
        f"{folder}: the manifest that the scores were made from is not there; give its path as the manifest"
    )


def _folder(experiment: Path) -> Path:
    return experiment if experiment.is_dir() else experiment.parent


def _candidates(folder: Path) -> list[Path]:
    above = folder.parent if folder.name not in {"", ".."} else folder / ".."
    candidates = [folder / MANIFEST, above / MANIFEST]
    record = folder / EXPERIMENT
    corpus = read_experiment(record)["corpus"] if record.is_file() else {}
    return [*candidates, Path(corpus["manifest"])] if "manifest" in corpus else candidates
