"""All stages: from folders of audio to a trained model, resuming an interrupted run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..artifacts import file_hash, read_json, write_json
from ..artifacts.locks import only_run
from ..artifacts.outputs import check_writable
from ..artifacts.paths import resolved
from ..artifacts.records import is_text, read_run
from ..artifacts.schema import shown
from ..artifacts.tensor_file import about, open_tensors
from ..config import difference
from ..data.features import SPLITS, features, read_record
from ..data.inventory import recording_changes
from ..data.manifest import check_splits, read_manifest
from ..data.prepare import CORPUS, MANIFEST, describe, prepare, prepare_corpus, read_left_out
from ..data.scan import counted
from ..enhancement.device import check_device
from ..errors import DeepnmfError, InputError
from ..model import BEST
from ..networks.kinds import Config, with_defaults
from ..shards import Shard
from .corpus_settings import settings_from_corpus
from .curves import check_tensorboard
from .dev_table import compare_on_dev
from .files import CHECKPOINT, DICTIONARY
from .initial import Initial
from .inputs import OUTPUTS, check_inputs, without_length
from .pretrain import pretrain
from .processes import Processes, joined

EXPERIMENT = "experiment.json"
COMPARISON = "dev"
"""Folder of an experiment with the scores on dev of its model and of models of the package."""
Given: TypeAlias = Config | Mapping[str, Any] | None
"""Settings of a run: all, or nested dictionaries of some; the others follow from the corpus."""


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
        given: dict[str, Any] = {name: str(resolved(folder)) for name, folder in folders.items() if folder}
        if self.name:
            given.update(name=self.name, roots=[str(resolved(root)) for root in self.roots])
        return given


def train(
    output: Path,
    source: DataSource,
    settings: Given = None,
    device: str = "cpu",
    report: Callable[[str], None] = print,
    tensorboard: bool = False,
    accumulate: int = 1,
    workers: int = 0,
    initial: Initial | None = None,
) -> list[str]:
    """Run every stage that the kind of network needs and that is not yet done: prepare, features, pretrain, train.

    Ends with a table of scores on dev: input, new model, and the models ``default`` and ``snmf`` of the package.

    Parameters
    ----------
    output : Path
        Folder of the experiment: ``manifest.jsonl``, ``features/``, ``dictionary.safetensors``, ``best.safetensors``,
        ``last.safetensors``, ``checkpoint.safetensors`` and ``dev/``.
    source : DataSource
        The recordings.
    settings : Config or dict, optional
        Settings of all stages; nested dictionaries of some leave the others to the corpus
        (:func:`deepnmf.training.corpus_settings.settings_from_corpus`).
    device : str
        A torch device for the last stage.
    report : callable
        Called with one line for each stage that starts or is already complete.
    tensorboard : bool
        Whether to write the training curves for TensorBoard, too, into ``tensorboard`` in `output`.
    accumulate : int
        Number of parts of each process's share of a batch, one after the other: the same update in less memory.
    workers : int
        Number of processes that mix training data ahead, for kinds with dynamic mixing; no result depends on it.
    initial : Initial, optional
        A trained model to start from, whose network, features and dictionaries are taken over.

    Returns
    -------
    list of str
        One line for each recording that was left out, and why.

    Raises
    ------
    DeepnmfError
        If `output` holds an experiment of another corpus or configuration, or a stage fails.
    """
    output, given = Path(output), _with_initial(settings, initial)
    with _alone_in(output, settings_from_corpus(given, None), device, tensorboard, workers) as processes:
        report = processes.only_first(report)
        manifest, left_out = processes.from_first(lambda: _prepared(output, source, given, initial, report))
        config = settings_from_corpus(given, manifest)
        left_out += _features(manifest, output / "features", config, report, processes)
        dictionary = None if initial else _dictionary(output, config, report, processes)
        report(f"train: {output / BEST}")
        options: dict[str, Any] = {"tensorboard": tensorboard, "accumulate": accumulate, "workers": workers}
        _train_network(output / "features", output, config, dictionary, device, initial=initial, **options)
        processes.from_first(lambda: compare_on_dev(manifest, output / BEST, output / COMPARISON, report, left_out))
        return left_out


def train_last_stage(
    features: Path,
    output: Path,
    settings: Given = None,
    dictionary: Path | None = None,
    device: str = "cpu",
    tensorboard: bool = False,
    accumulate: int = 1,
    workers: int = 0,
    initial: Initial | None = None,
) -> Path:
    """Run the last stage alone, :func:`deepnmf.training.loop.train_network`, once its inputs have been checked."""
    config = settings_from_corpus(_with_initial(settings, initial), None)  # its dictionary is made already
    with _alone_in(Path(output), config, device, tensorboard, workers):
        check_inputs(features, config, dictionary, initial)
        options: dict[str, Any] = {"tensorboard": tensorboard, "accumulate": accumulate, "workers": workers}
        return _train_network(features, output, config, dictionary, device, initial=initial, **options)


def _train_network(*inputs: Any, **options: Any) -> Path:
    from .loop import train_network  # torch takes seconds to import

    return train_network(*inputs, **options)


def check_workers(workers: int, config: Config) -> None:
    """Raise if there is nothing that worker processes could do."""
    if workers and not config.kind.DYNAMIC_MIXING:
        raise InputError(f"workers: a {config.network.kind} reads stored features, nothing is mixed; leave them out")


def _with_initial(settings: Given, initial: Initial | None) -> Given:
    if isinstance(settings, Config):
        return settings
    return initial.settings(settings or {}) if initial else settings


@contextlib.contextmanager
def _alone_in(output: Path, config: Config, device: str, tensorboard: bool, workers: int) -> Iterator[Processes]:
    """Yield the processes of a run; refuse options that cannot work here, and a folder that another run trains into.

    Process 0 has the lock.
    """
    check_workers(workers, config)
    with joined(device) as processes, contextlib.nullcontext() if processes.rank else only_run(output):
        check_device(processes.device)
        if tensorboard:
            check_tensorboard()
        yield processes


def splits_of(config: Config) -> tuple[str, ...]:
    """Return the splits whose features the kind of network needs: with dynamic mixing only dev's."""
    return ("dev",) if config.kind.DYNAMIC_MIXING else SPLITS


