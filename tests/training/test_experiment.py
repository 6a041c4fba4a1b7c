"""`deepnmf train` as a whole: real stages on a tiny corpus, killed anywhere, started again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from deepnmf.artifacts import load_tensors, read_csv, read_json, save_tensors
from deepnmf.config import FeatureConfig, StftSpec, overlaid
from deepnmf.data.features import features
from deepnmf.data.manifest import read_manifest, write_manifest
from deepnmf.data.prepare import prepare
from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model
from deepnmf.networks.kinds import Config, configuration
from deepnmf.report.summary import model_summary
from deepnmf.training import batches, loop
from deepnmf.training.curves import CURVES, EpochCurves
from deepnmf.training.experiment import DataSource, train
from deepnmf.training.loop import train_network
from deepnmf.training.optimisers import MultiplicativeUpdate
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.slow

VALUES: dict[str, dict[str, Any]] = {
    "prepare": {"mixtures_per_utterance": 1},
    "snmf": {"speech_atoms": 4, "noise_atoms": 3, "iterations": 5},
    "network": {"kind": "deep-nmf", "context": 2, "layers": 2},
    "train": {"epochs": 3, "epoch_frames": 300, "batch_frames": 100, "average_share": 0.3},
}
SMALL = configuration(VALUES)
SETTINGS = [f"{section}.{key}={value}" for section, values in VALUES.items() for key, value in values.items()]
ARTIFACTS = ("manifest.jsonl", "dictionary.safetensors", "best.safetensors", "last.safetensors")


def corpus_of(tiny: TinyCorpus) -> DataSource:
    return DataSource(speech=tiny.speech, noise=tiny.noise)


def changed(**sections: Any) -> Config:
    return configuration(overlaid(VALUES, sections))


def quiet(_: str) -> None:
    """Report nothing."""


def command(tiny: TinyCorpus, output: Path, *more: str) -> list[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    folders = ["--speech", str(tiny.speech), "--noise", str(tiny.noise), "-o", str(output)]
    return [sys.executable, "-m", "deepnmf", "train", *folders, *settings, *more]


@pytest.fixture(scope="module")
def experiment(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("experiment")
    subprocess.run(command(tiny_corpus, output), check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return output


def contents(output: Path) -> dict[str, bytes]:
    return {name: (output / name).read_bytes() for name in ARTIFACTS}


def curves(output: Path) -> list[dict[str, str]]:
    """Return the training curves without the throughput, which differs from run to run."""
    return [{**row, "frames_per_second": ""} for row in read_csv(output / CURVES)]


def test_every_stage_leaves_its_artifact(experiment: Path) -> None:
    assert not list(experiment.rglob("*.part*"))
    assert read_json(experiment / "corpus.json")["splits"]["train"]["mixtures"] == 4
    model = load_model(experiment)
    assert model.metadata["history"][0]["error"] is None
    assert len(load_model(experiment / "last.safetensors").metadata["history"]) == 4
    assert all(W.dtype == np.float32 and (W >= 0).all() for W in (*model.network.dictionaries, model.network.output))


def test_training_lowers_the_error_it_minimises(experiment: Path) -> None:
    history = load_model(experiment / "last.safetensors").metadata["history"]
    errors = [entry["error"] for entry in history[1:]]
    assert errors[-1] < errors[0]
    rows = curves(experiment)
    assert [float(row["dev_si_sdr_db"]) for row in rows] == [entry["dev_si_sdr_db"] for entry in history]
    assert [float(row["loss"]) for row in rows[1:]] == errors
    rates = [float(row["learning_rate"]) for row in rows[1:]]
    assert rates == sorted(rates, reverse=True)
    assert all(float(row["gradient_norm"]) > 0 for row in rows[1:])


def test_the_same_seed_gives_the_same_bytes(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    subprocess.run(command(tiny_corpus, tmp_path / "again"), check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    assert contents(tmp_path / "again") == contents(experiment)


def test_another_seed_gives_another_model(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    train(tmp_path, corpus_of(tiny_corpus), changed(train={"seed": 1, "epochs": 1}), report=quiet)
    assert contents(tmp_path)["dictionary.safetensors"] != contents(experiment)["dictionary.safetensors"]


@pytest.mark.parametrize(
    "moment",
    ["manifest.jsonl", "features/train-000000-0000.safetensors", "dictionary.safetensors", "checkpoint.safetensors"],
)
def test_killed_and_run_again_gives_the_model_of_an_uninterrupted_run(
    moment: str, experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    process = subprocess.Popen(command(tiny_corpus, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: (output / moment).exists(), process)
    process.kill()
    process.wait()
    subprocess.run(command(tiny_corpus, output), check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    assert contents(output) == contents(experiment)
    assert curves(output) == curves(experiment)


def interrupted_at(epoch: int) -> Callable[..., EpochCurves]:
    """Return the function that trains an epoch, interrupted before one."""
    whole_epoch = loop._epoch

    def epoch_or_stop(*arguments: Any) -> EpochCurves:
        if arguments[2] == epoch:
            raise KeyboardInterrupt
        return whole_epoch(*arguments)

    return epoch_or_stop


TRAININGS = [
    {"optimiser": "multiplicative"},
    {"optimiser": "multiplicative", "split_at": "none", "eta": 1.0},
    {"optimiser": "adam"},
]


@pytest.mark.parametrize("training", TRAININGS, ids=["at-weights", "paper-rule", "adam"])
@pytest.mark.parametrize("tied", [False, True])
def test_stopped_after_any_epoch_it_resumes_exactly(
    training: dict[str, Any], tied: bool, experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(network={"layers": 3, "tied": tied}, train=training)
    inputs = config, experiment / "dictionary.safetensors"
    train_network(experiment / "features", tmp_path / "whole", *inputs)
    whole_epoch = loop._epoch
    for stop in (1, 2, 3):
        output = tmp_path / f"stopped-{stop}"
        monkeypatch.setattr(loop, "_epoch", interrupted_at(stop))
        with pytest.raises(KeyboardInterrupt):
            train_network(experiment / "features", output, *inputs)
        monkeypatch.setattr(loop, "_epoch", whole_epoch)
        train_network(experiment / "features", output, *inputs)
        for name in ("best.safetensors", "last.safetensors"):
            assert (output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert curves(output) == curves(tmp_path / "whole")


def test_a_run_of_deepnmf_0_4_is_shown_and_resumed(experiment: Path, tmp_path: Path) -> None:
    own = SMALL, experiment / "dictionary.safetensors"
    inputs = experiment / "features", tmp_path / "run", *own
    train_network(experiment / "features", tmp_path / "whole", *own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_epoch", interrupted_at(2))
        with pytest.raises(KeyboardInterrupt):
            train_network(*inputs)
    for name, kind in (("checkpoint", "checkpoint"), ("best", "model"), ("last", "model")):
        path = tmp_path / f"run/{name}.safetensors"
        tensors, record = load_tensors(path, kind)
        history = [{"error": entry["error"], "dev_sdr_db": entry["dev_si_sdr_db"]} for entry in record["history"]]
        save_tensors(path, tensors, kind, record | {"history": history})
    model = load_model(tmp_path / "run" / "last.safetensors")
    assert f"{model.metadata['history'][0]['dev_si_sdr_db']:.2f} dB" in dict(model_summary(model))["dev score"]
    train_network(*inputs)
    whole, resumed = (tmp_path / folder / "last.safetensors" for folder in ("whole", "run"))
    assert resumed.read_bytes() == whole.read_bytes()


def test_a_finished_experiment_is_left_as_it_is(experiment: Path, tiny_corpus: TinyCorpus) -> None:
    before = {path: path.stat().st_mtime_ns for path in experiment.glob("*.safetensors")}
    lines: list[str] = []
    train(experiment, corpus_of(tiny_corpus), SMALL, report=lines.append)
    assert {path: path.stat().st_mtime_ns for path in experiment.glob("*.safetensors")} == before
    assert [line.split(":")[0] for line in lines[:4]] == ["prepare", "features", "pretrain", "train"]


def test_full_batch_training_of_one_epoch_is_one_exact_update(experiment: Path, tmp_path: Path) -> None:
    """Chunks of any size add up: the gradient is a sum over frames."""
    config = changed(train={"epochs": 1, "batch_frames": 0, "epoch_frames": 0})
    found = []
    for frames in (100, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batches, "CHUNK_FRAMES", frames)
            train_network(
                experiment / "features", tmp_path / str(frames), config, experiment / "dictionary.safetensors"
            )
        found.append(load_model(tmp_path / str(frames) / "last.safetensors").network)
    np.testing.assert_allclose(found[0].output, found[1].output, rtol=1e-3)
    assert not np.array_equal(found[0].output, load_model(experiment).network.output)


def test_training_that_diverges_stops_and_keeps_the_epochs_before(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = SMALL, experiment / "dictionary.safetensors"
    whole_step, done = MultiplicativeUpdate.step, []

    def exploding(rule: MultiplicativeUpdate) -> None:
        whole_step(rule)
        done.append(1)
        if len(done) == 5:  # the second batch of the second epoch
            rule.param_groups[0]["params"][1].data[0, 0] = np.inf

    monkeypatch.setattr(MultiplicativeUpdate, "step", exploding)
    with pytest.raises(DeepnmfError, match=r"diverged in epoch 2, batch 2: layer dictionary\.1 .*; the epochs before"):
        train_network(experiment / "features", tmp_path, *inputs)
    for name in ("best", "last"):
        model = load_model(tmp_path / f"{name}.safetensors")
        assert len(model.metadata["history"]) <= 2
        assert all(np.isfinite(W).all() for W in model.network.arrays().values())
    monkeypatch.undo()
    train_network(experiment / "features", tmp_path, *inputs)  # the folder is not stuck
    assert len(load_model(tmp_path / "last.safetensors").metadata["history"]) == 4


def test_another_configuration_is_refused_by_the_field_that_differs(experiment: Path, tiny_corpus: TinyCorpus) -> None:
    with pytest.raises(DeepnmfError, match=r"config\.network\.layers: found 2, expected 7"):
        train(experiment, corpus_of(tiny_corpus), changed(network={"layers": 7}), report=quiet)


def test_a_folder_of_another_run_is_refused_before_any_work(
    experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "batches_of", lambda *_: pytest.fail("recordings are read"))
    shutil.copy(experiment / "checkpoint.safetensors", tmp_path)
    last_stage = experiment / "features", tmp_path, changed(network={"layers": 7})
    with pytest.raises(DeepnmfError, match=r"config\.network\.layers: found 2, expected 7"):
        train_network(*last_stage, experiment / "dictionary.safetensors")
    with pytest.raises(DeepnmfError, match="other recordings"):
        train(tmp_path, corpus_of(tiny_corpus), SMALL, report=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    (tmp_path / "checkpoint.safetensors").unlink()
    (tmp_path / "last.safetensors").mkdir()
    with pytest.raises(DeepnmfError, match=r"last\.safetensors: cannot write"):
        train_network(experiment / "features", tmp_path, SMALL, experiment / "dictionary.safetensors")


def test_features_of_another_stft_are_refused(experiment: Path, tmp_path: Path) -> None:
    other = FeatureConfig(StftSpec(hop_ms=8.0))
    features(experiment / "manifest.jsonl", tmp_path / "features", other)
    with pytest.raises(DeepnmfError, match=r"stft\.hop_ms: found 8\.0, expected 10\.0"):
        train_network(tmp_path / "features", tmp_path / "out", SMALL, experiment / "dictionary.safetensors")
    with pytest.raises(DeepnmfError, match=r"stft\.hop_ms"):
        features(experiment / "manifest.jsonl", tmp_path / "features", SMALL.features)


def test_bad_recordings_are_named_and_the_others_used(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    speech = tmp_path / "speech"
    shutil.copytree(tiny_corpus.speech, speech)
    (speech / "speaker0" / "text.wav").write_text("not audio")
    (speech / "speaker0" / "empty.wav").write_bytes(b"")
    soundfile.write(speech / "speaker0" / "nothing.wav", np.zeros(0), 16000)
    poisoned = np.zeros(16000, np.float32)
    poisoned[100] = np.nan
    for speaker in range(4):  # in every split
        soundfile.write(speech / f"speaker{speaker}" / "nan.wav", poisoned, 16000, "FLOAT")
        soundfile.write(speech / f"speaker{speaker}" / "silent.wav", np.zeros(16000), 16000)
    output = tmp_path / "out"
    bad = TinyCorpus(speech, tiny_corpus.noise)
    result = subprocess.run(command(bad, output), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for name in ("text.wav", "empty.wav", "nothing.wav", "nan.wav", "silent.wav"):
        lines = [line for line in result.stderr.splitlines() if f"/{name}:" in line]
        assert lines, name
        assert all(line.startswith("deepnmf: left out: ") for line in lines), name
    assert load_model(output).network.speech_atoms == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give speech and noise"),
        (["--speech", "missing", "--noise", "missing"], "missing: no such folder"),
        (["--speech", "empty", "--noise", "missing"], "empty: no audio files"),
        (["--speech", "empty", "--noise", "empty"], "empty: given twice"),
        (["--manifest", "missing.jsonl"], "missing.jsonl: cannot read the manifest"),
        (["--speech", "empty", "--noise", "empty", "--set", "network.depth=3"], "unknown key network.depth"),
        (["--speech", "empty", "--noise", "empty", "--set", "depth"], "SECTION.KEY=VALUE"),
        (["--dictionary", "missing", "--features", "missing"], "missing/features.json: cannot read"),
    ],
)
def test_bad_arguments_give_one_clear_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = subprocess.run(
        [sys.executable, "-m", "deepnmf", "train", "-o", "out", *arguments],
        capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("kind", ["deep-nmf", "gru"])
@pytest.mark.parametrize("splits", [["train", "test"], ["dev", "test"]])
def test_a_manifest_without_train_or_dev_is_refused_first_and_leaves_the_folder_to_another(
    kind: str, splits: list[str], tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    prepare(tmp_path / "whole", tiny_corpus.speech, tiny_corpus.noise)
    rows = [row for row in read_manifest(tmp_path / "whole/manifest.jsonl") if row.split in splits]
    write_manifest(tmp_path / "m.jsonl", rows)
    with pytest.raises(DeepnmfError, match="no mixtures in split"):
        train(tmp_path / "out", DataSource(manifest=tmp_path / "m.jsonl"), {"network": {"kind": kind}}, report=quiet)
    assert not list(tmp_path.glob("out/*"))


def test_an_output_that_cannot_be_written_is_named(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DeepnmfError, match="cannot write"):
        train(tmp_path / "file" / "out", corpus_of(tiny_corpus), SMALL, report=quiet)


def gone(_: np.ndarray) -> None:
    """Leave an array out."""


def nan(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, np.nan)


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({"weight": nan}, {}),
        ({"weight": np.float64}, {}),
        ({"weight": lambda array: array[:-1]}, {}),
        ({"weight": gone}, {}),
        ({"mean": gone}, {}),
        ({"mean": lambda array: array.ravel()[0]}, {}),
        ({"optimiser": lambda array: array.ravel()[:1]}, {}),
        ({"updates": gone}, {}),
        ({}, {"run": None}),
        ({}, {"run": {"config": 5}}),
        ({}, {"history": [5]}),
    ],
)
def test_a_made_up_checkpoint_is_one_line(
    experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path, arrays: dict[str, Any], metadata: dict[str, Any]
) -> None:
    copy = shutil.copytree(experiment, tmp_path / "copy")
    tensors, record = load_tensors(copy / "checkpoint.safetensors", "checkpoint")
    changes = {name: arrays.get(name.partition(".")[0], lambda array: array)(array) for name, array in tensors.items()}
    kept = {name: np.asarray(array) for name, array in changes.items() if array is not None}
    save_tensors(copy / "checkpoint.safetensors", kept, "checkpoint", record | metadata)
    with pytest.raises(DeepnmfError, match=r"checkpoint\.safetensors.*train again"):
        train(copy, corpus_of(tiny_corpus), SMALL, report=quiet)
