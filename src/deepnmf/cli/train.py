"""`deepnmf prepare`, `features`, `pretrain` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DeepnmfError, InputError, printable, require
from ._help import TRAIN, add
from ._process import limit_threads, print_line
from ._shard import ShardName, chosen_shard
from ._train_options import (
    Accumulate,
    Clean,
    ConfigFile,
    Context,
    CorpusName,
    Device,
    DevSpeakers,
    Dictionary,
    DictionaryOutput,
    Download,
    Epochs,
    ExperimentOutput,
    Features,
    FolderOutput,
    Init,
    Layers,
    Manifest,
    NetworkKind,
    Noise,
    Noisy,
    Optimiser,
    Roots,
    Seed,
    Settings,
    ShardsOutput,
    Speech,
    TensorBoard,
    Threads,
    TrainedLayers,
    Update,
    Workers,
)

if TYPE_CHECKING:
    from ..networks.kinds import Config


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    speech, exp = "--speech speech --noise noise", "-o exp"
    add(
        app,
        TRAIN,
        f"deepnmf prepare {speech} {exp}",
        "deepnmf prepare --corpus ms_snsd --root MS-SNSD -o exp",
    )(prepare)
    add(
        app,
        TRAIN,
        "deepnmf features exp/manifest.jsonl -o exp/features",
        "deepnmf features exp/manifest.jsonl -o exp/features --config config.toml",
    )(features)
    add(
        app,
        TRAIN,
        "deepnmf pretrain exp/features -o exp/dictionary.safetensors",
        "deepnmf pretrain exp/features -o big.safetensors --set snmf.speech_atoms=200",
    )(pretrain)
    add(
        app,
        TRAIN,
        f"deepnmf train {speech} {exp}",
        f"deepnmf train {speech} -o fine --init default",
    )(train)


def prepare(
    output: FolderOutput,
    speech: Speech = None,
    noise: Noise = None,
    noisy: Noisy = None,
    clean: Clean = None,
    corpus: CorpusName = None,
    root: Roots = None,
    download: Download = False,
    dev_speakers: DevSpeakers = None,
    update: Update = False,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
) -> None:
    """Write the manifest of mixtures, with speech, noise, offset, SNR and split of each."""
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
    print_line(f"{output / preparation.MANIFEST}")
    print_line(preparation.describe(output))
    _report_left_out(left_out)


def features(
    manifest: Annotated[Path, typer.Argument(help="Output of `deepnmf prepare`.")],
    output: ShardsOutput,
    config: ConfigFile = None,
    settings: Settings = None,
    threads: Threads = 1,
    shard: ShardName = None,
) -> None:
    """Write the spectra of the dev mixtures, and of train unless they are mixed on the fly."""
    limit_threads(threads)
    from ..data import features as stage
    from ..training import experiment

    loaded = _load(config, settings)
    splits = experiment.splits_of(loaded)
    left_out = stage.features(manifest, output, loaded.features, splits, chosen_shard(shard))
    print_line(f"{output}")
    _report_left_out(left_out)


def pretrain(
    features: Annotated[Path, typer.Argument(help="Output of `deepnmf features`.")],
    output: DictionaryOutput,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
    threads: Threads = 1,
) -> None:
    """Learn dictionaries of speech and of noise by sparse NMF."""
    limit_threads(threads)
    from ..training import pretrain as pretraining
    from ..training import processes

    with processes.joined():
        loaded = _load(config, settings, seed)
        pretraining.pretrain(features, output, loaded)
        print_line(f"{output}")


def train(
    output: ExperimentOutput,
    speech: Speech = None,
    noise: Noise = None,
    noisy: Noisy = None,
    clean: Clean = None,
    corpus: CorpusName = None,
    root: Roots = None,
    manifest: Manifest = None,
    features: Features = None,
    dictionary: Dictionary = None,
    config: ConfigFile = None,
    settings: Settings = None,
    network: NetworkKind = None,
    init: Init = None,
    epochs: Epochs = None,
    layers: Layers = None,
    trained_layers: TrainedLayers = None,
    context: Context = None,
    optimiser: Optimiser = None,
    seed: Seed = None,
    device: Device = "cpu",
    threads: Threads = 1,
    accumulate: Accumulate = 1,
    workers: Workers = 0,
    tensorboard: TensorBoard = False,
) -> None:
    """Train a model on your own recordings, by all stages that are not complete; resume an interrupted one.

    Size of the network, length, batch and step size follow from the corpus. Ends with a comparison to the bundled
    models on dev.
    """
    limit_threads(threads)
    require("training", "torch")
    direct = {
        "train": {"epochs": epochs, "optimiser": optimiser},
        "network": {"kind": network, "layers": layers, "trained_layers": trained_layers, "context": context},
    }
    from ..networks.kinds import load
    from ..training import experiment, processes
    from ..training.initial import load_initial

    with processes.joined(device):  # before anything can fail, so that one process prints the error
        given = _given(config, settings, seed, direct)
        if init is None:
            load(config, given)  # the message of a mistake names the file
        options: dict[str, Any] = {"device": device, "tensorboard": tensorboard, "accumulate": accumulate}
        options |= {"workers": workers, "initial": load_initial(init) if init else None}
        if features:
            _alone("--features", speech, noise, noisy, clean, manifest, corpus)
            print_line(f"{experiment.train_last_stage(features, output, given, dictionary, **options)}")
            return
        if dictionary:
            raise InputError("--dictionary goes with --features")
        if corpus:
            _alone("--corpus", speech, noise, noisy, clean, manifest)
        source = experiment.DataSource(speech, noise, noisy, clean, manifest, corpus, tuple(root or ()))
        left_out = experiment.train(output, source, given, report=print_line, **options)
        print_line(f"Now: deepnmf enhance --model {output} noisy.wav")
        _report_left_out(left_out)


def _alone(option: str, *others: Path | str | None) -> None:
    if any(others):
        raise InputError(f"{option} is instead of --speech, --noise and the like; leave them out")


def _load(path: Path | None, settings: list[str] | None, seed: int | None = None) -> Config:
    from ..networks.kinds import load

    return load(path, _given(None, settings, seed, {}))


def _given(
    path: Path | None, settings: list[str] | None, seed: int | None, direct: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the settings of a TOML file, of options and of ``--set``, nested; the later ones count."""
    from ..config import parse_setting
    from ..networks.kinds import given_settings

    overrides: dict[str, Any] = {section: dict(values) for section, values in direct.items()}
    overrides.setdefault("train", {})["seed"] = seed
    for setting in settings or []:
        *tables, key, value = parse_setting(setting)
        table = overrides
        for name in tables:
            table = table.setdefault(name, {})
        table[key] = value
    return given_settings(path, overrides)


def _report_left_out(left_out: list[str]) -> None:
    from ..data.scan import counted

    for line in left_out:
        typer.echo(f"deepnmf: left out: {printable(line)}", err=True)
    if left_out:
        raise DeepnmfError(f"{counted(left_out)}; the rest is done")
