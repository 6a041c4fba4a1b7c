"""`deepnmf models`: what the package has, from model files and cards."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import deepnmf.model_cards
from deepnmf.model import load_model, models
from deepnmf.model_cards import package_card, package_models, package_scores, scores
from helpers import ROOT
from helpers.enhance_cli import run

METRICS = {"si_sdr", "sdr", "stoi", "estoi", "pesq_wb"}


def test_each_model_has_its_facts() -> None:
    found = {model.name: model for model in models()}
    assert sorted(found) == package_models()
    for name, model in found.items():
        loaded = load_model(name)
        assert (model.kind, model.weights) == (loaded.title(), loaded.network.parameters)
        assert model.latency_ms == loaded.features.stft.window_ms
        assert set(model.scores) == METRICS
        assert model.scores["si_sdr"] > package_scores("noisy")["si_sdr"] + 2


def test_cards_that_name_a_model_agree_on_its_scores() -> None:
    cards = [package_card(name) for name in package_models()]
    for system in ("noisy", *package_models()):
        found = [row for card in cards if (row := scores(card, system))]
        assert found
        assert all(row == found[0] for row in found)


@pytest.mark.parametrize("name", package_models())
def test_the_card_of_a_model_names_all_of_its_scores(name: str) -> None:
    written = {
        f"{value:.3f}" if metric.endswith("stoi") else f"{value:.2f}" for metric, value in package_scores(name).items()
    }
    assert written <= set(re.findall(r"\d+\.\d+", package_card(name)))


def test_scores_are_read_from_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepnmf.model_cards, "FOLDER", tmp_path)
    (tmp_path / "new.safetensors").touch()
    (tmp_path / "new.md").write_text(
        "# new\n\n| `new` | 0.5 |\n\n## Scores\n\nText.\n\n"
        "| mean | STOI | SI-SDR, dB |\n|---|---:|---|\n"
        "| `new` of 0.1 | 0.1 | 1 |\n| **`new`** | 0.75 | −2.5 |\n\n"
        "Elsewhere:\n\n| mean | STOI |\n|---|---|\n| `new` | 0.9 |\n\n## Data\n",
        encoding="utf-8",
    )
    assert package_scores("new") == {"stoi": 0.75, "si_sdr": -2.5}
    assert package_scores("other") == {}


def test_the_table_fits_a_terminal_and_json_has_it_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "models") == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert all(f"\n{name}: " in shown for name in package_models())
    assert run(monkeypatch, "models", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == package_models()
    assert all(f"{row['scores']['pesq_wb']:.2f}" in shown and f"{row['weights']:,}" in shown for row in rows)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "defualt"),
        ("export", "x.onnx", "--model", "large"),
        ("enhance", "x.wav", "--model", "Default"),
        ("live", "--model", "tiny"),
    ],
)
def test_an_unknown_name_leads_to_the_command(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.wav").write_bytes((ROOT / "examples/noisy.wav").read_bytes())
    assert run(monkeypatch, *arguments) == 1
    assert "deepnmf models" in capsys.readouterr().err


def test_a_folder_named_like_a_model_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = models()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert models() == before


def test_models_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert models()
