"""All stages in one: from folders of audio to a trained model, resuming where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import read_json, write_json
from ..config import Config, difference, to_dict, with_defaults
from ..data.features import features
from ..data.inventory import recording_changes
from ..data.manifest import read_manifest
from ..data.prepare import MANIFEST, describe, prepare, prepare_corpus
from ..errors import DeepnmfError
from .loop import BEST, train_network
from .pretrain import pretrain

DICTIONARY = "dictionary.safetensors"
EXPERIMENT = "experiment.json"


@dataclass(frozen=True)
class Corpus:
    """Where recordings come from: speech and noise to mix, noisy and clean pairs, a manifest, or a known corpus."""

    speech: Path | None = None
    noise: Path | None = None
    noisy: Path | None = None
    clean: Path | None = None
    manifest: Path | None = None
    name: str | None = None
    """One of `deepnmf.data.corpora.NAMES`, whose folders are `roots`."""
    roots: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what is given, with absolute paths."""
        folders = {name: getattr(self, name) for name in ("speech", "noise", "noisy", "clean", "manifest")}
        given: dict[str, Any] = {name: str(Path(folder).resolve()) for name, folder in folders.items() if folder}
        if self.name:
            given.update(name=self.name, roots=[str(Path(root).resolve()) for root in self.roots])
        return given


def train(
    output: Path,
    corpus: Corpus,
    config: Config | None = None,
    device: str = "cpu",
    report: Callable[[str], None] = print,
) -> list[str]:
    """Run every stage that is not yet done: prepare, features, pretrain, train.

    Parameters
    ----------
    output : Path
        Folder of the experiment: ``manifest.jsonl``, ``features/``, ``dictionary.safetensors``, ``best.safetensors``,
        ``last.safetensors`` and ``checkpoint.safetensors``.
    corpus : Corpus
        The recordings.
    config : Config, optional
        Settings of all stages.
    device : str
        A torch device for the last stage.
    report : callable
        Takes one line for each stage that starts or is found done.

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
    fresh = _claim(output, corpus, config)
    try:
        manifest, left_out = _manifest(output, corpus, config, report)
    except DeepnmfError:
        if fresh:  # a mistyped folder must not keep the right one out
            (output / EXPERIMENT).unlink()
        raise
    report(f"features: {output / 'features'}")
    left_out += features(manifest, output / "features", config.features)
    dictionary = output / DICTIONARY
    report(f"pretrain: {dictionary}" + (", done" if dictionary.exists() else ""))
    if not dictionary.exists():
        pretrain(output / "features", dictionary, config.snmf, config.train.seed)
    report(f"train: {output / BEST}")
    settings = config.network, config.train, device, config.recurrent, config.prepare
    train_network(dictionary, output / "features", output, *settings)
    return left_out


def _claim(output: Path, corpus: Corpus, config: Config) -> bool:
    """Record what the experiment is, or refuse a folder that holds another; return whether it is new."""
    path = output / EXPERIMENT
    record = {"corpus": corpus.to_dict(), "config": to_dict(config)}
    if not path.exists():
        write_json(path, record)
        return True
    recorded = read_json(path)
    if found := difference(record, {**recorded, "config": with_defaults(recorded["config"], str(path))}):
        raise DeepnmfError(f"{output}: holds another experiment ({found}); choose another folder")
    return False


def _manifest(output: Path, corpus: Corpus, config: Config, report: Callable[[str], None]) -> tuple[Path, list[str]]:
    if corpus.manifest:
        read_manifest(corpus.manifest, "train")
        return corpus.manifest, []
    path = output / MANIFEST
    report(f"prepare: {path}" + (", done" if path.exists() else ""))
    if path.exists():
        if changes := recording_changes(output):
            report(f"prepare: recordings have changed since and are not taken in: {changes}; train into another folder")
        return path, list(read_json(output / "corpus.json")["left_out"])
    if corpus.name:
        left_out = prepare_corpus(output, corpus.name, corpus.roots, config.prepare, config.train.seed)
    else:
        sources = corpus.speech, corpus.noise, corpus.noisy, corpus.clean
        left_out = prepare(output, *sources, config=config.prepare, seed=config.train.seed)
    report(describe(output))
    return path, left_out