def _prepared(
    output: Path, source: DataSource, given: Given, initial: Initial | None, report: Callable[[str], None]
) -> tuple[Path, list[str]]:
    """Return the manifest and the recordings left out of it, once the experiment has been recorded."""
    is_new = _check_or_record_run(output, source, given, initial)
    try:
        manifest, left_out = _manifest(output, source, settings_from_corpus(given, None), report)
    except DeepnmfError:
        if is_new:  # a mistyped folder must not block the right one
            (output / EXPERIMENT).unlink()
        raise
    if left_out:
        report(f"prepare: {counted(left_out)}; {output / CORPUS} lists them")
    return manifest, left_out


def _features(
    manifest: Path, folder: Path, config: Config, report: Callable[[str], None], processes: Processes
) -> list[str]:
    """Write the features, each process its blocks of mixtures; return the recordings left out."""
    report(f"features: {folder}")
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


def _check_or_record_run(output: Path, source: DataSource, given: Given, initial: Initial | None) -> bool:
    """Record the experiment, or refuse a folder that holds another; return whether it is new.

    The length of the training may differ: a run with more epochs goes on.
    """
    path = output / EXPERIMENT
    config = given.to_dict() if isinstance(given, Config) else dict(given or {})
    record = {"corpus": source.to_dict(), "config": config, **({"initial": initial.sha256} if initial else {})}
    if not path.exists():
        _check_unrecorded(output, source)
        write_json(path, record)
        return True
    recorded = read_experiment(path)
    if found := difference(_comparable(path, record), _comparable(path, recorded)):
        raise InputError(f"{output}: holds another experiment ({found}); choose another folder")
    return False


def _check_unrecorded(output: Path, source: DataSource) -> None:
    """Refuse a folder that cannot take the models, or has those of another manifest: of a last stage run alone."""
    check_writable(*(output / name for name in OUTPUTS))
    path, manifest = output / CHECKPOINT, source.manifest or output / MANIFEST
    if not path.exists():
        return
    file = open_tensors(path, "checkpoint")
    with about(path, "delete it and train again"):
        file.metadata = read_run(file.metadata)
    if not manifest.exists() or file.metadata["run"].get("manifest") != file_hash(manifest):
        raise InputError(f"{output}: holds a training on other recordings; choose another folder")


def _comparable(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "config": without_length(with_defaults(record["config"], str(path)))}


def read_experiment(path: Path) -> dict[str, Any]:
    """Return the record of :func:`train`, ``experiment.json``: the corpus and the configuration.

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
        check_splits(source.manifest, read_manifest(source.manifest), SPLITS)
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
