"""The fault runs of benchmarks/faults.py in short: nothing is lost, nothing is left, everything wrong is named."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from helpers import ROOT

pytest.importorskip("resource")  # of the limit on the size of files
sys.path.insert(0, str(ROOT / "benchmarks"))
import faults

OPTIONS = argparse.Namespace(moments=1, corruptions=40, audio=90, seed=1, commands=["enhance", "features", "evaluate"])


def wrong(check: str, folder: Path, **options: object) -> list[tuple[str, str, str]]:
    """Return what a check finds wrong, having found something at all."""
    outcomes = list(faults.CHECKS[check](folder / check, argparse.Namespace(**{**vars(OPTIONS), **options})))
    assert outcomes
    return [outcome for outcome in outcomes if outcome[2] != "ok"]


def test_mutated_recordings_are_read_or_named(tmp_path: Path) -> None:
    assert wrong("mutated", tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("check", ["killed", "full_disk", "clock_back"])
def test_a_disturbed_command_that_runs_again_writes_what_an_undisturbed_one_does(tmp_path: Path, check: str) -> None:
    assert wrong(check, tmp_path) == []


@pytest.mark.slow
def test_a_killed_training_resumes_and_a_second_one_is_refused(tmp_path: Path) -> None:
    assert wrong("killed", tmp_path, commands=["train"]) == []
    assert wrong("two_at_once", tmp_path) == []


@pytest.mark.slow
def test_damaged_artifacts_are_named_or_harmless(tmp_path: Path) -> None:
    assert wrong("corrupted", tmp_path) == []


def test_a_check_that_finds_something_wrong_says_so(tmp_path: Path) -> None:
    command = faults.Command("none", ["show", "none"], tmp_path)
    (tmp_path / "stray").write_text("x")
    assert "stray" in faults.compared(command, {}, 0, "")
    assert "differ: stray" in faults.compared(command, {"stray": b"y"}, 0, "")
    assert "exits with 1: ['why']" in faults.compared(command, {"stray": b"x"}, 1, "why")
    assert faults.compared(command, {"stray": b"x"}, 0, "") == "ok"
    assert "Traceback" in faults.refused(command, {}, 1, "Traceback")
    assert "says why" in faults.refused(command, {"stray": b"x"}, 1, "")
