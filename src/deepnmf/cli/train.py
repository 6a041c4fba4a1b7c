"""`deepnmf prepare`, `features`, `pretrain` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..data.corpora import NAMES
from ..errors import DeepnmfError, InputError, require
from ..networks.kinds import KINDS

if TYPE_CHECKING:
    from ..networks.kinds import Config

Speech = Annotated[Path | None, typer.Option(help="Folder of clean speech, searched recursively.")]
Noise = Annotated[Path | None, typer.Option(help="Folder of noise, searched recursively.")]
Noisy = Annotated[Path | None, typer.Option(help="Folder of noisy recordings (with --clean, instead of mixing).")]
Clean = Annotated[Path | None, typer.Option(help="Folder of their clean versions, at the same relative paths.")]
CorpusName = Annotated[
    str | None, typer.Option("--corpus", metavar="NAME", help=f"A supported corpus: {', '.join(NAMES)}.")
]
Roots = Annotated[
    list[Path] | None, typer.Option("--root", help="Folder of the corpus; repeat for a separate noise folder.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of non-default settings.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as network.layers=25.")
]
Seed = Annotated[int | None, typer.Option(help="Random seed.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads; more than one is useful only on an idle machine.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (prepare, features, pretrain, train):
        app.command()(command)


def prepare(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for manifest.jsonl and corpus.json.")],
    speech: Speech = None,
    noise: Noise = None,
    noisy: Noisy = None,
    clean: Clean = None,
    corpus: CorpusName = None,
    root: Roots = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a free corpus into its --root first.")] = False,
    dev_speakers: Annotated[
        str | None, typer.Option(help="voicebank_demand: training speakers to hold out, instead of p226,p287.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Replace a manifest whose recordings or settings have changed since.")
    ] = False,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
) -> None:
    """Write the manifest of mixtures: speech, noise, offset, SNR and split."""
    from ..data import prepare as preparation
    from ..data.corpora import catalogue

    loaded = _load(config, settings, seed)
    how = loaded.prepare, loaded.train.seed
    if corpus is None:
        if root or download or dev_speakers:
            raise DeepnmfError("--root, --download and --dev-speakers go with --corpus")
        left_out = preparation.prepare(output, speech, noise, noisy, clean, *how, update)
    else:
        _alone("--corpus", speech, noise, noisy, clean)
        if download:
            catalogue.download_corpus(corpus, root or [])
        chosen = dev_speakers.split(",") if dev_speakers else []
        left_out = preparation.prepare_corpus(output, corpus, root or [], *how, chosen, update)
    typer.echo(f"{output / preparation.MANIFEST}")
    typer.echo(preparation.describe(output))
    _report_left_out(left_out)


def features(
    manifest: Annotated[Path, typer.Argument(help="Output of `deepnmf prepare`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the feature shards.")],
    config: ConfigFile = None,
    settings: Settings = None,
    threads: Threads = 1,
) -> None:
    """Write the magnitudes of the train and dev mixtures, in shards."""
    _limit_threads(threads)
    from ..data import features as stage
    from ..training import experiment

    loaded = _load(config, settings)
    left_out = stage.features(manifest, output, loaded.features, experiment.splits_of(loaded))
    typer.echo(f"{output}")
    _report_left_out(left_out)


def pretrain(
    features: Annotated[Path, typer.Argument(help="Output of `deepnmf features`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Dictionary file to write (.safetensors).")],
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
    threads: Threads = 1,
) -> None:
    """Learn the dictionaries of speech and of noise by sparse NMF."""
    _limit_threads(threads)
    from ..training import pretrain as pretraining

    loaded = _load(config, settings, seed)
    pretraining.pretrain(features, output, loaded)
    typer.echo(f"{output}")


def train(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the experiment; run again to resume.")],
    speech: Speech = None,
    noise: Noise = None,
    noisy: Noisy = None,
    clean: Clean = None,
    corpus: CorpusName = None,
    root: Roots = None,
    manifest: Annotated[Path | None, typer.Option(help="A manifest, instead of folders.")] = None,
    features: Annotated[
        Path | None, typer.Option(help="Output of `deepnmf features`, to run the last stage only.")
    ] = None,
    dictionary: Annotated[
        Path | None, typer.Option(help="With --features: output of `deepnmf pretrain`, for kinds that need it.")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Kind of network: {', '.join(KINDS)}; deep-nmf by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of training.")] = None,
    layers: Annotated[int | None, typer.Option(help="K, the number of layers before the output.")] = None,
    trained_layers: Annotated[
        int | None, typer.Option(help="deep-nmf: C, the number of trained layers, counted from the output.")
    ] = None,
    context: Annotated[int | None, typer.Option(help="T, the number of stacked frames.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="For non-negative weights: multiplicative or adam.")] = None,
    seed: Seed = None,
    device: Annotated[str, typer.Option(help="Torch device, such as cuda.")] = "cpu",
    threads: Threads = 1,
) -> None:
    """Train on your own recordings: run all stages that are not complete, and resume interrupted ones."""
    _limit_threads(threads)
    require("training", "torch")
    from ..training import experiment

    direct = {
        "train": {"epochs": epochs, "optimiser": optimiser},
        "network": {"kind": network, "layers": layers, "trained_layers": trained_layers, "context": context},
    }
    loaded = _load(config, settings, seed, direct)
    if features:
        _alone("--features", speech, noise, noisy, clean, manifest, corpus)
        typer.echo(f"{experiment.train_last_stage(features, output, loaded, dictionary, device)}")
        return
    if dictionary:
        raise InputError("--dictionary goes with --features")
    if corpus:
        _alone("--corpus", speech, noise, noisy, clean, manifest)
    source = experiment.DataSource(speech, noise, noisy, clean, manifest, corpus, tuple(root or ()))
    left_out = experiment.train(output, source, loaded, device, typer.echo)
    typer.echo(f"Now: deepnmf enhance --model {output} noisy.wav")
    _report_left_out(left_out)


def _alone(option: str, *others: Path | str | None) -> None:
    if any(others):
        raise InputError(f"{option} is instead of --speech, --noise and the like; leave them out")


def _load(
    path: Path | None, settings: list[str] | None, seed: int | None = None, direct: dict[str, Any] | None = None
) -> Config:
    from ..config import parse_setting
    from ..networks.kinds import load

    overrides: dict[str, Any] = {section: dict(values) for section, values in (direct or {}).items()}
    overrides.setdefault("train", {})["seed"] = seed
    for setting in settings or []:
        *tables, key, value = parse_setting(setting)
        table = overrides
        for name in tables:
            table = table.setdefault(name, {})
        table[key] = value
    return load(path, overrides)


def _limit_threads(threads: int) -> None:
    """Set the thread count before NumPy and torch start their pools: small operations crawl when pools compete."""
    import os

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def _report_left_out(left_out: list[str]) -> None:
    for line in left_out:
        typer.echo(f"deepnmf: left out: {line}", err=True)
    if left_out:
        raise DeepnmfError(f"{len(left_out)} recordings were left out; the rest is done")
