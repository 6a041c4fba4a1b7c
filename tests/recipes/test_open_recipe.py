"""Every recipe runs, all stages, on a tiny tree in its corpus' own layout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.signals import TinyCorpus

pytestmark = pytest.mark.slow

ATOMS = "snmf.context=2 snmf.speech_atoms=3 snmf.noise_atoms=3"
SMALL = "network.layers=2 train.epochs=1 train.epoch_frames=200"


@pytest.fixture
def open_tree(tiny_corpus: TinyCorpus, tmp_path: Path) -> Path:
    """Speech and noise in folders train, dev and test."""
    for split, speakers, kind in (("train", "01", "hiss"), ("dev", "2", "rumble"), ("test", "3", "hum")):
        for speaker in speakers:
            name = f"speaker{speaker}"
            shutil.copytree(tiny_corpus.speech / name, tmp_path / "data" / "speech" / split / name)
        shutil.copytree(tiny_corpus.noise / kind, tmp_path / "data" / "noise" / split / kind)
    return tmp_path / "data"


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """A folder for a grid of systems."""
    folder = tmp_path / "grid"
    folder.mkdir()
    return folder


def run(tree: Path, grid: Path, systems: list[tuple[str, str, str]], *options: str) -> str:
    """Run the recipe with a grid of one dictionary and return what it printed."""
    lines = [f"{name}\tt2\t{ATOMS}\t{settings}\t{split}\n" for name, settings, split in systems]
    (grid / "systems.tsv").write_text("".join(lines))
    return run_grid(tree, grid, grid.parent / "exp", *options)


def run_grid(tree: Path, grid: Path, experiment: Path, *options: str) -> str:
    """Run the recipe with any grid and return what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    roots = "--root", tree / "speech", "--root", tree / "noise"
    command = [ROOT / "recipes/open/run.sh", *roots, "--exp", experiment, "--grid", grid, *options]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_open(open_tree: Path, grid: Path) -> None:
    systems = [
        ("snmf", f"{SMALL} network.trained=0", "test"),
        ("deep", SMALL, "test"),
        ("adam", f"{SMALL} train.optimiser=adam", "-"),
    ]
    for _ in "twice":
        printed = run(open_tree, grid, systems)
    test_rows, dev_rows = (part.splitlines()[2:] for part in printed.partition("| system")[2].split("\n\n"))
    assert [row.split(" | ")[0].strip("| ") for row in test_rows] == ["noisy input", "snmf", "deep"]
    assert [row.split(" | ")[0].strip("| ") for row in dev_rows] == ["snmf", "deep", "adam"]
    parameters = {row.split(" | ")[0].strip("| "): row.split(" | ")[1] for row in dev_rows}
    assert parameters["snmf"] == f"{3 * 6 * 257:,}"
    assert parameters["deep"] == f"{(2 * 2 + 1) * 6 * 257:,}"


@pytest.mark.parametrize(
    ("grid", "only"),
    [
        ("package_models", "."),
        ("model_size", "^(sigmoid-1x64-t9|recurrent-64)$"),
        ("model_size/learning_rates", "^(ista-.*|lstm-64)-step0.0[15]$"),
    ],
)
def test_the_grids_run_with_tiny_networks(grid: str, only: str, open_tree: Path, tmp_path: Path) -> None:
    recurrent = "recurrent.bands=8 recurrent.units=4 recurrent.subband_units=4"
    tiny = f"{SMALL} {ATOMS.replace('context=2', 'iterations=3')} {recurrent}"
    folder = ROOT / "recipes/open" / grid
    settings = [word for setting in tiny.split() for word in ("--set", setting)]
    printed = run_grid(
        open_tree, folder, tmp_path / "exp", "--only", only, "--metric", "si_sdr", "--metric", "sdr", "--", *settings
    )
    rows = [
        line.split("\t")
        for line in (folder / "systems.tsv").read_text().splitlines()
        if re.search(only, line.split("\t")[0])
    ]
    names = [name for name, *_ in rows if not name.startswith("#")]
    assert names
    assert all(f"\n| {name} | " in printed for name in names)
    scored = {(name, split) for name, *_, split in rows if (tmp_path / "exp" / name / split / "scores.csv").exists()}
    assert scored == {(name, split) for name, *_, split in rows if split in ("dev", "test")}


def test_the_comparison_of_networks(open_tree: Path, grid: Path) -> None:
    pytest.importorskip("matplotlib")
    shutil.copy(ROOT / "recipes/open/model_size/results.py", grid)
    sigmoid = f"{SMALL} network.kind=sigmoid network.units=4"
    systems = [
        ("deep-k2-t2", SMALL, "test"),
        ("sigmoid-2x4-t2", sigmoid, "test"),
        ("sigmoid-2x4-t2-seed1", f"{sigmoid} train.seed=1", "test"),
    ]
    printed = run(open_tree, grid, systems, "--metric", "si_sdr", "--metric", "sdr")
    rows = [line.strip("| ").split(" | ") for line in printed.partition("| network")[2].splitlines()[2:]]
    assert [(row[0], row[6]) for row in rows] == [("sigmoid-2x4-t2", "2"), ("deep-k2-t2", "1")]
    assert "±" in rows[0][4]
    assert "parameters" in rows[0][7]  # the smallest network leads at its size
    figure = grid.parent / "figure.svg"
    command = [sys.executable, grid / "results.py", grid.parent / "exp", grid / "systems.tsv", figure]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert "</svg>" in figure.read_text()
