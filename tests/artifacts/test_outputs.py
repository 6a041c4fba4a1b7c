"""Outputs by the name of a file that is read, or of another kind, are refused before any work."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.artifacts.outputs import check_not_read, check_writable
from deepnmf.errors import InputError
from deepnmf.model import BEST, save_model
from deepnmf.training.pretrain import pretrain
from helpers.enhance_cli import run
from helpers.enhance_models import small_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two recordings, and a model by several names."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "noise.wav"):
        soundfile.write(name, 0.1 * np.random.default_rng(0).standard_normal(8000), 16000)
    save_model(tmp_path / "exp" / BEST, small_model())
    for name in ("m.wav", "m.npy", "m.onnx"):
        shutil.copy(tmp_path / "exp" / BEST, name)
    Path("link.safetensors").symlink_to(f"exp/{BEST}")
    Path("list.flac").write_text("a.wav\n")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "enhance a.wav -o noise.wav --noise-profile noise.wav --model snmf",
        "enhance a.wav -o noise.wav --voice-profile ./noise.wav",
        "enhance a.wav -o m.wav --model m.wav",
        "enhance a.wav -o m.wav --model m.wav --dry-run",
        "enhance --files-from list.flac -o list.flac --model exp",
        "enhance a.wav -o x.wav --output-noise noise.wav --noise-profile noise.wav --model snmf",
        "enhance - -o - --output-noise m.wav --model m.wav",
        "enhance a.wav -o x.wav --output-mask m.npy --model m.npy",
        "profile noise.wav -o link.safetensors --model exp",
        f"profile noise.wav -o exp/{BEST} --model exp",
        "export m.onnx --model m.onnx",
    ],
)
def test_what_is_read_is_not_written_over(
    folder: Path, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(monkeypatch, *line.split()) == 1
    assert "the output is an input" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("line", ["profile noise.wav -o a.wav --model exp", "report exp -o a.wav", "export a.wav"])
@pytest.mark.usefixtures("folder")
def test_an_output_of_another_kind_by_its_name_is_refused(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("a.wav").read_bytes()
    assert run(monkeypatch, *line.split()) == 1
    assert "a.wav: " in capsys.readouterr().err
    assert Path("a.wav").read_bytes() == before
    with pytest.raises(InputError, match=r"a dictionary is a \.safetensors file"):
        pretrain(Path("features"), Path("a.wav"))


def test_names_that_are_no_files_are_not_read(folder: Path) -> None:
    check_not_read([None, "new.wav", folder / ("x" * 300), "a\0b"], None, "default", "0:0.5", folder / "a.wav", "")


@pytest.mark.parametrize(
    "line",
    [
        "profile none.wav -o {}.safetensors --model exp",
        "pretrain none -o {}.safetensors",
        "export {}.onnx --model none",
        "report none -o {}.html",
        "features none.jsonl -o {}",
        "prepare --speech none --noise other -o {}",
        "prepare --corpus ms_snsd --root none -o {}",
        "evaluate --manifest none.jsonl --model exp -o {}",
        "evaluate --clean none --enhanced one --enhanced two -o {}",
    ],
)
@pytest.mark.parametrize("place", ["a.wav/below/new", "dangling/new", "x" * 300, "/proc/new"])
def test_a_place_where_nothing_can_be_written_is_refused_before_the_inputs_are_read(
    folder: Path, line: str, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    Path("dangling").symlink_to("nowhere")
    before = set(folder.rglob("*"))
    assert run(monkeypatch, *line.format(place).split()) == 1
    assert "cannot write" in (errors := capsys.readouterr().err)
    assert place in errors
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("features none.jsonl -o out", "features.json"),
        ("prepare --speech none --noise other -o out", "manifest.jsonl"),
        ("evaluate --manifest none.jsonl --model exp -o out", "scores.csv"),
        ("evaluate --clean none --enhanced one --enhanced two -o out", "comparison.json"),
        ("evaluate --clean none --enhanced one --enhanced two -o out", "two/summary.json"),
        ("report none -o out/r.html", "r.html"),
    ],
)
def test_a_folder_in_the_place_of_an_output_is_refused_before_the_inputs_are_read(
    folder: Path, line: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out" / name).mkdir(parents=True)
    assert run(monkeypatch, *line.split()) == 1
    assert f"out/{name}: cannot write" in capsys.readouterr().err


def test_a_place_where_files_can_be_written_is_accepted_and_left_as_it_is(folder: Path) -> None:
    before = set(folder.rglob("*"))
    check_writable("a.wav", "new/deep/er.json", folder / "exp" / BEST)
    assert set(folder.rglob("*")) == before
