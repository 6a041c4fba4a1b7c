"""`deepnmf evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DeepnmfError


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(evaluate)


def evaluate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for scores.csv, summary.json and table.md.")],
    manifest: Annotated[Path | None, typer.Option(help="Manifest whose rows to mix, enhance and score.")] = None,
    split: Annotated[str, typer.Option(help="Rows of the manifest: train, dev or test.")] = "test",
    model: Annotated[str, typer.Option(help="Name or path of the model that enhances them.")] = "default",
    clean: Annotated[Path | None, typer.Option(help="Folder of clean files, to score --enhanced against.")] = None,
    enhanced: Annotated[Path | None, typer.Option(help="Folder of files enhanced by any system.")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Folder of the noisy files, for the improvement.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes, one thread each.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first files.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric to compute (repeatable): si_sdr, sdr, stoi, estoi, pesq_wb."),
    ] = None,
    save_audio: Annotated[bool, typer.Option("--save-audio", help="Keep the enhanced files in OUTPUT/audio.")] = False,
) -> None:
    """Score a model on a manifest, or a folder of enhanced files: SI-SDR, SDR, STOI, ESTOI and PESQ."""
    from .. import evaluation

    if manifest is not None and (clean, enhanced, noisy) == (None, None, None):
        result = evaluation.evaluate(
            manifest, output, model=model, split=split, jobs=jobs, limit=limit, save_audio=save_audio, only=metric or ()
        )
    elif manifest is None and clean is not None and enhanced is not None and not save_audio:
        result = evaluation.evaluate_folders(
            clean, enhanced, output, noisy=noisy, jobs=jobs, limit=limit, only=metric or ()
        )
    else:
        raise DeepnmfError("evaluate: give either --manifest, or --clean and --enhanced (without --save-audio)")
    typer.echo(result.table)
    if result.real_time_factor is not None:
        typer.echo(f"real-time factor {result.real_time_factor:.4f} (seconds of enhancement per second of audio)")
    typer.echo(f"{len(result.rows)} files scored: {output / 'scores.csv'}")
    if result.failures:
        raise DeepnmfError(f"{len(result.failures)} files could not be scored; the lines above say why")
