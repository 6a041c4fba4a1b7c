"""`deepnmf show`: the card of a model, its atoms as text or picture, and one line for a bad file."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from deepnmf.model import load_model, save_model
from deepnmf.networks.kinds import configuration
from deepnmf.report.atoms import centre_frequencies, drawing, sorted_atoms
from deepnmf.report.summary import model_summary
from helpers.enhance_cli import run
from helpers.enhance_models import recurrent_model, small_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = configuration({"network": {"kind": "deep-nmf"}, "train": {"optimiser": "adam"}}).to_dict()
    history = [
        {"error": None, "dev_si_sdr_db": 1.0},
        {"error": 2.0, "dev_si_sdr_db": 4.5},
        {"error": 1.0, "dev_si_sdr_db": 4.0},
    ]
    metadata = {"config": config, "seed": 3, "history": history, "manifest": "m" * 64, "dictionary": "d" * 64}
    save_model(tmp_path / "model.safetensors", dataclasses.replace(small_model(2), metadata=metadata))
    return tmp_path / "model.safetensors"


def test_the_summary_describes_the_model(model: Path) -> None:
    loaded = load_model(model)
    facts = dict(model_summary(loaded))
    assert facts["network"] == "deep NMF, K = 4, C = 5"
    assert facts["context"] == "2 frames"
    assert facts["atoms"] == "20 speech, 6 noise"
    assert facts["parameters"] == f"{loaded.network.parameters:,}"
    assert facts["dev score"] == "4.50 dB SI-SDR at epoch 1, 1.00 dB at the start, without warm-up"
    assert facts["settings"] == "train.optimiser = adam"
    assert (facts["seed"], facts["manifest"], facts["dictionary"]) == ("3", "m" * 64, "d" * 64)
    assert facts["sha256"] == loaded.metadata["sha256"]


def test_the_card_of_recurrent_deep_nmf_names_its_prior() -> None:
    facts = dict(model_summary(recurrent_model(2, 2)))
    assert facts["network"] == "LSTM-prior deep NMF, K = 2"
    assert facts["prior"] == "LSTM of 12 and 12 units over 20 bands, and of 6 units in each of 10 sub-bands"
    assert facts["atoms"] == "20 speech, 6 noise"


def test_the_cost_counts_every_frame_of_a_second(model: Path) -> None:
    macs = load_model(model).network.multiplications_per_frame * 100
    assert dict(model_summary(load_model(model)))["cost"].startswith(f"{macs / 1e6:,.1f} million")


def test_show_prints_card_and_atoms_in_plain_characters(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "show", model) == 0
    output = capsys.readouterr().out
    output.encode("ascii")
    assert all(value.splitlines()[0] in output for _, value in model_summary(load_model(model)))
    assert "speech atoms" in output
    assert max(map(len, output.splitlines())) < 100


@pytest.mark.parametrize("name", ["default", "small", "framewise", "snmf"])
def test_models_of_the_package_lead_with_score_and_limitations(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "show", name) == 0
    output = capsys.readouterr().out
    output.encode("ascii")
    labels = [line[:13].strip() for line in output.partition("\n\n")[0].splitlines() if line[:1].strip()]
    assert labels[:3] == ["network", "dev score", "limitations"]
    assert labels[-1] == "sha256"
    assert max(map(len, output.splitlines())) <= 98


def test_a_file_named_like_a_model_of_the_package_has_no_card_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "default" / "best.safetensors", small_model())
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "show", "default") == 0
    assert "limitations" not in capsys.readouterr().out


def test_a_model_without_history_has_a_card_too(tmp_path: Path) -> None:
    save_model(tmp_path / "bare.safetensors", small_model())
    facts = dict(model_summary(load_model(tmp_path / "bare.safetensors")))
    assert "dev score" not in facts
    assert facts["network"] == "deep NMF, K = 4"


def test_atoms_are_sorted_by_centre_frequency_speech_first() -> None:
    W = np.eye(9)[:, [5, 1, 8, 0, 3]]
    assert centre_frequencies(W, 16000).tolist() == [5000, 1000, 8000, 0, 3000]
    assert sorted_atoms(W, 3, 16000).tolist() == [1, 0, 2, 3, 4]
    lines = drawing(W, 3, 16000, rows=9).splitlines()
    assert [line[8:].rstrip() for line in lines[1:4]] == ["  @", "", ""]
    assert [line[:7].strip() for line in lines[1:10:8]] == ["8.0 kHz", "0.0 kHz"]


def test_centre_frequencies_are_the_spectral_centroids_of_librosa() -> None:
    feature = pytest.importorskip("librosa.feature")
    W = np.random.default_rng(0).random((257, 12)) ** 4
    expected = feature.spectral_centroid(S=np.square(W), sr=16000)[0]
    assert np.allclose(centre_frequencies(W, 16000), expected, rtol=1e-9)


@pytest.mark.parametrize("speech", [0, 2])
def test_a_dictionary_of_one_kind_only_can_be_drawn(speech: int) -> None:
    assert "@" in drawing(np.eye(20, 2), speech, 16000)


def test_a_picture_of_the_atoms(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert run(monkeypatch, "show", model, "--plot", model.parent / "atoms.png") == 0
    assert (model.parent / "atoms.png").read_bytes().startswith(b"\x89PNG")
    assert run(monkeypatch, "show", model, "--plot", model.parent / "atoms.mp9") == 1
    assert "choose .png" in capsys.readouterr().err


def test_without_matplotlib_one_line_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run(monkeypatch, "show", model, "--plot", model.parent / "atoms.png") == 1
    assert capsys.readouterr().err.endswith("pip install matplotlib\n")


def test_a_damaged_file_gives_one_line(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(model.read_bytes())
    data[-9] ^= 1
    model.write_bytes(data)
    for path in (model, model.parent / "none.safetensors"):
        assert run(monkeypatch, "show", path) == 1
        output = capsys.readouterr()
        assert len(output.err.splitlines()) == 1
        assert not output.out
