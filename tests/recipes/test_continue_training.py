"""Going on from a model: other weights of the same sizes, and a stopped run ends with the same bytes."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from deepnmf.config import StftSpec
from deepnmf.data.features import features
from deepnmf.data.prepare import MANIFEST, prepare
from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model, save_model
from deepnmf.training.modules import RecurrentModule
from helpers import ROOT
from helpers.scripts import loaded
from helpers.signals import TinyCorpus

SCRIPT = ROOT / "recipes" / "open" / "package_models" / "continue_training.py"


@pytest.fixture
def script() -> ModuleType:
    return loaded(SCRIPT)


@pytest.fixture
def experiment(tiny_corpus: TinyCorpus, tmp_path: Path) -> Path:
    prepare(tmp_path, tiny_corpus.speech, tiny_corpus.noise)
    features(tmp_path / MANIFEST, tmp_path / "features")
    return tmp_path


def run(
    script: ModuleType, experiment: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *more: str
) -> dict[str, bytes]:
    words = "--start", "small", "-o", str(output), "--frames", "4800", "--epoch-frames", "2400", *more
    monkeypatch.setattr(sys, "argv", ["continue_training.py", str(experiment), *words])
    script.main()
    return {path.name: path.read_bytes() for path in output.iterdir()}


def test_a_model_goes_on_and_a_stopped_run_ends_with_the_same_bytes(
    script: ModuleType, experiment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = run(script, experiment, experiment / "whole", monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1", "epoch 2"]

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("builtins.print", stop)  # after the first epoch
        with pytest.raises(KeyboardInterrupt):
            run(script, experiment, experiment / "stopped", patched)
    assert run(script, experiment, experiment / "stopped", monkeypatch) == expected
    assert len(capsys.readouterr().out.splitlines()) == 1

    start, found = load_model("small"), load_model(experiment / "whole")
    assert found.metadata["started_from"] == start.metadata["sha256"]
    before, after = start.network.arrays(), found.network.arrays()
    assert {name: array.shape for name, array in before.items()} == {name: a.shape for name, a in after.items()}
    assert not np.array_equal(before["output"], after["output"])


def test_a_fusion_layer_changes_nothing_before_it_is_trained(
    script: ModuleType, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start: Any = load_model("small").network
    m = np.random.default_rng(0).exponential(1, (257, 20)).astype(np.float32)
    np.testing.assert_array_equal(script.with_fusion(start, 5, 0).mask(m), start.mask(m))
    run(script, experiment, experiment / "fused", monkeypatch, "--fusion-units", "5", "--loss-distortion", "1")
    found = load_model(experiment / "fused")
    assert found.network.arrays()["fusion.0.state_weights"].shape == (20, 5)
    assert np.abs(found.network.arrays()["prior"][:, -5:]).max() > 0
    assert found.metadata["config"]["network"]["fusion_units"] == 5


def test_a_filter_changes_nothing_before_it_is_trained_with_a_teacher_too(
    script: ModuleType, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, spec, path = load_model("small"), StftSpec(), experiment / "plain.safetensors"
    start = dataclasses.replace(start, network=dataclasses.replace(start.network, multi_frame=None))  # type: ignore[type-var]
    save_model(path, start)
    options = "--start", str(path), "--filter-units", "4", "--filter-frames", "3", "--teacher", "small"
    run(script, experiment, experiment / "filtered", monkeypatch, *options)
    found = load_model(experiment / "filtered")
    multi_frame = found.network.multi_frame
    assert multi_frame is not None
    assert multi_frame.past_frames == 3
    assert np.abs(multi_frame.output).max() > 0
    assert found.metadata["config"]["network"]["filter_units"] == 4

    added = script.with_filter(start.network, 4, 3, spec, 0)
    X = np.random.default_rng(0).normal(size=(1, 257, 20, 2)).astype(np.float32).view(np.complex64)[..., 0]
    masked, filtered = (
        RecurrentModule(net).estimate(torch.from_numpy(X), spec).detach().numpy() for net in (start.network, added)
    )
    np.testing.assert_array_equal(filtered, masked)
    with pytest.raises(DeepnmfError, match="has a filter"):
        script.with_filter(added, 4, 3, spec, 0)


def test_a_teacher_changes_the_targets_and_is_recorded(
    script: ModuleType, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(script, experiment, experiment / "alone", monkeypatch)
    taught = run(script, experiment, experiment / "taught", monkeypatch, "--teacher", "default")
    assert taught[script.BEST] != alone[script.BEST]
    assert load_model(experiment / "taught").metadata["teacher"] == load_model("default").metadata["sha256"]
