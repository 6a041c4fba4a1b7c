"""`torchrun -m deepnmf train` on a tiny corpus: the files and the weights of one process; killed, and resumed."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.artifacts import load_tensors
from deepnmf.config import overlaid
from deepnmf.data.features import features
from deepnmf.data.prepare import prepare
from deepnmf.errors import InputError
from deepnmf.networks.kinds import configuration
from deepnmf.training import group
from deepnmf.training.batches import DynamicBatches, Example, StoredBatches
from deepnmf.training.experiment import DataSource, train
from deepnmf.training.group import JOIN_TIMEOUT
from deepnmf.training.loop import train_network
from deepnmf.training.pretrain import pretrain
from deepnmf.training.processes import Processes
from helpers.ranks import start_ranks
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS, reserved_port, wait_until

pytestmark = pytest.mark.slow

COMMON: dict[str, dict[str, Any]] = {
    "prepare": {"mixtures_per_utterance": 1},
    "snmf": {"speech_atoms": 4, "noise_atoms": 3, "iterations": 11, "max_frames": 700},
    "train": {"epochs": 2, "epoch_frames": 300},
}
STORED = overlaid(COMMON, {"network": {"kind": "deep-nmf", "context": 2, "layers": 2}, "train": {"batch_frames": 300}})
DYNAMIC = overlaid(
    COMMON,
    {
        "network": {"kind": "recurrent-deep-nmf", "bands": 16, "units": 8, "subband_units": 4, "filter_units": 4},
        "train": {"batch_segments": 3, "average_share": 0.3, "weight_learning_rate": 2e-3},
    },
)
SMALLEST = 0.01
"""Scale of arrays that start at zero: after few updates they hold nothing but steps of Adam, which enlarge rounding."""
MODELS = ("dictionary.safetensors", "last.safetensors")


def settings_of(values: dict[str, Any]) -> list[str]:
    settings = [f"{section}.{key}={value}" for section, own in values.items() for key, value in own.items()]
    return [word for setting in settings for word in ("--set", setting)]


def arguments(values: dict[str, Any], tiny: TinyCorpus, output: Path) -> list[str]:
    folders = ["--speech", str(tiny.speech), "--noise", str(tiny.noise), "-o", str(output)]
    return ["-m", "deepnmf", "train", *folders, *settings_of(values)]


def alone(values: dict[str, Any], tiny: TinyCorpus, output: Path) -> None:
    train(output, DataSource(speech=tiny.speech, noise=tiny.noise), values, report=lambda _: None)


def assert_equal_to_rounding(found: Path, expected: Path) -> None:
    for name in MODELS:
        kind = "dictionary" if name.startswith("dictionary") else "model"
        values, others = (load_tensors(folder / name, kind)[0] for folder in (found, expected))
        for key, W in others.items():
            scale = max(np.abs(W).max(), SMALLEST)
            np.testing.assert_allclose(values[key], W, rtol=0, atol=1e-5 * scale, err_msg=key)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("values", [STORED, DYNAMIC], ids=["stored", "dynamic"])
def test_torchrun_writes_the_files_and_weights_of_one_process(
    values: dict[str, Any], tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, *arguments(values, tiny_corpus, tmp_path / "two")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    alone(values, tiny_corpus, tmp_path / "one")
    assert_equal_to_rounding(tmp_path / "two", tmp_path / "one")
    assert names(tmp_path / "two") == names(tmp_path / "one")
    for line in ("train:", "Now:"):
        assert sum(text.startswith(line) for text in result.stdout.splitlines()) == 1
    assert sum(text.startswith("epoch 2/2") for text in result.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def stages(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with manifest, features and dictionary."""
    folder, config = tmp_path_factory.mktemp("stages"), configuration(STORED)
    prepare(folder, tiny_corpus.speech, tiny_corpus.noise, config=config.prepare)
    features(folder / "manifest.jsonl", folder / "features", config.features)
    pretrain(folder / "features", folder / "dictionary.safetensors", config)
    return folder


