"""Every recipe runs, all stages, on a tiny tree in its corpus' own layout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TinyCorpus

ROOT = Path(__file__).resolve().parents[1]
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


def test_open(open_tree: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid"
    grid.mkdir()
    (grid / "dictionaries.tsv").write_text("t2\tsnmf.context=2 snmf.speech_atoms=3 snmf.noise_atoms=3\n")
    systems = [
        ("snmf", f"{SMALL} network.trained=0", "test"),
        ("deep", SMALL, "test"),
        ("adam", f"{SMALL} train.optimiser=adam", "dev"),
    ]
    lines = [f"{name}\tt2\t{settings}\t{split}\n" for name, settings, split in systems]
    (grid / "systems.tsv").write_text("".join(lines))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [ROOT / "recipes/open/run.sh", "--data", open_tree, "--exp", tmp_path / "exp", "--grid", grid]
    for _ in "twice":
        result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=300)
        assert result.returncode == 0, result.stderr
    test_rows, dev_rows = (part.splitlines()[2:] for part in result.stdout.partition("| system")[2].split("\n\n"))
    assert [row.split(" | ")[0].strip("| ") for row in test_rows] == ["noisy input", "snmf", "deep"]
    assert [row.split(" | ")[0].strip("| ") for row in dev_rows] == ["snmf", "deep", "adam"]
    parameters = {row.split(" | ")[0].strip("| "): row.split(" | ")[1] for row in dev_rows}
    assert parameters["snmf"] == f"{3 * 6 * 257:,}"
    assert parameters["deep"] == f"{(2 * 2 + 1) * 6 * 257:,}"
