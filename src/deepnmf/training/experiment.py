"""All stages: from folders of audio to a trained model, resuming an interrupted run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import read_json, write_json
from ..artifacts.locks import only_run
from ..artifacts.records import is_text
from ..artifacts.schema import shown
from ..artifacts.tensor_file import about
from ..config import difference
from ..data.features import SPLITS, features, read_record
from ..data.inventory import recording_changes
from ..data.manifest import read_manifest
from ..data.prepare import MANIFEST, describe, prepare, prepare_corpus, read_left_out
from ..enhancement.device import check_device
from ..errors import DeepnmfError, InputError
from ..networks.kinds import Config, with_defaults
from ..shards import Shard
from .curves import check_tensorboard
from .inputs import check_inputs
from .pretrain import pretrain
from .processes import Processes, joined

BEST = "best.safetensors"
DICTIONARY = "dictionary.safetensors"
EXPERIMENT = "experiment.json"


@dataclass(frozen=True)
class DataSource:
    """Where recordings come from: speech and noise to mix, noisy and clean pairs, a manifest, or a supported corpus."""

    speech: Path | None = None
    noise: Path | None = None
    noisy: Path | None = None
    clean: Path | None = None
    manifest: Path | None = None
    name: str | None = None
    """One of `deepnmf.data.corpora.NAMES`, whose folders are `roots`."""
    roots: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the given sources, with absolute paths."""
        folders = {name: getattr(self, name) for name in ("speech", "noise", "noisy", "clean", "manifest")}
        given: dict[str, Any] = {name: str(Path(folder).resolve()) for name, folder in folders.items() if folder}
        if self.name:
            given.update(name=self.name, roots=[str(Path(root).resolve()) for root in self.roots])
        return given


def train(
    output: Path,
    source: DataSource,
    config: Config | None = None,
    device: str = "cpu",
    report: Callable[[str], None] = print,
    tensorboard: bool = False,
    accumulate: int = 1,
) -> list[str]:
    """Run every stage that the kind of network needs and that is not yet done: prepare, features, pretrain, train.

    Parameters
    ----------
    output : Path
        Folder of the experiment: ``manifest.jsonl``, ``features/``, ``dictionary.safetensors``, ``best.safetensors``,
        ``last.safetensors`` and ``checkpoint.safetensors``.
    source : DataSource
        The recordings.
    config : Config, optional
        Settings of all stages.
    device : str
        A torch device for the last stage.
    report : callable
        Called with one line for each stage that starts or is already complete.
    tensorboard : bool
        Whether to write the training curves for TensorBoard, too.
    accumulate : int
        Number of parts of a batch that are processed one after the other (:func:`deepnmf.training.loop.train_network`).

    Returns
    -------
    list of str
        One line for each recording that was left out, and why.

    Raises
    ------
    DeepnmfError
        If `output` holds an experiment of another corpus or configuration, or a stage fails.
    """
    output, config = Path(output), config or Config()
    with joined(device) as processes, _locked(output, processes):
        report = processes.only_first(report)
        check_device(processes.device)
        if tensorboard:
            check_tensorboard()
        manifest, left_out = processes.from_first(lambda: _prepared(output, source, config, report))
        report(f"features: {output / 'features'}")
        left_out += _features(manifest, output / "features", config, processes)
        dictionary = _dictionary(output, config, report, processes)
        report(f"train: {output / BEST}")
        from .loop import train_network  # torch takes seconds to import

        options: dict[str, Any] = {"tensorboard": tensorboard, "accumulate": accumulate}
        train_network(output / "features", output, config, dictionary, device, **options)
        return left_out


def train_last_stage(
    features: Path,
    output: Path,
    config: Config,
    dictionary: Path | None = None,
    device: str = "cpu",
    tensorboard: bool = False,
    accumulate: int = 1,
) -> Path:
    """Run the last stage alone, :func:`deepnmf.training.loop.train_network`, once its inputs have been checked."""
    with joined(device) as processes, _locked(Path(output), processes):
        check_device(processes.device)
        check_inputs(features, config, dictionary)
        from .loop import train_network  # torch takes seconds to import

        options: dict[str, Any] = {"tensorboard": tensorboard, "accumulate": accumulate}
        return train_network(features, output, config, dictionary, device, **options)


