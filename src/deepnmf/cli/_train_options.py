"""The options of `deepnmf prepare`, `features`, `pretrain` and `train`, with their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..data.corpora import NAMES
from ..networks.kinds import DEFAULT_KIND, KINDS
from ._completion import complete_model, completion
from ._help import DEVICE, IN_OUT, NETWORK, SETTINGS

FolderOutput = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FOLDER", help="Folder for manifest.jsonl and corpus.json.", rich_help_panel=IN_OUT
    ),
]
ShardsOutput = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FOLDER", help="Folder for the feature shards.", rich_help_panel=IN_OUT),
]
DictionaryOutput = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Dictionary file to write (.safetensors).", rich_help_panel=IN_OUT
    ),
]
ExperimentOutput = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="FOLDER",
        help="Folder of the experiment; the same folder again resumes it.",
        rich_help_panel=IN_OUT,
    ),
]
Speech = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of clean speech, searched recursively, or tar files: 'speech-{000..099}.tar'.",
        rich_help_panel=IN_OUT,
    ),
]
Noise = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder of noise, searched recursively, or tar files.", rich_help_panel=IN_OUT),
]
Noisy = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of noisy recordings (with --clean, instead of mixing).",
        rich_help_panel=IN_OUT,
    ),
]
Clean = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Folder of their clean versions, at the same relative paths.", rich_help_panel=IN_OUT
    ),
]
CorpusName = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        metavar="NAME",
        help=f"A supported corpus: {', '.join(NAMES)}.",
        autocompletion=completion(NAMES),
        rich_help_panel=IN_OUT,
    ),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="Folder of the corpus; repeat for a separate noise folder.",
        rich_help_panel=IN_OUT,
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch a free corpus into its --root first.", rich_help_panel=IN_OUT)
]
DevSpeakers = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="voicebank_demand: training speakers to hold out.",
        show_default="p226,p287",
        rich_help_panel=IN_OUT,
    ),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Replace a manifest whose recordings or settings have changed since.",
        rich_help_panel=IN_OUT,
    ),
]
Manifest = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A manifest, instead of folders.", rich_help_panel=IN_OUT)
]
Features = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Output of `deepnmf features`, to run the last stage only.", rich_help_panel=IN_OUT
    ),
]
Dictionary = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --features: output of `deepnmf pretrain`, for kinds that need it.",
        rich_help_panel=IN_OUT,
    ),
]
NetworkKind = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Kind of network: {', '.join(KINDS)}.",
        autocompletion=completion(KINDS),
        show_default=DEFAULT_KIND,
        rich_help_panel=NETWORK,
    ),
]
Layers = Annotated[
    int | None,
    typer.Option(metavar="K", help="Number of layers before the output.", rich_help_panel=NETWORK),
]
TrainedLayers = Annotated[
    int | None,
    typer.Option(
        metavar="C", help="deep-nmf: number of trained layers, counted from the output.", rich_help_panel=NETWORK
    ),
]
Context = Annotated[int | None, typer.Option(metavar="T", help="Number of stacked frames.", rich_help_panel=NETWORK)]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Number of epochs; more than before continue a run.",
        show_default="from the corpus",
        rich_help_panel=SETTINGS,
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="MODEL",
        help="Fine-tune a bundled model, such as default, a model file or an experiment.",
        autocompletion=complete_model,
        rich_help_panel=NETWORK,
    ),
]
Optimiser = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="For non-negative weights: multiplicative or adam.",
        autocompletion=completion(("multiplicative", "adam")),
        rich_help_panel=SETTINGS,
    ),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Random seed.", rich_help_panel=SETTINGS)]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file of non-default settings.", rich_help_panel=SETTINGS),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, such as network.layers=25; repeatable.",
        rich_help_panel=SETTINGS,
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="Torch device, such as cuda.", rich_help_panel=DEVICE)]
Threads = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="CPU threads; more than one is useful only on an idle machine.",
        rich_help_panel=DEVICE,
    ),
]
Accumulate = Annotated[
    int,
    typer.Option(
        min=1,
        max=1_000_000,
        metavar="N",
        help="Process a batch in N parts, one after the other: the same update in less memory.",
        rich_help_panel=DEVICE,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        max=1000,
        metavar="N",
        help="Mix the training data ahead in N processes. Results do not depend on N.",
        rich_help_panel=DEVICE,
    ),
]
TensorBoard = Annotated[
    bool,
    typer.Option("--tensorboard", help="Write the curves to OUTPUT/tensorboard, too.", rich_help_panel=IN_OUT),
]