MORTAL = """
import os, signal
from deepnmf.cli import main
from deepnmf.training.step import TrainingStep

step, batches = TrainingStep.step, []

def die_of_the_fifth(self, batch):
    batches.append(batch)
    if os.environ["RANK"] == "1" and len(batches) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch)

TrainingStep.step = die_of_the_fifth
main()
"""
"""A program in which rank 1 is killed while both train, however fast they are."""


def test_a_killed_rank_is_named_and_one_process_resumes_what_two_began(stages: Path, tmp_path: Path) -> None:
    values, output = overlaid(STORED, {"train": {"epochs": 15}}), tmp_path / "killed"
    inputs = ["--features", str(stages / "features"), "--dictionary", str(stages / "dictionary.safetensors")]
    processes = start_ranks(2, ["-c", MORTAL, "train", *inputs, "-o", str(output), *settings_of(values)])
    (_, stderr), _ = (process.communicate(timeout=PATIENCE_SECONDS) for process in processes)
    assert [line for line in stderr.splitlines() if "rank 1" in line and "resume" in line], stderr
    assert 1 < len(load_tensors(output / "checkpoint.safetensors", "checkpoint")[1]["history"]) < 16
    lines: list[str] = []
    for folder in (output, tmp_path / "one"):
        own = configuration(values), stages / "dictionary.safetensors"
        train_network(stages / "features", folder, *own, report=lines.append)
        shutil.copy(stages / "dictionary.safetensors", folder)
    assert [line for line in lines if line.startswith("resume:") and "2 before" in line]
    assert_equal_to_rounding(output, tmp_path / "one")
    assert {path.suffix for path in output.iterdir()} <= {".safetensors", ".csv", ".lock", ""}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_waits_for_the_others_ends_at_a_signal(
    rank: int, number: signal.Signals, stages: Path, tmp_path: Path
) -> None:
    with reserved_port() as held:
        if rank == 1:
            held.listen()
        port = held.getsockname()[1]
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
        words = ["train", "--features", str(stages / "features"), "-o", str(tmp_path / "run"), *settings_of(STORED)]
        process = subprocess.Popen([sys.executable, "-m", "deepnmf", *words], env={**os.environ, **place})
        if rank == 0:
            wait_until(lambda: is_listening(port), process)
        else:
            held.settimeout(PATIENCE_SECONDS)
            held.accept()
        process.send_signal(number)
        assert process.wait(JOIN_TIMEOUT.total_seconds() / 2) == -number


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def frames_of(examples: list[Example]) -> list[bytes]:
    """Return the frames of a batch, in whatever pieces they come."""
    return [np.concatenate(frame).tobytes() for example in examples for frame in zip(*_columns(example), strict=True)]


def _columns(example: Example) -> list[np.ndarray]:
    return [np.moveaxis(x, 1, 2).reshape(-1, x.shape[1]) for x in example]


@pytest.mark.parametrize("accumulate", [1, 2, 7])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_ranks_share_the_mixtures_that_one_process_draws(size: int, accumulate: int, stages: Path) -> None:
    config = configuration(DYNAMIC)

    def sources(*split: Any) -> list[StoredBatches | DynamicBatches]:
        stored = StoredBatches(stages / "features", 2, 300, 0, 0, *split)
        return [stored, DynamicBatches(stages / "manifest.jsonl", config, 3, *split)]

    for whole, *parts in zip(
        sources(), *(sources(Processes(rank, size), accumulate) for rank in range(size)), strict=True
    ):
        expected = [frames_of(list(batch)) for batch in whole.epoch(1)]
        shares = [[frames_of(list(batch)) for batch in part.epoch(1)] for part in parts]
        assert [list(itertools.chain(*batch)) for batch in zip(*shares, strict=True)] == expected


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_waits_for_the_others_names_the_place(
    rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(group, "NAMED_SECONDS", 0.0)
    monkeypatch.setattr(group, "JOIN_TIMEOUT", timedelta(seconds=2))
    with reserved_port() as held:
        port = str(held.getsockname()[1])
        for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "WORLD_SIZE": 2}.items():
            monkeypatch.setenv(name, str(value))
        with pytest.raises(InputError, match=f"127.0.0.1:{port}"), group.group_of(rank, 2, "cpu"):
            pass
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("deepnmf: ")]
    assert f"127.0.0.1:{port}" in line
    assert "MASTER_ADDR" in line