def _locked(output: Path, processes: Processes) -> contextlib.AbstractContextManager[None]:
    """Refuse a folder that another run trains into; process 0 has the lock."""
    return contextlib.nullcontext() if processes.rank else only_run(output)


def splits_of(config: Config) -> tuple[str, ...]:
    """Return the splits whose features the kind of network needs: with dynamic mixing only dev's."""
    return ("dev",) if config.kind.DYNAMIC_MIXING else SPLITS


def _prepared(
    output: Path, source: DataSource, config: Config, report: Callable[[str], None]
) -> tuple[Path, list[str]]:
    """Return the manifest and what was left out of it, once the experiment has been recorded."""
    is_new = _check_or_record_run(output, source, config)
    try:
        return _manifest(output, source, config, report)
    except DeepnmfError:
        if is_new:  # a mistyped folder must not block the right one
            (output / EXPERIMENT).unlink()
        raise


def _features(manifest: Path, folder: Path, config: Config, processes: Processes) -> list[str]:
    """Write the features, each process its blocks of mixtures; return what was left out."""
    shard = Shard(processes.rank, processes.size)
    left_out = features(manifest, folder, config.features, splits_of(config), shard)
    processes.wait()
    return left_out if shard.is_whole else read_record(folder)["left_out"]


def _dictionary(output: Path, config: Config, report: Callable[[str], None], processes: Processes) -> Path | None:
    """Return the pretrained dictionary, if the kind of network starts from one."""
    if not config.kind.FROM_DICTIONARY:
        return None
    path = output / DICTIONARY
    done = processes.from_first(path.exists)
    report(f"pretrain: {path}" + (", done" if done else ""))
    if not done:
        pretrain(output / "features", path, config)
    return path


def _check_or_record_run(output: Path, source: DataSource, config: Config) -> bool:
    """Record the experiment, or refuse a folder that holds another; return whether it is new."""
    path = output / EXPERIMENT
    record = {"corpus": source.to_dict(), "config": config.to_dict()}
    if not path.exists():
        write_json(path, record)
        return True
    recorded = read_experiment(path)
    if found := difference(record, {**recorded, "config": with_defaults(recorded["config"], str(path))}):
        raise InputError(f"{output}: holds another experiment ({found}); choose another folder")
    return False


def read_experiment(path: Path) -> dict[str, Any]:
    """Return what :func:`train` recorded in ``experiment.json``: the corpus and the configuration.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged or not one of :func:`train`.
    """
    record = read_json(path)
    with about(path, "train into another folder"):
        for key in ("corpus", "config"):
            if not isinstance(record.get(key), dict):
                raise DeepnmfError(f"{key} must be a table, not {shown(record.get(key))}")
        corpus = record["corpus"]
        if not is_text(corpus.get("manifest", "none")):
            raise DeepnmfError(f"corpus.manifest must be text, not {shown(corpus['manifest'])}")
    return record


def _manifest(
    output: Path, source: DataSource, config: Config, report: Callable[[str], None]
) -> tuple[Path, list[str]]:
    if source.manifest:
        read_manifest(source.manifest, "train")
        return source.manifest, []
    path = output / MANIFEST
    report(f"prepare: {path}" + (", done" if path.exists() else ""))
    if path.exists():
        if changes := recording_changes(output):
            report(f"prepare: recordings have changed since and are not taken in: {changes}; train into another folder")
        return path, read_left_out(output)
    if source.name:
        left_out = prepare_corpus(output, source.name, source.roots, config.prepare, config.train.seed)
    else:
        folders = source.speech, source.noise, source.noisy, source.clean
        left_out = prepare(output, *folders, config=config.prepare, seed=config.train.seed)
    report(describe(output))
    return path, left_out
