"""Training on own recordings: settings from the corpus, fine-tuning, longer runs, early stopping, the final table."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.data.features import FeatureSet
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.kinds import Config, configuration
from deepnmf.networks.settings import RATES
from deepnmf.networks.unfolded.multi_frame import MultiFrameFilter
from deepnmf.training.corpus_settings import settings_from_corpus
from deepnmf.training.dev_table import INPUT, NEW, losses
from deepnmf.training.duration import has_stalled
from deepnmf.training.experiment import DataSource, train
from deepnmf.training.initial import Initial, load_initial
from deepnmf.training.loop import input_score
from helpers.signals import TinyCorpus

TINY: dict[str, Any] = {
    "snmf": {"speech_atoms": 4, "noise_atoms": 3, "iterations": 5},
    "network": {"bands": 8, "units": 6, "subband_units": 4},
    "train": {"epochs": 1, "epoch_frames": 300, "batch_segments": 1},
}


def manifest(folder: Path, minutes: float) -> Path:
    entries = [
        MixtureEntry(f"{i}", "train", f"{folder}/{i}.wav", f"{folder}/n.wav", snr_db=0.0, seconds=minutes * 15)
        for i in range(4)
    ]
    write_manifest(folder / "manifest.jsonl", entries)
    return folder / "manifest.jsonl"


def size(config: Config) -> int:
    network: Any = config.network
    return int(network.units)


def rate_of(config: Config) -> float:
    train: Any = config.train
    return float(train.weight_learning_rate)


def test_more_speech_gives_a_larger_network_and_a_longer_training(tmp_path: Path) -> None:
    configs = [settings_from_corpus(None, manifest(tmp_path, minutes)) for minutes in (1, 10, 60, 600)]
    assert [size(config) for config in configs] == sorted(size(config) for config in configs)
    frames = [config.train.epochs * config.train.epoch_frames for config in configs]
    assert frames == sorted(set(frames))
    rates = [rate_of(config) for config in configs]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1] == rate_of(Config())
    assert all(config.network.kind == "recurrent-deep-nmf" and config.train.patience for config in configs)


def test_an_epoch_is_as_long_as_the_speech_whatever_the_transform(tmp_path: Path) -> None:
    trains = [
        settings_from_corpus({"features": {"stft": {"hop_ms": hop_ms}}}, manifest(tmp_path, 10)).train
        for hop_ms in (5, 10)
    ]
    assert [train.epoch_frames for train in trains] == [120_000, 60_000]


def test_a_given_setting_counts_more_than_the_corpus(tmp_path: Path) -> None:
    config = settings_from_corpus({"network": {"units": 7}, "train": {"epochs": 3}}, manifest(tmp_path, 10))
    assert (size(config), config.train.epochs) == (7, 3)
    assert settings_from_corpus({"network": {"kind": "gru"}}, manifest(tmp_path, 10)).network.kind == "gru"


@pytest.mark.parametrize(
    ("network", "train"),
    [({}, {}), ({}, {"optimiser": "multiplicative"}), ({"kind": "gru"}, {}), ({"kind": "dr-nmf"}, {}),
     ({"kind": "dr-nmf"}, {"optimiser": "multiplicative"})],
)  # fmt: skip
def test_every_kind_and_optimiser_gets_the_settings_that_it_has(
    network: dict[str, Any], train: dict[str, Any], tmp_path: Path
) -> None:
    values = {"network": network, "train": train}
    found: Any = settings_from_corpus(values, manifest(tmp_path, 10)).train
    default: Any = configuration(values).train
    assert found.average_share > default.average_share
    assert min(found.loss_distortion, found.loss_residue, found.loss_perceptual) > 0
    for name in (name for name in RATES if hasattr(found, name)):
        assert default.has_effect(name) or getattr(found, name) == getattr(default, name)
    given = settings_from_corpus({**values, "train": {**train, "average_share": 0.5}}, manifest(tmp_path, 10))
    assert given.train.average_share == 0.5


def test_a_model_to_start_from_determines_the_network_and_lowers_the_rate() -> None:
    initial = load_initial("default")
    config: Any = configuration(initial.settings({"train": {"seed": 5}}))
    assert config.network.units == initial.model.network.arrays()["cell.0.state_weights"].shape[1]
    assert config.train.weight_learning_rate < type(config.train)().weight_learning_rate
    assert config.train.seed == 5


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("default", {"network": {"layers": 7}}, ["network.layers", "not 7"]),
        ("default", {"network": {"kind": "gru"}}, ["network.kind", "gru"]),
        ("default", {"network": {"context": 3}}, ["network.context", "not a setting"]),
        ("default", {"network": {"filter_units": 999}}, ["network.filter_units", "not 999"]),
        ("small", {"snmf": {"noise_atoms": 9}}, ["snmf.noise_atoms", "not 9"]),
        ("small", {"features": {"stft": {"hop_ms": 8.0}}}, ["features.stft.hop_ms"]),
        ("snmf", {}, ["none of its layers"]),
    ],
)
def test_a_setting_that_contradicts_the_model_is_one_line(name: str, given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(DeepnmfError) as raised:
        load_initial(name).settings(given)
    assert all(word in str(raised.value) for word in words)
    assert "\n" not in str(raised.value)


def with_filter(model: Model, units: int = 4) -> Model:
    """Return a model with a filter that its record does not have."""
    network: Any = model.network
    spec, rng = model.features.stft, np.random.default_rng(0)
    added = MultiFrameFilter.start(3, units, network.prior.subband[0].units, spec, rng)
    return dataclasses.replace(model, network=dataclasses.replace(network, multi_frame=added))


def test_a_filter_counts_as_the_weights_have_it() -> None:
    initial = Initial(with_filter(load_model("small")), "mine")
    config: Any = configuration(initial.settings({}))
    assert (config.network.filter_units, config.network.filter_frames) == (4, 3)
    assert configuration(initial.settings({"network": {"filter_units": 4}})) == config
    for given in ({"filter_units": 0}, {"filter_units": 8}, {"filter_frames": 2}):
        with pytest.raises(DeepnmfError, match=r"^mine: network\.filter_"):
            initial.settings({"network": given})


def test_a_model_that_records_no_settings_is_refused(tmp_path: Path) -> None:
    model = load_model("small")
    save_model(tmp_path / "m.safetensors", Model(model.network, model.features))
    with pytest.raises(DeepnmfError, match="settings of its training"):
        load_initial(tmp_path / "m.safetensors").settings({})


@pytest.mark.parametrize(("scores", "patience", "stalled"), [([1, 2, 1, 1], 2, True), ([1, 2, 1], 2, False)])
def test_training_stops_when_the_dev_score_has_not_risen(scores: list[float], patience: int, stalled: bool) -> None:
    history = [{"dev_si_sdr_db": score} for score in scores]
    assert has_stalled(history, patience) == stalled
    assert not has_stalled(history, 0)


def test_a_model_that_loses_to_its_input_is_reported() -> None:
    scores = {"si_sdr": 1.0, "sdr": 1.0, "stoi": 0.7, "estoi": 0.5}
    means: Any = {INPUT: scores, NEW: {**scores, "estoi": 0.4}, "default": {**scores, "sdr": 3.0}}
    lines = losses(means)
    assert len(lines) == 2
    assert "ESTOI" in lines[0]
    assert "SDR" in lines[1]
    assert losses({**means, NEW: {name: value + 5 for name, value in scores.items()}}) == []


class Run:
    """A tiny experiment, trained by another length each time."""

    def __init__(self, tiny: TinyCorpus, output: Path, initial: Initial | None = None) -> None:
        self._source, self.output, self._initial = DataSource(tiny.speech, tiny.noise), output, initial
        self.lines: list[str] = []

    def train(self, epochs: int, **settings: Any) -> list[dict[str, Any]]:
        given = {} if self._initial else TINY
        train_settings = {**TINY["train"], "epochs": epochs}
        train(self.output, self._source, {**given, "train": train_settings, **settings}, report=self.lines.append,
              initial=self._initial)  # fmt: skip
        history: list[dict[str, Any]] = load_model(self.output / "last.safetensors").metadata["history"]
        return history


@pytest.fixture(scope="module")
def experiment(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tiny_corpus, tmp_path_factory.mktemp("own") / "exp")
    run.train(1)
    return run


@pytest.mark.slow
def test_more_epochs_go_on_and_fewer_change_nothing(experiment: Run) -> None:
    first = experiment.train(1)
    longer = experiment.train(3)
    assert longer[: len(first)] == first
    assert len(longer) == 4
    assert experiment.train(1) == longer


@pytest.mark.slow
def test_the_end_is_a_table_of_input_and_models(experiment: Run) -> None:
    text = "\n".join(experiment.lines)
    assert all(word in text for word in ("SI-SDR", "ESTOI", INPUT, NEW, "default", "snmf"))
    summary = json.loads((experiment.output / "dev" / "new_model" / "summary.json").read_text())
    assert summary["split"] == "dev"
    score = input_score(FeatureSet(experiment.output / "features", "dev", 1))
    assert score == pytest.approx(summary["overall"]["si_sdr"]["input"]["mean"], abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["comparison.csv", "comparison.json", "comparison.md", "default/summary.json", ""])
def test_a_comparison_that_was_interrupted_is_completed(experiment: Run, lost: str) -> None:
    folder = experiment.output / "dev"
    whole = (folder / "comparison.md").read_bytes()
    files = [folder / lost] if lost else list(folder.glob("comparison.*"))
    for file in files:
        file.unlink()
    experiment.train(1)
    assert all(file.exists() for file in files)
    assert (folder / "comparison.md").read_bytes() == whole


@pytest.mark.slow
def test_fine_tuning_starts_from_the_weights_of_the_model(
    experiment: Run, tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    initial = load_initial(experiment.output)
    run = Run(tiny_corpus, tmp_path / "fine", initial)
    run.train(0)
    for name, array in load_model(tmp_path / "fine").network.arrays().items():
        np.testing.assert_allclose(array, initial.model.network.arrays()[name], rtol=1e-5, atol=1e-12)
    assert not (tmp_path / "fine" / "dictionary.safetensors").exists()
    other = dataclasses.replace(
        initial, model=dataclasses.replace(initial.model, metadata={"config": {}, "sha256": "x"})
    )
    with pytest.raises(DeepnmfError):
        Run(tiny_corpus, tmp_path / "fine", other).train(0)


@pytest.mark.slow
def test_fine_tuning_keeps_a_filter_and_trains_it(experiment: Run, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    initial = load_initial(experiment.output)
    filtered = dataclasses.replace(initial, model=with_filter(initial.model))
    Run(tiny_corpus, tmp_path / "fine", filtered).train(1)
    multi_frame = load_model(tmp_path / "fine" / "last.safetensors").network.multi_frame
    assert multi_frame is not None
    assert multi_frame.past_frames == 3
    assert np.abs(multi_frame.output).max() > 0
