"""`deepnmf evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DeepnmfError
from ._completion import complete_model, completion
from ._help import DEVICE, EVALUATE, IN_OUT, MODEL, SCORES, add
from ._shard import ShardName, chosen_shard

if TYPE_CHECKING:
    from ..evaluation import Evaluation

METRICS = ("si_sdr", "sdr", "stoi", "estoi", "pesq_wb")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(
        app,
        EVALUATE,
        "deepnmf evaluate --manifest exp/manifest.jsonl --model exp -o scores",
        "deepnmf evaluate --clean clean --enhanced out --noisy noisy -o scores",
    )(evaluate)


def evaluate(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder for scores.csv, summary.json and table.md.",
            metavar="FOLDER",
            rich_help_panel=IN_OUT,
        ),
    ],
    manifest: Annotated[
        Path | None,
        typer.Option(help="Manifest whose mixtures to enhance and score.", metavar="FILE", rich_help_panel=IN_OUT),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Split of the manifest: train, dev or test.",
            metavar="SPLIT",
            autocompletion=completion(("train", "dev", "test")),
            rich_help_panel=IN_OUT,
        ),
    ] = "test",
    model: Annotated[
        str,
        typer.Option(
            help="A bundled model, a model file or an experiment.",
            metavar="MODEL",
            autocompletion=complete_model,
            rich_help_panel=MODEL,
        ),
    ] = "default",
    clean: Annotated[
        Path | None,
        typer.Option(
            help="Folder of clean files, the reference for --enhanced.", metavar="FOLDER", rich_help_panel=IN_OUT
        ),
    ] = None,
    enhanced: Annotated[
        Path | None,
        typer.Option(help="Folder of files enhanced by any system.", metavar="FOLDER", rich_help_panel=IN_OUT),
    ] = None,
    noisy: Annotated[
        Path | None,
        typer.Option(help="Folder of noisy files, for the improvement.", metavar="FOLDER", rich_help_panel=IN_OUT),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "-j",
            "--jobs",
            min=1,
            help="Number of parallel processes, of one thread each.",
            metavar="N",
            rich_help_panel=DEVICE,
        ),
    ] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Score only the first N files.", metavar="N", rich_help_panel=SCORES)
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Metric to compute; repeatable: {', '.join(METRICS)}.",
            metavar="NAME",
            autocompletion=completion(METRICS),
            show_default="all",
            rich_help_panel=SCORES,
        ),
    ] = None,
    save_audio: Annotated[
        bool, typer.Option("--save-audio", help="Keep the enhanced files in OUTPUT/audio.", rich_help_panel=IN_OUT)
    ] = False,
    shard: ShardName = None,
) -> None:
    """Score a model on a manifest, or a folder of enhanced files, by SI-SDR, SDR, STOI, ESTOI and PESQ."""
    from .. import evaluation

    how: dict[str, Any] = {"jobs": jobs, "limit": limit, "only": metric or (), "shard": chosen_shard(shard)}
    if manifest is not None and (clean, enhanced, noisy) == (None, None, None):
        result = evaluation.evaluate(manifest, output, model=model, split=split, save_audio=save_audio, **how)
    elif manifest is None and clean is not None and enhanced is not None and not save_audio:
        result = evaluation.evaluate_folders(clean, enhanced, output, noisy=noisy, **how)
    else:
        raise DeepnmfError("evaluate: give either --manifest, or --clean and --enhanced (without --save-audio)")
    _print(result, output)
    if result.failures:
        raise DeepnmfError(f"{len(result.failures)} files could not be scored, for the reasons above")


def _print(result: Evaluation, output: Path) -> None:
    if result.remaining:
        typer.echo(f"{len(result.rows)} files scored, {result.remaining} left to other shards: {output}")
        return
    typer.echo(result.table)
    if result.real_time_factor is not None:
        typer.echo(f"real-time factor {result.real_time_factor:.4f} (seconds of enhancement per second of audio)")
    typer.echo(f"{len(result.rows)} files scored: {output / 'scores.csv'}")
