"""Every recipe runs, all stages, on a tiny tree in its corpus' own layout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deepnmf.networks.kinds import KINDS
from helpers import ROOT
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

ATOMS = "network.context=2 snmf.speech_atoms=3 snmf.noise_atoms=3"
EPOCH = "train.epochs=1 train.epoch_frames=200"
SMALL = f"network.context=2 network.layers=2 {EPOCH}"


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
    """Run the recipe with a grid of one dictionary, which sigmoid networks do without; return what it printed."""
    lines = [
        f"{name}\t{'-' if 'sigmoid' in settings else 't2'}\t{ATOMS}\t{settings}\t{split}\n"
        for name, settings, split in systems
    ]
    (grid / "systems.tsv").write_text("".join(lines))
    return run_grid(tree, grid, grid.parent / "exp", *options)


def run_grid(tree: Path, grid: Path, experiment: Path, *options: str) -> str:
    """Run the recipe with any grid and return what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    roots = "--root", tree / "speech", "--root", tree / "noise"
    command = [ROOT / "recipes/open/run.sh", *roots, "--exp", experiment, "--grid", grid, *options]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=PATIENCE_SECONDS
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_open(open_tree: Path, grid: Path) -> None:
    systems = [
        ("snmf", f"{SMALL} network.trained_layers=0", "test"),
        ("deep", SMALL, "test"),
        ("adam", f"{SMALL} train.optimiser=adam", "-"),
    ]
    for _ in "twice":
        printed = run(open_tree, grid, systems)
    parts = printed.partition("| system")[2].split("\n\n")
    test_rows, snr_rows, dev_rows = (parts[index].splitlines()[2:] for index in (0, 2, 3))
    assert [row.split(" | ")[0].strip("| ") for row in snr_rows] == ["noisy input", "snmf", "deep"]
    assert [row.split(" | ")[0].strip("| ") for row in test_rows] == ["noisy input", "snmf", "deep"]
    assert [row.split(" | ")[0].strip("| ") for row in dev_rows] == ["snmf", "deep", "adam"]
    parameters = {row.split(" | ")[0].strip("| "): row.split(" | ")[1] for row in dev_rows}
    assert parameters["snmf"] == f"{2 * 6 * 257:,}"  # the output is rows of its dictionary
    assert parameters["deep"] == f"{(2 * 2 + 1) * 6 * 257:,}"


def tiny_row(line: str) -> str:
    """Return a row of a grid with a tiny network of its kind."""
    if line.startswith("#"):
        return f"{line}\n"
    name, dictionary, snmf, network, *split = line.split("\t")
    kind = next((word.partition("=")[2] for word in network.split() if word.startswith("network.kind=")), "deep-nmf")
    small = {"layers": 2, "units": 8, "bands": 8, "subband_units": 4}
    known = KINDS[kind].SETTINGS.__dataclass_fields__
    own = [f"network.{key}={value}" for key, value in small.items() if key in known]
    if dictionary != "-":
        snmf = f"{snmf.removeprefix('-')} snmf.iterations=3 snmf.speech_atoms=3 snmf.noise_atoms=3".strip()
    return "\t".join([name, dictionary, snmf, " ".join([network.removeprefix("-"), *own]).strip(), *split]) + "\n"


@pytest.mark.parametrize(
    ("grid", "only"),
    [
        ("package_models", "."),
        ("model_size", "^(sigmoid-1x64-t9|dr-nmf-k4-r25|recurrent-64)$"),
        ("model_size/learning_rates", "^(ista-.*|lstm-64)-step0.0[15]$"),
    ],
)
def test_the_grids_run_with_tiny_networks(grid: str, only: str, open_tree: Path, tmp_path: Path) -> None:
    source = ROOT / "recipes/open" / grid
    folder = tmp_path / "grid"
    shutil.copytree(source, folder)
    (folder / "systems.tsv").write_text("".join(map(tiny_row, (source / "systems.tsv").read_text().splitlines())))
    if not (folder / "config.toml").exists():
        shutil.copy(ROOT / "recipes/open/config.toml", folder)
    settings = [word for setting in EPOCH.split() for word in ("--set", setting)]
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


def test_a_system_that_fails_is_reported_and_the_others_go_on(open_tree: Path, grid: Path) -> None:
    lines = [
        f"{name}\tt2\t{ATOMS}\t{SMALL} {settings}\t-\n" for name, settings in [("bad", "train.eta=-1"), ("good", "")]
    ]
    (grid / "systems.tsv").write_text("".join(lines))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    roots = "--root", open_tree / "speech", "--root", open_tree / "noise"
    command = [ROOT / "recipes/open/run.sh", *roots, "--exp", grid.parent / "exp", "--grid", grid]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=PATIENCE_SECONDS
    )
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1] == "failed: bad"
    assert "| good | " in result.stdout


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
    draws(printed, grid.parent)


def test_the_figure_of_networks_is_drawn_from_the_table(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draws((ROOT / "recipes/open/RESULTS.md").read_text(encoding="utf-8"), tmp_path)


def draws(table: str, folder: Path) -> None:
    """Draw the table of networks in a text, and check that there is a point for each row in each of four panels."""
    results, figure = folder / "results.md", folder / "figure.svg"
    results.write_text(table, encoding="utf-8")
    command = [sys.executable, ROOT / "recipes/open/model_size/figure.py", results, figure]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    rows = table.partition("| network |")[2].partition("\n\n")[0].splitlines()[2:]
    assert figure.read_text().count("<use ") >= 4 * len(rows)
