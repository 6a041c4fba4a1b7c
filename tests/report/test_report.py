"""`deepnmf report`: the page shows the scores, needs nothing from outside, and is equal for equal inputs."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf import enhance, evaluation
from deepnmf.artifacts import read_json, write_json
from deepnmf.config import SnmfConfig
from deepnmf.data.manifest import read_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.errors import DeepnmfError
from deepnmf.evaluation.metrics import METRICS, si_sdr
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.settings import LayeredConfig
from deepnmf.networks.unfolded.deep_nmf import DeepNMF
from deepnmf.networks.unfolded.ista import IstaNetwork
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.report import report
from deepnmf.report.charts import curve, scatter, ticks
from deepnmf.report.layers import trace_layers
from deepnmf.report.media import MOST_COLUMNS, MOST_ROWS, png
from deepnmf.report.page import _environment, page
from deepnmf.report.scores import load_scores
from deepnmf.report.text import score
from helpers.enhance_cli import run
from helpers.enhance_models import recurrent_model, small_model
from helpers.report_experiment import Experiment, Page, make_experiment, sounds


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return make_experiment(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(experiment: Experiment) -> str:
    path = experiment.folder / "pages/report.html"
    assert report(experiment.folder, path) == []
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> Page:
    return Page(html)


def test_every_section_is_there_and_linked(read: Page) -> None:
    sections = {"scores", "listen", "learning", "dictionary", "layers", "card"}
    assert sections <= read.ids
    assert {link.removeprefix("#") for link in read.links} == sections
    headings = ("Best", "Median", "Worst", "Noisy", "Enhanced", "Clean", "Removed noise", "Activations over time")
    assert all(heading in read.text for heading in headings)


def test_nothing_comes_from_outside(html: str, read: Page) -> None:
    assert "://" not in html
    assert read.sources
    assert all(source.startswith(("data:image/png;", "data:audio/flac;")) for source in read.sources)
    assert read.tags.count("script") == 1
    assert "default-src 'none'" in html
    assert len(html) < 8e6


def test_the_numbers_are_those_of_the_summary(experiment: Experiment, read: Page) -> None:
    summary = json.loads((experiment.scores / "summary.json").read_text())
    groups = {f"{snr} dB".replace("-", "−"): group for snr, group in summary["by_snr"].items()}
    groups = {**groups, **summary["by_noise_type"], "all recordings": summary["overall"]}
    rows = [row.strip() for row in read.rows]
    for name in summary["metrics"]:
        for label, group in groups.items():
            means = [score(name, group[name][part]["mean"]) for part in ("input", "output")]
            gain = score(name, group[name]["improvement"]["mean"], sign=True)
            bounds = [score(name, bound, sign=True) for bound in group[name]["improvement"]["ci95"]]
            line = f"{label}{group['files']}{means[0]} → {means[1]}{gain} {bounds[0]} to {bounds[1]}"
            assert line in rows, (name, label)
    snrs = [row.split(" dB")[0] for row in read.rows if re.match(r"−?\d+ dB", row)]
    assert snrs == ["−6", "9"] * len(summary["metrics"])


def test_every_recording_is_a_mark_of_the_scatter(html: str) -> None:
    chart = re.search(r'<svg class="chart"[^>]*aria-label="SI-SDR.*?</svg>', html, re.DOTALL)
    assert chart is not None
    assert len(re.findall(r"<title>(?!best|median|worst)", chart[0], re.IGNORECASE)) == 4


@pytest.mark.parametrize("metrics", [["estoi"], ["stoi", "sdr"]])
def test_scores_without_si_sdr_are_ranked_by_the_first_metric(
    experiment: Experiment, tmp_path: Path, metrics: list[str]
) -> None:
    folder = shutil.copytree(experiment.folder, tmp_path / "copy")
    shutil.rmtree(folder / "test")
    evaluation.evaluate(folder / "manifest.jsonl", folder / "test", model=folder, only=metrics)
    report(folder, tmp_path / "page.html")
    first = next(METRICS[name] for name in METRICS if name in metrics)
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"input {first.label}" in html
    assert "()" not in re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)


def test_equal_inputs_give_equal_bytes(experiment: Experiment, html: str, tmp_path: Path) -> None:
    report(experiment.folder, tmp_path / "again.html", scores=experiment.scores)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_the_sounds_are_the_mixture_and_its_parts(experiment: Experiment, html: str) -> None:
    model = load_model(experiment.folder)
    scores = load_scores(experiment.scores, model, experiment.folder)
    rows = {row.id: row for row in read_manifest(experiment.folder / "manifest.jsonl")}
    best = load_mixture(rows[scores.ranked()[-1]["id"]], 16000)
    tracks = sounds(html)
    assert len(tracks) == 12
    for noisy, enhanced, _, removed in zip(*[iter(tracks)] * 4, strict=True):
        assert np.abs(noisy - enhanced - removed).max() < 3 * 2**-15
    for track, expected in ((tracks[0], best.noisy), (tracks[2], best.speech)):
        assert np.corrcoef(track, expected)[0, 1] == pytest.approx(1, abs=1e-5)
    assert max(np.abs(track).max() for track in tracks[:4]) == pytest.approx(0.9, abs=1e-3)


def test_the_last_layers_mask_scores_as_the_enhancer_does(experiment: Experiment) -> None:
    model = load_model(experiment.folder)
    scores = load_scores(experiment.scores, model, experiment.folder)
    rows = {row.id: row for row in read_manifest(experiment.folder / "manifest.jsonl")}
    for row in scores.rows:
        mixture = load_mixture(rows[row["id"]], 16000)
        trace = trace_layers(model, mixture.noisy, mixture.speech)
        assert trace is not None
        assert list(trace.masks) == [0, 1, 2, 3]
        assert trace.si_sdr_db[-1] == pytest.approx(row["si_sdr_output"], abs=1e-2)


def test_the_learning_curve_goes_on_after_the_best_epoch(html: str, read: Page) -> None:
    assert "epoch 2: 2.75" in html
    assert "that of epoch 1, +2.00 dB from the start" in read.text


def test_missing_and_foreign_scores_give_the_command_that_makes_them(experiment: Experiment, tmp_path: Path) -> None:
    folder = experiment.folder
    with pytest.raises(DeepnmfError, match=f"--manifest {folder}/manifest.jsonl --model {folder} -o {tmp_path}"):
        report(folder, tmp_path / "r.html", scores=tmp_path)
    save_model(tmp_path / "other.safetensors", small_model())
    with pytest.raises(DeepnmfError, match="scores of another model"):
        report(tmp_path / "other.safetensors", tmp_path / "r.html", scores=experiment.scores)
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean/b.wav").write_bytes((folder / "b.wav").read_bytes())
    evaluation.evaluate_folders(tmp_path / "clean", tmp_path / "clean", tmp_path / "folders")
    with pytest.raises(DeepnmfError, match="not the scores of a model"):
        report(folder, tmp_path / "r.html", scores=tmp_path / "folders")
    with pytest.raises(DeepnmfError, match=rf"MODEL --scores {tmp_path}/folders"):
        report(tmp_path / "folders", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"by_snr": {"loud": {}}},
        {"by_noise_type": None},
        {"metrics": {"si_sdr": {}}},
        {"overall": {"files": 4}},
        {"metrics": {"si_sdr": {"variant": "x"}}, "overall": {"si_sdr": {"count": 4, "input": 1}}},
    ],
)
def test_a_summary_that_is_not_one_is_refused(experiment: Experiment, tmp_path: Path, wrong: dict[str, Any]) -> None:
    shutil.copytree(experiment.scores, tmp_path / "scores")
    path = tmp_path / "scores/summary.json"
    write_json(path, {**read_json(path), **wrong})
    with pytest.raises(DeepnmfError, match="not the s"):
        report(experiment.folder, tmp_path / "r.html", scores=tmp_path / "scores")


def test_without_the_manifest_the_page_has_a_note(experiment: Experiment, tmp_path: Path) -> None:
    model = tmp_path / "m/best.safetensors"
    model.parent.mkdir()
    model.write_bytes((experiment.folder / "best.safetensors").read_bytes())
    (note,) = report(model, tmp_path / "r.html", scores=experiment.scores)
    text = Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert note in text
    assert "give its path as the manifest" in note
    assert "Activations and masks are shown of an example" in text
    other = tmp_path / "other.jsonl"
    other.write_text("")
    with pytest.raises(DeepnmfError, match="not the manifest"):
        report(model, tmp_path / "r.html", scores=experiment.scores, manifest=other)
    assert (
        report(model, tmp_path / "r.html", scores=experiment.scores, manifest=experiment.folder / "manifest.jsonl")
        == []
    )


@pytest.mark.parametrize("layers", [0, 2])
def test_recurrent_deep_nmf_is_followed_from_its_prior_on(experiment: Experiment, layers: int) -> None:
    model = recurrent_model(layers)
    network = model.network
    assert isinstance(network, RecurrentDeepNMF)
    mixture = load_mixture(read_manifest(experiment.folder / "manifest.jsonl")[0], 16000)
    trace = trace_layers(model, mixture.noisy, mixture.speech)
    assert trace is not None
    assert list(trace.masks) == list(range(layers + 1))
    assert len({round(quality_db, 6) for quality_db in trace.si_sdr_db}) == layers + 1
    enhanced = enhance(mixture.noisy[None], 16000, model=model)[0]
    assert trace.si_sdr_db[-1] == pytest.approx(si_sdr(mixture.speech, enhanced), abs=1e-2)
    start = dataclasses.replace(network, dictionaries=())
    enhanced = enhance(mixture.noisy[None], 16000, model=dataclasses.replace(model, network=start))[0]
    assert trace.si_sdr_db[0] == pytest.approx(si_sdr(mixture.speech, enhanced), abs=1e-2)


def test_a_page_on_recurrent_deep_nmf_shows_its_layers(experiment: Experiment) -> None:
    model = load_model(experiment.folder)
    other = dataclasses.replace(model, network=recurrent_model(2).network)
    scores = load_scores(experiment.scores, model, experiment.folder)
    html = page("other", other, scores, [], [], None, [])
    assert "LSTM-prior deep NMF, K = 2" in Page(html).text
    assert "LSTM of 12 units over 20 bands, and of 6 units in each of 10 sub-bands" in Page(html).text
    assert all(f"20 speech atoms of the {name} dictionary" in html for name in ("output", "layer 1", "layer 2"))


def test_other_networks_show_what_applies(experiment: Experiment) -> None:
    model = load_model(experiment.folder)
    sparse_coding = IstaNetwork.start(
        LayeredConfig("ista"), model.features, _dictionary(model), np.random.default_rng(0)
    )
    other = dataclasses.replace(model, network=sparse_coding)
    assert trace_layers(other, np.zeros(1600, np.float32), np.zeros(1600, np.float32)) is None
    scores = load_scores(experiment.scores, model, experiment.folder)
    html = page("other", other, scores, [], [], None, [])
    assert "20 speech atoms of the output dictionary" in html
    assert "speech atoms of the layer 1 dictionary" in html
    assert "networkista" in Page(html).text


def _dictionary(model: Model) -> Dictionary:
    network = model.network
    assert isinstance(network, DeepNMF)
    speech, noise = np.split(network.output, [network.speech_atoms], axis=1)
    return Dictionary(speech, noise, SnmfConfig(), model.features, {})


def test_the_command_names_the_file_and_its_size(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "report", experiment.folder, "-o", tmp_path / "r.html") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'r.html'}: {(tmp_path / 'r.html').stat().st_size / 1e6:.1f} MB\n"
    assert run(monkeypatch, "report", experiment.folder, "-o", tmp_path / "r.html", "--scores", tmp_path) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_report_waits_for_no_torch(experiment: Experiment, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deepnmf.report import report\n"
        f"report(Path({str(experiment.folder)!r}), Path({str(tmp_path / 'r.html')!r}))\nprint('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_pictures_hold_the_values_and_stay_small() -> None:
    values = np.linspace(0, 1, 12).reshape(3, 4)
    data = png(values)
    columns, rows = struct.unpack(">II", data[16:24])
    assert (rows, columns) == values.shape
    start = data.index(b"IDAT") + 4
    lines = np.frombuffer(zlib.decompress(data[start:]), np.uint8).reshape(3, 5)
    assert not lines[:, 0].any()
    assert np.abs(lines[::-1, 1:] / 63 - values).max() <= 0.5 / 63 + 1e-9
    large = png(np.random.default_rng(0).random((2000, 3000)))
    assert struct.unpack(">II", large[16:24]) == (MOST_COLUMNS, MOST_ROWS)
    assert len(base64.b64encode(png(np.full((2, 2), np.nan)))) < 1000


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-9, 2e-9], [-1e4, 1e4], [3.0]])
def test_charts_take_any_finite_values(values: list[float]) -> None:
    marks = ticks(min(values), max(values))
    assert marks[0] <= min(values) <= max(values) <= marks[-1]
    assert len(marks) >= 2
    draw = _environment().get_template("chart.svg.j2").module.draw
    for chart in (curve(values, "epoch", "error"), scatter([(v, v, "x") for v in values], "SI-SDR", "dB", {0: "best"})):
        assert not re.search("nan|inf", draw(chart))
        assert all(chart.left <= mark.x <= chart.right and chart.top <= mark.y <= chart.bottom for mark in chart.marks)


def test_every_metric_is_shown_with_its_decimals(html: str, experiment: Experiment) -> None:
    scores = load_scores(experiment.scores, load_model(experiment.folder), experiment.folder)
    assert all(METRICS[name].label in html for name in scores.metrics)
