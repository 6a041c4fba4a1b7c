"""Training of recurrent deep NMF: exact resuming, positive dictionaries, falling error; its targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepnmf.config import Config, FeatureConfig, NetworkConfig, RecurrentConfig, SnmfConfig, TrainConfig, from_dict
from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training import loop as training
from deepnmf.training.experiment import Corpus, train
from deepnmf.training.targets import compressed
from helpers.signals import TinyCorpus

pytestmark = pytest.mark.slow

SMALL = Config(
    FeatureConfig(),
    SnmfConfig(speech_atoms=4, noise_atoms=3, iterations=5),
    NetworkConfig(kind="recurrent-deep-nmf"),
    TrainConfig(epochs=3, epoch_frames=0),
    RecurrentConfig(bands=16, units=8, recurrent_layers=2, subband_units=4, batch_segments=1),
)
FILES = ("best.safetensors", "last.safetensors")


def run(output: Path, tiny: TinyCorpus, config: Config = SMALL) -> Path:
    train(output, Corpus(speech=tiny.speech, noise=tiny.noise), config, report=lambda _: None)
    return output


@pytest.fixture(scope="module")
def experiment(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("recurrent"), tiny_corpus)


def test_the_model_of_an_experiment_is_recurrent_and_its_dictionaries_are_positive(experiment: Path) -> None:
    network = load_model(experiment).network
    assert isinstance(network, RecurrentDeepNMF)
    assert all(W.dtype == np.float32 for W in network.arrays().values())
    assert all((W > 0).all() for W in (*network.dictionaries, network.output))


def test_training_lowers_the_error_and_moves_every_weight(
    experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    history = load_model(experiment / "last.safetensors").metadata["history"]
    assert history[-1]["error"] < history[1]["error"]
    start = from_dict(Config, {**_plain(SMALL), "train": {"epochs": 0, "epoch_frames": 0}})
    before = load_model(run(tmp_path, tiny_corpus, start)).network.arrays()
    after = load_model(experiment / "last.safetensors").network.arrays()
    assert [name for name in before if np.array_equal(before[name], after[name])] == ["pooling"]


@pytest.mark.parametrize("stop", [1, 3])
def test_stopped_after_any_epoch_it_resumes_exactly(
    stop: int, experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_epoch = training._epoch

    def epoch_or_stop(*arguments: object) -> float:
        if arguments[3] == stop:
            raise KeyboardInterrupt
        return whole_epoch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_epoch", epoch_or_stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tiny_corpus)
    monkeypatch.undo()
    run(tmp_path, tiny_corpus)
    assert all((tmp_path / name).read_bytes() == (experiment / name).read_bytes() for name in FILES)


def test_another_seed_gives_another_network(experiment: Path, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    other = from_dict(Config, {**_plain(SMALL), "train": {"epochs": 1, "epoch_frames": 0, "seed": 1}})
    found = load_model(run(tmp_path, tiny_corpus, other) / "last.safetensors").network.arrays()
    assert not np.array_equal(found["prior"], load_model(experiment / "last.safetensors").network.arrays()["prior"])


@pytest.mark.parametrize("kind", ["recurrent-deep-nmf", "gru", "lstm"])
def test_lower_precision_learns_nearly_the_same(kind: str, tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    found = []
    for precision in ("float32", "bfloat16"):
        recurrent = {**_plain(SMALL)["recurrent"], "precision": precision}
        config = from_dict(Config, {**_plain(SMALL), "network": {"kind": kind}, "recurrent": recurrent})
        found.append(load_model(run(tmp_path / precision, tiny_corpus, config) / "last.safetensors"))
    first, second = (model.network.arrays() for model in found)
    assert all(W.dtype == np.float32 for W in second.values())
    assert any(not np.array_equal(first[name], second[name]) for name in first)
    errors = [[entry["error"] for entry in model.metadata["history"][1:]] for model in found]
    assert errors[1] == pytest.approx(errors[0], rel=0.02)


def test_context_is_refused(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    config = from_dict(Config, {**_plain(SMALL), "snmf": {"context": 2, "iterations": 2}})
    with pytest.raises(DeepnmfError, match=r"snmf\.context must be 1"):
        run(tmp_path, tiny_corpus, config)


def test_a_run_recorded_before_a_setting_existed_goes_on(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    from deepnmf.artifacts import load_tensors, read_json, save_tensors, write_json

    config = Config(SMALL.features, SMALL.snmf, NetworkConfig(), TrainConfig(epochs=1, epoch_frames=300))
    run(tmp_path, tiny_corpus, config)
    record = read_json(tmp_path / "experiment.json")
    del record["config"]["recurrent"], record["config"]["network"]["kind"]
    write_json(tmp_path / "experiment.json", record)
    tensors, metadata = load_tensors(tmp_path / "checkpoint.safetensors", "checkpoint")
    del metadata["run"]["config"]["recurrent"], metadata["run"]["config"]["network"]["kind"]
    save_tensors(tmp_path / "checkpoint.safetensors", tensors, "checkpoint", metadata)
    before = (tmp_path / "last.safetensors").stat().st_mtime_ns
    run(tmp_path, tiny_corpus, config)
    assert (tmp_path / "last.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("power", [0.3, 0.5])
@pytest.mark.parametrize("phase", [0.0, 0.3, 1.0])
def test_the_compressed_target_is_the_best_estimate_with_the_phase_of_the_mixture(power: float, phase: float) -> None:
    rng = np.random.default_rng(0)
    speech, noise = rng.standard_normal((2, 50)) + 1j * rng.standard_normal((2, 50))
    mixture = speech + noise
    goal = compressed(np.abs(mixture), np.abs(speech), np.abs(noise), power, phase)

    def error(x: np.ndarray) -> np.ndarray:
        s, m = (z / np.abs(z) * np.abs(z) ** power for z in (speech, mixture))
        with_phase = np.abs(x * m / np.abs(m) - s) ** 2
        return (1 - phase) * (x - np.abs(s)) ** 2 + phase * with_phase

    for x in (goal - 0.01, goal + 0.01):
        assert (error(x) > error(goal)).all()
        np.testing.assert_allclose(error(x) - error(goal), (x - goal) ** 2, rtol=1e-6)


def _plain(config: Config) -> dict[str, dict[str, object]]:
    from deepnmf.config import to_dict

    return to_dict(config)
