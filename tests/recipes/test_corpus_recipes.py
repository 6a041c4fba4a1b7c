"""Every recipe runs, all stages, on a tiny tree in its corpus' own layout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deepnmf.data.manifest import read_manifest
from helpers import ROOT, corpus_trees
from helpers.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

TINY = (
    "prepare.mixtures_per_utterance=1 network.context=2 snmf.speech_atoms=3 snmf.noise_atoms=3 snmf.iterations=3 "
    "network.layers=2 network.trained_layers=1 train.epochs=1 train.epoch_frames=200"
)


def run(recipe: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    settings = [word for setting in TINY.split() for word in ("--set", setting)]
    command = [ROOT / "recipes" / recipe / "run.sh", *arguments, "--limit", "2", "--", *settings]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS)


def librispeech_and(noise: Callable[[Path], Path]) -> Callable[[Path], list[Path]]:
    return lambda folder: [corpus_trees.librispeech(folder / "speech"), noise(folder / "noise")]


def two_folders(folder: Path) -> list[Path]:
    tree = corpus_trees.two_folders(folder)
    return [tree / "speech", tree / "noise"]


TREES: dict[str, Callable[[Path], list[Path]]] = {
    "chime2": lambda folder: [corpus_trees.chime2(folder)],
    "voicebank_demand": lambda folder: [corpus_trees.voicebank_demand(folder)],
    "ms_snsd": lambda folder: [corpus_trees.ms_snsd(folder)],
    "librispeech_musan": librispeech_and(corpus_trees.musan),
    "librispeech_demand": librispeech_and(corpus_trees.demand),
    "wham": lambda folder: [corpus_trees.wham(folder)],
    "two_folders": two_folders,
}
ONLY = {"chime2": "^deep-r100-k4$"}


@pytest.mark.parametrize("recipe", TREES)
def test_all_stages(recipe: str, tmp_path: Path) -> None:
    roots = [word for root in TREES[recipe](tmp_path / "tree") for word in ("--root", root)]
    only = ONLY.get(recipe, "^deep$")
    result = run(recipe, *roots, "--exp", tmp_path / "exp", "--only", only)
    assert result.returncode == 0, result.stderr
    name = only.strip("^$")
    assert f"\n| {name} | " in result.stdout
    assert len((tmp_path / "exp" / name / "test" / "scores.csv").read_text().splitlines()) in (2, 3)  # WHAM!'s has one
    assert {row.split for row in read_manifest(tmp_path / "exp/manifest.jsonl")} == {"train", "dev", "test"}


def test_the_paper_s_grid_runs_with_tiny_networks_and_prints_sdr_per_snr(tmp_path: Path) -> None:
    tree, grid = corpus_trees.chime2(tmp_path / "tree"), tmp_path / "grid"
    shutil.copytree(ROOT / "recipes/chime2", grid)
    small = {"r100": "snmf.speech_atoms=3 snmf.noise_atoms=3 snmf.iterations=3", "-": "-"}
    rows = [line.split("\t") for line in (grid / "systems.tsv").read_text().splitlines() if line[0] != "#"]
    chosen = [row for row in rows if re.match(r"dnn-1x256|deep-r100-k4-(c2|paper-rule)$", row[0])]
    units = {row[0]: "network.units=8" if row[1] == "-" else "" for row in chosen}
    lines = ["\t".join([name, key, small[key], f"{own} {units[name]}"]) + "\n" for name, key, _, own in chosen]
    (grid / "systems.tsv").write_text("".join(lines))
    settings = ["--set", "train.epochs=1", "--set", "train.epoch_frames=200"]
    command = [ROOT / "recipes/chime2/run.sh", "--root", tree, "--exp", tmp_path / "exp", "--grid", grid]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        [*command, "--metric", "sdr", "--limit", "2", "--", *settings],
        capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    table = result.stdout.partition("at each input SNR:")[2].split("\n\n")[1].splitlines()
    assert table[0].startswith("| system | parameters | ")
    assert table[0].rstrip().endswith("dB | mean |")
    assert [line.split(" | ")[0].strip("| ") for line in table[2:]] == ["noisy input", *units]
    assert len(units) == 3


def test_stages_are_chosen_and_options_checked(tmp_path: Path) -> None:
    roots = [word for root in two_folders(tmp_path / "tree") for word in ("--root", root)]
    result = run("two_folders", *roots, "--exp", tmp_path / "exp", "--stop-stage", "2")
    assert [line for line in result.stdout.splitlines() if line.startswith("stage")] == [
        "stage 1: manifest",
        "stage 2: features",
    ]
    assert result.returncode == 0
    result = run("two_folders", "--exp", tmp_path / "exp", "--stage", "3", "--only", "no such system")
    assert result.returncode == 0
    assert "stage 2" not in result.stdout
    assert run("two_folders", "--rooot", tmp_path).returncode == 2


def test_a_stage_that_fails_is_the_last(tmp_path: Path) -> None:
    result = run("wham", "--root", tmp_path / "nowhere", "--exp", tmp_path / "exp")
    assert result.returncode == 1
    assert result.stderr.strip() == f"deepnmf: {tmp_path / 'nowhere'}: no such folder"
    assert "stage 2" not in result.stdout


@pytest.mark.parametrize("recipe", ["open", *TREES])
def test_every_recipe_has_a_description(recipe: str) -> None:
    readme = (ROOT / "recipes" / recipe / "README.md").read_text(encoding="utf-8")
    for part in ("Licence", "Size", "Layout", "Time", "Results"):
        assert f"\n**{part}**" in readme or f"\n## {part}" in readme, part
