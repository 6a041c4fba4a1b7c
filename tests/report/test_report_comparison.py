"""The report of a comparison: its numbers are those of the comparison, names are text, sounds what was scored."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from deepnmf.artifacts import read_csv, write_csv
from deepnmf.audio import files as audio
from deepnmf.data.manifest import read_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.evaluation import Comparison, EnhancedFiles, FolderRecordings, System, compare, model_system
from deepnmf.report import report
from deepnmf.report.learning import learning_curves
from deepnmf.report.text import score
from deepnmf.training.curves import CURVES, Curves, EpochCurves, read_curves
from helpers.report_experiment import HOSTILE, RATE_HZ, Page, make_experiment, sounds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_experiment(tmp_path_factory.mktemp("compared")).folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Comparison:
    """A model and files that are half as loud as the mixture, in a folder with an awkward name."""
    for row in read_manifest(folder / "manifest.jsonl"):
        audio.write(folder / f"{HOSTILE}/{row.id}.wav", 0.5 * load_mixture(row, RATE_HZ).noisy[None], RATE_HZ, "FLOAT")
    systems = [EnhancedFiles(HOSTILE, folder / HOSTILE), model_system(folder, "mine")]
    return compare(folder / "manifest.jsonl", folder / "both", systems, only=["si_sdr", "sdr"])


@pytest.fixture(scope="module")
def html(folder: Path, found: Comparison) -> str:
    assert found.failures == []
    assert report(folder / "both", folder / "both.html") == []
    return (folder / "both.html").read_text(encoding="utf-8")


def test_the_numbers_are_those_of_the_comparison(html: str, found: Comparison) -> None:
    rows = [row.strip() for row in Page(html).rows]
    first, second = found.summary["systems"]
    for name in ("si_sdr", "sdr"):
        before, after = (first["scores"]["overall"][name][part]["mean"] for part in ("input", "output"))
        difference = second["differences"]["overall"][name]["difference"]
        bounds = [score(name, bound, sign=True) for bound in difference["ci95"]]
        own = second["scores"]["overall"][name]["output"]["mean"]
        line = (
            f"all recordings4{score(name, before)}{score(name, after)}{score(name, own)}"
            f"{score(name, difference['mean'], sign=True)} {bounds[0]} to {bounds[1]}"
        )
        assert any(row.startswith(line) for row in rows)


def test_losses_are_marked_as_such(html: str) -> None:
    signs = re.findall(r"<br><span( class=\"negative\")?>([+−])\d", html)
    assert {sign for _, sign in signs} >= {"−"}
    assert all(bool(marked) == (sign == "−") for marked, sign in signs)


def test_the_sounds_are_noisy_systems_and_clean_at_one_gain(html: str) -> None:
    for noisy, halved, _, _ in zip(*[iter(sounds(html))] * 4, strict=True):
        assert np.abs(halved - 0.5 * noisy).max() < 3 * 2**-15


def test_no_name_becomes_markup_and_nothing_comes_from_outside(html: str) -> None:
    page = Page(html)
    assert page.tags.count("script") == 1
    assert HOSTILE in page.text
    assert all(source.startswith(("data:image/png;", "data:audio/flac;")) for source in page.sources)
    assert {link.removeprefix("#") for link in page.links} <= page.ids


def test_what_cannot_be_run_again_is_noted(folder: Path, tmp_path: Path) -> None:
    nothing = System("nothing", RATE_HZ, lambda samples, _: samples)
    compare(folder / "manifest.jsonl", tmp_path / "out", [nothing], only=["si_sdr"])
    (note,) = report(tmp_path / "out", tmp_path / "r.html")
    assert "neither a model nor a folder" in note
    assert note in Page((tmp_path / "r.html").read_text(encoding="utf-8")).text


def test_folders_of_files_are_shown_too(folder: Path, tmp_path: Path) -> None:
    for row in read_manifest(folder / "manifest.jsonl")[1::2]:
        mixture = load_mixture(row, RATE_HZ)
        for kind, samples in (("clean", mixture.speech), ("a", mixture.noisy), ("b", 0.1 * mixture.noisy)):
            audio.write(tmp_path / kind / f"{row.noise_type}.wav", samples[None], RATE_HZ)
    files = [EnhancedFiles(name, tmp_path / name) for name in "ab"]
    compare(FolderRecordings(tmp_path / "clean"), tmp_path / "out", files, only=["si_sdr"])
    assert report(tmp_path / "out", tmp_path / "r.html") == []
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Noisy" not in page.text
    assert len(sounds((tmp_path / "r.html").read_text())) == 2 * 3


def test_learning_shows_the_curves_of_the_same_run_only(tmp_path: Path) -> None:
    history = [{"error": None, "dev_si_sdr_db": 1.0}, {"error": 2.0, "dev_si_sdr_db": 2.0}]
    curves = Curves(tmp_path, [])
    curves.add(1.0, EpochCurves())
    curves.add(2.0, EpochCurves(2.0, 0.25, 7.0, 100.0))
    rows = [entry | row for entry, row in zip(history, read_curves(tmp_path, history), strict=True)]
    learning = learning_curves(rows, history)
    assert learning is not None
    titles = [chart.y_title for chart in learning.charts]
    assert titles == [
        "dev SI-SDR (dB)", "training loss per frame", "step size", "norm of the gradient per frame",
    ]  # fmt: skip
    write_csv(tmp_path / CURVES, [{**row, "loss": "3.0"} for row in read_csv(tmp_path / CURVES)])
    assert read_curves(tmp_path, history)[1]["gradient_norm"] is None
