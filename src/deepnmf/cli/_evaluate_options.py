"""The options of `deepnmf evaluate`, with their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._completion import complete_model, completion
from ._help import DEVICE, IN_OUT, MODEL, SCORES

METRICS = ("si_sdr", "sdr", "stoi", "estoi", "pesq_wb", "dnsmos")

ScoresOutput = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="Folder for scores.csv, summary.json and table.md; of several systems, for comparison.*, too.",
        metavar="FOLDER",
        rich_help_panel=IN_OUT,
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(help="Manifest whose mixtures to enhance and score.", metavar="FILE", rich_help_panel=IN_OUT),
]
Split = Annotated[
    str,
    typer.Option(
        help="Split of the manifest: train, dev or test.",
        metavar="SPLIT",
        autocompletion=completion(("train", "dev", "test")),
        rich_help_panel=IN_OUT,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        help="A bundled model, a model file or an experiment; repeat to compare, NAME=MODEL to name it.",
        metavar="MODEL",
        autocompletion=complete_model,
        show_default="default",
        rich_help_panel=MODEL,
    ),
]
Enhanced = Annotated[
    list[str] | None,
    typer.Option(
        help="Folder of files enhanced by any system; repeat to compare, NAME=FOLDER to name it.",
        metavar="FOLDER",
        rich_help_panel=MODEL,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        help="System from which the others' differences are taken.",
        metavar="NAME",
        show_default="the first",
        rich_help_panel=MODEL,
    ),
]
Clean = Annotated[
    Path | None,
    typer.Option(help="Folder of clean files, the reference.", metavar="FOLDER", rich_help_panel=IN_OUT),
]
Noisy = Annotated[
    Path | None,
    typer.Option(
        help="Folder of noisy files, for --model and for the improvement.", metavar="FOLDER", rich_help_panel=IN_OUT
    ),
]
NoisyOnly = Annotated[
    Path | None,
    typer.Option(
        help="Folder of noisy files without clean ones: DNSMOS before and after.",
        metavar="FOLDER",
        rich_help_panel=IN_OUT,
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        min=1,
        help="Number of parallel processes, of one thread each.",
        metavar="N",
        rich_help_panel=DEVICE,
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Score only the first N files.", metavar="N", rich_help_panel=SCORES)
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Metric to compute; repeatable: {', '.join(METRICS)}.",
        metavar="NAME",
        autocompletion=completion(METRICS),
        show_default="all but dnsmos",
        rich_help_panel=SCORES,
    ),
]
SaveAudio = Annotated[
    bool,
    typer.Option("--save-audio", help="Keep the enhanced files in OUTPUT/audio.", rich_help_panel=IN_OUT),
]
