"""The folder for a GPU machine without a network: packed, it trains on its own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

from deepnmf.model import load_model
from helpers import ROOT
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

SETTINGS = {
    "snmf.speech_atoms": 3,
    "snmf.noise_atoms": 3,
    "snmf.iterations": 3,
    "train.epochs": 1,
    "train.epoch_frames": 200,
}


@pytest.fixture
def data(tiny_corpus: TinyCorpus, tmp_path: Path) -> Path:
    """Recordings and their manifest, as recipes/open/package_models has them; one noise may not ship."""
    sources = [
        ("speech", "train", tiny_corpus.speech / "speaker0", "yes"),
        ("speech", "dev", tiny_corpus.speech / "speaker1", "no"),
        ("noise", "train", tiny_corpus.noise / "hiss", "yes"),
        ("noise", "train", tiny_corpus.noise / "hum", "no"),
        ("noise", "dev", tiny_corpus.noise / "rumble", "no"),
    ]
    rows = []
    for kind, split, folder, ship in sources:
        for source in sorted(folder.iterdir()):
            path = Path(kind, split, "source", folder.name, source.name)
            samples, rate = soundfile.read(source)
            (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "data" / path, samples, rate)
            row = {"path": path.as_posix(), "kind": kind, "split": split, "label": folder.name, "ship": ship}
            rows.append({**row, "seconds": len(samples) / rate})
    with (tmp_path / "data" / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "data"


def run(script: Path, *words: str | Path) -> str:
    result = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_folder_trains_rows_and_returns_their_models(data: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "folder", tmp_path / "out"
    (tmp_path / "wheels").mkdir()
    run(ROOT / "recipes/open/gpu/pack.py", data, folder, "--wheels", tmp_path / "wheels")
    assert not list(folder.rglob("hum*"))
    moved = folder.rename(tmp_path / "elsewhere")
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    only = ("--device", "cpu", "--only", "^deep-k4$", *settings)
    printed = run(moved / "go.py", output, str(PATIENCE_SECONDS), *only)
    assert "deep-k4: dev " in printed
    assert len(json.loads((output / "results.json").read_text())["deep-k4"]) == 2  # untrained, and one epoch
    zipfile.ZipFile(output / "models-1.zip").extractall(tmp_path)
    assert load_model(tmp_path / "deep-k4.safetensors").network.parameters == 5 * 257 * 6


def test_a_run_out_of_time_ends_with_a_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    run(ROOT / "recipes/open/gpu/pack.py", data, tmp_path / "folder", "--wheels", tmp_path / "wheels")
    printed = run(tmp_path / "folder" / "go.py", tmp_path / "out", "0", "--device", "cpu", "--only", "^deep-k4$")
    assert "the time was over" in printed
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == {}
