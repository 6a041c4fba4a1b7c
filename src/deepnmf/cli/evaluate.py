"""`deepnmf evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import DeepnmfError, InputError
from ._evaluate_options import (
    Baseline,
    Clean,
    Enhanced,
    Jobs,
    Limit,
    Manifest,
    Metrics,
    Models,
    Noisy,
    NoisyOnly,
    SaveAudio,
    ScoresOutput,
    Split,
)
from ._help import EVALUATE, add
from ._process import print_line
from ._shard import ShardName, chosen_shard

if TYPE_CHECKING:
    from ..evaluation import Comparison, EnhancedFiles, Evaluation, FolderRecordings, ManifestRecordings, System


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(
        app,
        EVALUATE,
        "deepnmf evaluate --manifest exp/manifest.jsonl --model exp -o scores",
        "deepnmf evaluate --clean clean --noisy noisy --enhanced out --model exp -o ab",
    )(evaluate)


def evaluate(
    output: ScoresOutput,
    manifest: Manifest = None,
    split: Split = "test",
    clean: Clean = None,
    noisy: Noisy = None,
    noisy_only: NoisyOnly = None,
    model: Models = None,
    enhanced: Enhanced = None,
    baseline: Baseline = None,
    jobs: Jobs = 1,
    limit: Limit = None,
    metric: Metrics = None,
    save_audio: SaveAudio = False,
    shard: ShardName = None,
) -> None:
    """Score models on a manifest, or folders of enhanced files, by SI-SDR, SDR, STOI, ESTOI and PESQ.

    Several models and folders are compared: recording by recording, with the differences from the first. Recordings
    without a clean side (--noisy-only, or --enhanced alone) are scored by DNSMOS.
    """
    from .. import evaluation

    recordings = _recordings(manifest, split, clean, noisy, noisy_only, bool(enhanced))
    if save_audio and (noisy_only is not None or (enhanced and not model)):
        raise InputError("evaluate: --save-audio keeps what a model enhances of --manifest or --clean; leave it out")
    systems = _systems(model or ([] if enhanced else ["default"]), enhanced or [])
    how: dict[str, Any] = {"jobs": jobs, "limit": limit, "only": metric or (), "shard": chosen_shard(shard)}
    how["save_audio"] = save_audio
    if len(systems) == 1 and baseline is None:
        scored = evaluation.evaluate(recordings, output, model=systems[0], **how)
        _print_scores(scored, output)
        failures = scored.failures
    else:
        compared = evaluation.compare(recordings, output, systems, baseline=baseline, **how)
        _print_comparison(compared, output)
        failures = compared.failures
    if failures:
        raise DeepnmfError(f"{len(failures)} files could not be scored, for the reasons above")


def _recordings(
    manifest: Path | None,
    split: str,
    clean: Path | None,
    noisy: Path | None,
    noisy_only: Path | None,
    are_enhanced: bool,
) -> ManifestRecordings | FolderRecordings:
    """Return the recordings that the options name."""
    from .. import evaluation

    given = [
        name for name, path in (("manifest", manifest), ("clean", clean), ("only", noisy_only)) if path is not None
    ]
    if given == ["manifest"] and noisy is None:
        return evaluation.ManifestRecordings(Path(str(manifest)), split)
    if given == ["clean"] and (are_enhanced or noisy is not None):
        return evaluation.FolderRecordings(clean, noisy)
    if noisy is None and (given == ["only"] or (not given and are_enhanced)):
        return evaluation.FolderRecordings(None, noisy_only)
    raise InputError(
        "evaluate: give either --manifest, or --clean with --enhanced or --noisy, or --noisy-only, or --enhanced alone"
    )


def _systems(models: list[str], folders: list[str]) -> list[System | EnhancedFiles]:
    """Return models and folders as systems."""
    from .. import evaluation
    from ..artifacts.paths import resolved

    systems: list[System | EnhancedFiles] = []
    for name, value in map(_named, models):
        systems.append(evaluation.model_system(value, name))
    for name, value in map(_named, folders):
        systems.append(evaluation.EnhancedFiles(name or resolved(value).name, Path(value)))
    return systems


def _named(text: str) -> tuple[str, str]:
    """Return name and value of ``NAME=VALUE``; an existing path has no name."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and name and value and not Path(text).exists() else ("", text)


def _print_scores(found: Evaluation, output: Path) -> None:
    if found.remaining:
        print_line(f"{len(found.rows)} files scored, {found.remaining} left to other shards: {output}")
        return
    print_line(found.table)
    if found.real_time_factor is not None:
        print_line(f"real-time factor {found.real_time_factor:.4f} (seconds of enhancement per second of audio)")
    print_line(f"{len(found.rows)} files scored: {output / 'scores.csv'}")


def _print_comparison(found: Comparison, output: Path) -> None:
    if found.remaining:
        print_line(f"{len(found.rows)} scores, {found.remaining} left to other shards: {output}")
        return
    print_line(found.table)
    factors = [(name, scored.real_time_factor) for name, scored in found.evaluations.items()]
    if timed := ", ".join(f"{name} {factor:.4f}" for name, factor in factors if factor is not None):
        print_line(f"real-time factors (seconds of enhancement per second of audio): {timed}")
    print_line(f"{len(found.evaluations)} systems compared: {output / 'comparison.csv'}")
