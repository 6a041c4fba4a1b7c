"""Training of recurrent deep NMF: exact resuming, positive dictionaries, falling error; its targets."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepnmf.config import StftSpec, overlaid
from deepnmf.data.features import FeatureSet
from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model
from deepnmf.networks.kinds import configuration
from deepnmf.networks.unfolded.multi_frame import MultiFrameFilter
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training import loop as training
from deepnmf.training.experiment import DataSource, train
from deepnmf.training.loop import dev_score, train_network
from deepnmf.training.precision import usable_precision
from deepnmf.training.pretrain import pretrain
from deepnmf.training.step import TrainingStep
from deepnmf.training.verify import verify
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

SMALL: dict[str, dict[str, Any]] = {
    "prepare": {"mixtures_per_utterance": 1},
    "snmf": {"speech_atoms": 4, "noise_atoms": 3, "iterations": 5, "max_frames": 600},
    "network": {
        "kind": "recurrent-deep-nmf", "bands": 16, "units": 8, "recurrent_layers": 2, "subband_units": 4,
    },
    "train": {"epochs": 3, "epoch_frames": 0, "batch_segments": 1, "average_share": 0.2},
}  # fmt: skip
FILES = ("best.safetensors", "last.safetensors")


def run(output: Path, tiny: TinyCorpus, **changed: Any) -> Path:
    config = configuration(overlaid(SMALL, changed))
    train(output, DataSource(speech=tiny.speech, noise=tiny.noise), config, report=lambda _: None)
    return output


@pytest.fixture(scope="module")
def experiment(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("recurrent"), tiny_corpus)


def test_the_model_of_an_experiment_is_recurrent_and_its_dictionaries_are_positive(experiment: Path) -> None:
    network = load_model(experiment).network
    assert isinstance(network, RecurrentDeepNMF)
    assert all(W.dtype == np.float32 for W in network.arrays().values())
    assert all((W > 0).all() for W in (*network.dictionaries, network.output))


def test_worker_processes_do_not_change_the_model(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    source = DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise)
    train(tmp_path / "own", source, configuration(SMALL), report=lambda _: None, workers=2)
    for name in FILES:
        assert (tmp_path / "own" / name).read_bytes() == (experiment / name).read_bytes()


def test_training_moves_every_weight(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    before = load_model(run(tmp_path, tiny_corpus, train={"epochs": 0})).network.arrays()
    after = load_model(experiment / "last.safetensors").network.arrays()
    assert [name for name in before if np.array_equal(before[name], after[name])] == ["pooling"]


@pytest.mark.parametrize("stop", [1, 3])
def test_stopped_after_any_epoch_it_resumes_exactly(
    stop: int, experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_epoch = training._epoch

    def epoch_or_stop(*arguments: object) -> float:
        if arguments[2] == stop:
            raise KeyboardInterrupt
        return whole_epoch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_epoch", epoch_or_stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tiny_corpus)
    monkeypatch.undo()
    run(tmp_path, tiny_corpus)
    assert all((tmp_path / name).read_bytes() == (experiment / name).read_bytes() for name in FILES)


def test_another_seed_gives_another_network(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    other = run(tmp_path, tiny_corpus, train={"epochs": 1, "seed": 1})
    found = load_model(other / "last.safetensors").network.arrays()
    assert not np.array_equal(found["prior"], load_model(experiment / "last.safetensors").network.arrays()["prior"])


def test_no_stage_makes_what_the_kind_does_not_use(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    gru = configuration({"network": {"kind": "gru", "bands": 16, "units": 8}, "train": {"epochs": 0}})
    lines: list[str] = []
    train(tmp_path, DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise), gru, report=lines.append)
    assert not any(line.startswith("pretrain") for line in lines)
    assert not (tmp_path / "dictionary.safetensors").exists()
    assert (experiment / "dictionary.safetensors").exists()
    for folder in (tmp_path, experiment):
        assert {path.name.split("-")[0] for path in (folder / "features").glob("*.safetensors")} == {"dev"}
    stored = configuration({"network": {"kind": "sigmoid"}})
    with pytest.raises(DeepnmfError, match="no train features"):
        train_network(tmp_path / "features", tmp_path / "sigmoid", stored)
    with pytest.raises(DeepnmfError, match="no train features"):
        pretrain(tmp_path / "features", tmp_path / "d.safetensors", configuration({"network": {"kind": "deep-nmf"}}))


CODE = """
import sys
from deepnmf.cli import main
sys.argv = ["deepnmf", *sys.argv[1:]]
main()
"""


def test_a_gpu_trains_in_float32_as_its_recurrent_layers_would_be_in_float16() -> None:
    assert usable_precision("bfloat16", "cuda") == usable_precision("bfloat16", "cuda:1") == torch.float32


@pytest.mark.parametrize("isa", ["default", "AVX2"])
def test_bfloat16_falls_back_to_float32_where_the_processor_cannot(
    isa: str, tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    small = ["network.kind=lstm", "network.bands=16", "network.units=8", "train.batch_segments=1", "train.epochs=1"]
    settings = [word for setting in [*small, "train.precision=bfloat16"] for word in ("--set", setting)]
    folders = ["--speech", str(tiny_corpus.speech), "--noise", str(tiny_corpus.noise), "-o", str(tmp_path)]
    environment = {**os.environ, **({"ONEDNN_MAX_CPU_ISA": isa} if isa != "default" else {})}
    command = [sys.executable, "-c", CODE, "train", *folders, *settings]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS)
    assert result.returncode == 0, result.stderr
    used = load_model(tmp_path).metadata["precision"]
    assert used == ("float32" if "cannot train with bfloat16" in result.stderr else "bfloat16")
    if isa == "AVX2" and platform.machine() in {"x86_64", "AMD64"}:
        assert used == "float32"


@pytest.mark.parametrize("kind", ["recurrent-deep-nmf", "gru", "lstm"])
def test_lower_precision_learns_nearly_the_same(kind: str, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    if usable_precision("bfloat16", "cpu") != torch.bfloat16:
        pytest.skip("no bfloat16 here")
    network = {"kind": kind, "bands": 16, "units": 8} | ({"subband_units": 4} if kind == "recurrent-deep-nmf" else {})
    errors = []
    for precision in ("float32", "bfloat16"):
        train_values = {"epochs": 2, "epoch_frames": 0, "batch_segments": 1, "precision": precision}
        config = configuration({"network": network, "train": train_values})
        train(tmp_path / precision, DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise), config)
        history = load_model(tmp_path / precision / "last.safetensors").metadata["history"]
        errors.append([entry["error"] for entry in history[1:]])
    assert errors[1] == pytest.approx(errors[0], rel=0.02)


def test_context_is_refused_by_name(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"recurrent-deep-nmf has no setting network\.context; deep-nmf,"):
        run(tmp_path, tiny_corpus, network={"context": 2})


def test_dictionaries_learn_by_multiplicative_updates_too(
    experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    found = load_model(run(tmp_path, tiny_corpus, train={"optimiser": "multiplicative"}) / "last.safetensors")
    other = load_model(experiment / "last.safetensors").network.arrays()
    for name, W in found.network.arrays().items():
        if name == "output" or name.startswith("dictionary"):
            assert (W > 0).all()
            assert not np.array_equal(W, other[name])


WITH_FILTER = {"network": {"filter_units": 4, "filter_frames": 3}, "train": {"epochs": 2}}


def test_the_filter_is_trained_and_resumes_exactly_with_workers(
    tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", tiny_corpus, **WITH_FILTER)
    whole_epoch = training._epoch

    def epoch_or_stop(*arguments: object) -> float:
        if arguments[2] == 2:
            raise KeyboardInterrupt
        return whole_epoch(*arguments)  # type: ignore[arg-type]

    source = DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise)
    config = configuration(overlaid(SMALL, WITH_FILTER))
    monkeypatch.setattr(training, "_epoch", epoch_or_stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", source, config, report=lambda _: None, workers=1)
    monkeypatch.undo()
    train(tmp_path / "stopped", source, config, report=lambda _: None)
    assert all((tmp_path / "stopped" / name).read_bytes() == (whole / name).read_bytes() for name in FILES)
    network = load_model(whole / "last.safetensors").network
    assert isinstance(network, RecurrentDeepNMF)
    assert network.multi_frame is not None
    assert network.multi_frame.past_frames == 3
    assert np.abs(network.multi_frame.output).max() > 0
    assert verify(whole).problems == []


def test_the_dev_score_judges_the_filter(experiment: Path) -> None:
    start = load_model(experiment).network
    assert isinstance(start, RecurrentDeepNMF)
    added = MultiFrameFilter.start(2, 4, 4, StftSpec(), np.random.default_rng(0))
    config, dev = configuration(SMALL), FeatureSet(experiment / "features", "dev", 1)

    def score(weight: float) -> float:
        multi_frame = dataclasses.replace(added, output=np.full_like(added.output, weight))
        return dev_score(TrainingStep(dataclasses.replace(start, multi_frame=multi_frame), config, 1), dev)

    alone = dev_score(TrainingStep(start, config, 1), dev)
    assert score(0.0) == pytest.approx(alone, abs=1e-9)
    assert abs(score(0.5) - alone) > 0.01
