"""Damage of any artifact of an experiment is named, by the stage that reads it and by `deepnmf verify`."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from deepnmf.errors import DeepnmfError
from deepnmf.training.curves import CURVES
from deepnmf.training.verify import verify
from helpers import ROOT
from helpers.enhance_cli import run

sys.path.insert(0, str(ROOT / "benchmarks"))
import corruption


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corruption.make_experiment(tmp_path_factory.mktemp("corruption"))


def test_what_training_and_evaluation_write_is_sound(experiment: Path) -> None:
    found = verify(experiment)
    assert not found.problems
    names = {path.name for path in found.checked}
    assert {"best.safetensors", "checkpoint.safetensors", "features.json", "manifest.jsonl", "scores.csv"} <= names
    written = {path for path in experiment.rglob("*") if path.is_file()}
    unchecked = {path for path in written - set(found.checked) if path.name != CURVES}  # a log, without checksum
    assert {path.parent.name for path in unchecked} <= {"decoded"}  # the index of the map


def test_damage_is_named_or_harmless(experiment: Path) -> None:
    for name, what, outcome in corruption.corruptions(experiment, 60, seed=0):
        assert outcome in {"named", "harmless"}, f"{name}: {what}"
    assert not verify(experiment).problems


def test_the_command_lists_what_is_damaged(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(experiment, tmp_path / "copy")
    assert run(monkeypatch, "verify", copy) == 0
    assert "none damaged" in capsys.readouterr().out
    shutil.copyfile(copy / "last.safetensors", copy / "dictionary.safetensors")
    (copy / "test/timing.json").write_text("{}")
    next((copy / "features").glob("train-*")).unlink()
    assert run(monkeypatch, "verify", copy) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == 3
    assert all(str(copy) in line for line in lines)
    assert "3 of" in printed.err


def test_folders_that_cannot_be_listed_are_counted_apart(
    experiment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scandir, denied = os.scandir, {experiment / "features"}

    def refuse(path: str) -> Any:
        if Path(path) in denied:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert run(monkeypatch, "verify", experiment) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"{experiment / 'features'}: cannot list (Permission denied)"]
    assert "1 folders cannot be listed" in printed.err
    assert "damaged" not in printed.err
    denied.add(experiment)
    assert run(monkeypatch, "verify", experiment) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"deepnmf: {experiment}: cannot list (Permission denied)\n")


def test_one_artifact_alone_can_be_checked(experiment: Path) -> None:
    found = verify(experiment / "best.safetensors")
    assert (found.checked, found.problems) == ([experiment / "best.safetensors"], [])
    (experiment.parent / "sound.wav").write_bytes(b"RIFF")
    with pytest.raises(DeepnmfError, match="no artifact"):
        verify(experiment.parent / "sound.wav")
    for nothing in (experiment / "none", experiment.parent / "speech"):
        with pytest.raises(DeepnmfError, match=nothing.name):
            verify(nothing)


def test_the_last_model_in_the_place_of_the_best_is_refused(experiment: Path, tmp_path: Path) -> None:
    from deepnmf.artifacts import load_tensors, save_tensors

    arrays, metadata = load_tensors(experiment / "last.safetensors", "model")
    history = [*metadata["history"], {"error": 1.0, "dev_si_sdr_db": -5.0}]
    save_tensors(tmp_path / "best.safetensors", arrays, "model", {**metadata, "history": history})
    (problem,) = verify(tmp_path).problems
    assert "another model stands in the place" in problem


def test_a_made_up_json_artifact_is_one_line(tmp_path: Path) -> None:
    for name in ("features.json", "experiment.json", "summary.json", "scores.csv", "manifest.jsonl", "x.safetensors"):
        for content in (b"", b"[]", b"[" * 10**5, b"\xff", json.dumps({"shards": 5, "sha256": "x"}).encode()):
            (tmp_path / name).write_bytes(content)
            if name == "scores.csv":
                continue  # there is no record of it
            assert any(name in problem and "\n" not in problem for problem in verify(tmp_path).problems), name
        (tmp_path / name).unlink()
