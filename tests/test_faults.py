"""The fault runs of benchmarks/faults.py in short: nothing is lost, nothing is left, everything wrong is named."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT

pytest.importorskip("resource")  # of the limit on the size of files
sys.path.insert(0, str(ROOT / "benchmarks"))
import faults

QUICK = ["enhance", "features", "evaluate"]


def table(*arguments: str) -> str:
    """Return the table that the program prints, whose exit code is 0 if nothing is wrong."""
    program = [sys.executable, str(ROOT / "benchmarks/faults.py"), "--moments", "1", "--seed", "1", *arguments]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_mutated_recordings_are_read_or_named(tmp_path: Path) -> None:
    options = argparse.Namespace(audio=90, seed=1)
    outcomes = list(faults.mutated(tmp_path / "mutated", options))
    assert len(outcomes) == 90
    assert [outcome for outcome in outcomes if outcome[2] != "ok"] == []


@pytest.mark.slow
@pytest.mark.parametrize("check", ["killed", "interrupted", "full_disk", "small_disk", "clock_back"])
def test_a_disturbed_command_that_runs_again_writes_what_an_undisturbed_one_does(check: str) -> None:
    found = table("--only", check, "--commands", *QUICK)
    assert check == "small_disk" or all(name in found for name in QUICK)  # only root can mount one


@pytest.mark.slow
@pytest.mark.parametrize("check", ["killed", "interrupted"])
def test_a_command_of_several_processes_that_is_stopped_leaves_nothing_and_resumes(check: str) -> None:
    parallel = ["train_ranks", "train_workers", "enhance_jobs", "evaluate_jobs"]
    found = table("--only", check, "--commands", *parallel)
    assert all(command in found for command in parallel)


@pytest.mark.slow
def test_a_second_training_is_refused_and_damaged_artifacts_are_named_or_harmless() -> None:
    found = table("--only", "two_at_once", "corrupted", "--corruptions", "40")
    assert "two trainings" in found
    assert "damaged artifacts" in found


def test_a_check_that_finds_something_wrong_says_so(tmp_path: Path) -> None:
    command = faults.Command("none", ["show", "none"], tmp_path, tmp_path / "work")
    (tmp_path / "stray").write_text("x")
    assert "stray" in faults.compared(command, {}, 0, "")
    assert "differ: stray" in faults.compared(command, {"stray": b"y"}, 0, "")
    assert "exits with 1: ['why']" in faults.compared(command, {"stray": b"x"}, 1, "why")
    assert faults.compared(command, {"stray": b"x"}, 0, "") == "ok"
    assert "Traceback" in faults.refused(command, {}, 1, "Traceback")
    assert "no line gives the reason" in faults.refused(command, {"stray": b"x"}, 1, "")
