"""Every kind of network goes the same way: trained by name, resumed exactly, enhances, is shown, refused in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.config import (
    NETWORKS,
    Config,
    NetworkConfig,
    NetworkKind,
    PrepareConfig,
    SnmfConfig,
    TrainConfig,
)
from deepnmf.errors import DeepnmfError
from deepnmf.model import KINDS, load_model
from deepnmf.networks.base import DictionaryNetwork
from deepnmf.networks.unfolded.deep_nmf import DeepNMF
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.report.dictionaries import dictionary_panels
from deepnmf.training import loop as training
from deepnmf.training.experiment import Corpus, train
from helpers.enhance_cli import run
from helpers.signals import TinyCorpus

FILES = ("best.safetensors", "last.safetensors", "checkpoint.safetensors")
SETTINGS = ["network.units=16", "recurrent.bands=16", "recurrent.units=8", "recurrent.batch_segments=1"]
each_kind = pytest.mark.parametrize("kind", NETWORKS)


@pytest.fixture(scope="module")
def prepared(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with features, a dictionary, and an experiment with each kind of network."""
    output = tmp_path_factory.mktemp("prepared")
    snmf = SnmfConfig(speech_atoms=4, noise_atoms=3, iterations=5)
    config = Config(snmf=snmf, train=TrainConfig(epochs=0), prepare=PrepareConfig(mixtures_per_utterance=1))
    train(output, Corpus(speech=tiny_corpus.speech, noise=tiny_corpus.noise), config, report=lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        assert all(run(patch, *arguments(output, kind), "-o", output / kind) == 0 for kind in NETWORKS)
    return output


def arguments(prepared: Path, kind: str) -> list[object]:
    inputs = ["--features", prepared / "features", "--dictionary", prepared / "dictionary.safetensors"]
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    layers = 1 if kind == "sigmoid" else 2
    return ["train", *inputs, "--network", kind, "--layers", layers, "--epochs", 2, *settings]


def test_what_can_be_named_can_be_trained_and_loaded() -> None:
    assert set(NETWORKS) == set(KINDS) == set(training.LEARNERS)


@each_kind
def test_training_by_name_lowers_the_error(kind: NetworkKind, prepared: Path) -> None:
    model = load_model(prepared / kind / "last.safetensors")
    assert type(model.network) is KINDS[kind]
    untrained, first, last = model.metadata["history"]
    assert untrained["error"] is None
    # With dynamic mixing, the errors of two epochs are those of different mixtures: dev tells.
    assert last["error"] < first["error"] or last["dev_sdr_db"] > first["dev_sdr_db"] > untrained["dev_sdr_db"]
    for name, W in model.network.arrays().items():
        positive = name.partition(".")[0] in getattr(model.network, "NONNEGATIVE", ())
        assert np.isfinite(W).all()
        assert (W > 0).all() or not positive


@each_kind
def test_stopped_it_resumes_exactly(
    kind: NetworkKind, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_epoch = training._epoch

    def epoch_or_stop(*parts: object) -> float:
        if parts[3] == 2:
            raise DeepnmfError("stopped")
        return whole_epoch(*parts)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(training, "_epoch", epoch_or_stop)
        assert run(monkeypatch, *arguments(prepared, kind), "-o", tmp_path) == 1
    assert len(load_model(tmp_path / "last.safetensors").metadata["history"]) == 2
    assert run(monkeypatch, *arguments(prepared, kind), "-o", tmp_path) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (prepared / kind / name).read_bytes()


@each_kind
def test_it_enhances_a_file(
    kind: NetworkKind, prepared: Path, tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = tiny_corpus.speech / "speaker0" / "clip0.wav"
    assert run(monkeypatch, "enhance", noisy, "-o", tmp_path / "e.wav", "--model", prepared / kind) == 0
    before, after = (soundfile.read(path)[0] for path in (noisy, tmp_path / "e.wav"))
    assert before.shape == after.shape
    assert 0 < np.square(after).sum() < np.square(before).sum()


@each_kind
def test_it_is_shown_with_its_dictionaries_if_it_has_some(
    kind: NetworkKind, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(prepared / kind)
    assert run(monkeypatch, "show", prepared / kind) == 0
    shown = isinstance(model.network, DictionaryNetwork)
    output = capsys.readouterr().out
    assert f"{model.network.parameters:,}" in output
    assert ("speech atoms" in output) == shown
    assert bool(dictionary_panels(model)) == shown
    if not shown:
        assert run(monkeypatch, "show", prepared / kind, "--plot", prepared / "atoms.png") == 1
        assert "has no atoms to draw" in one_line(capsys)


@each_kind
def test_what_only_deep_nmf_can_do_is_refused_in_one_line(
    kind: NetworkKind,
    prepared: Path,
    tiny_corpus: TinyCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxruntime")
    if KINDS[kind] is DeepNMF:
        pytest.skip("deep NMF can")
    noisy, model = tiny_corpus.speech / "speaker0" / "clip0.wav", ("--model", prepared / kind)
    commands = [
        (["enhance", noisy, "-o", tmp_path / "e.wav", "--noise-profile", "0:1", *model], "no noise atoms to add to"),
        (["enhance", noisy, "-o", tmp_path / "e.wav", "--device", "meta", *model], "runs on the CPU only"),
        ([*arguments(prepared, kind), "--trained", 1, "-o", tmp_path], "trained is for deep-nmf"),
    ]
    if KINDS[kind] is not RecurrentDeepNMF:
        commands.append((["export", tmp_path / "m.onnx", *model], "only deep NMF models, frame-wise or recurrent"))
    for command, message in commands:
        assert run(monkeypatch, *command) == 1
        assert message in one_line(capsys)
    assert not list(tmp_path.iterdir())


def test_a_wrong_name_is_refused_in_one_line(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments(prepared, "perceptron"), "-o", tmp_path) == 1
    assert f"network.kind must be one of {', '.join(NETWORKS)}, not 'perceptron'" in one_line(capsys)


def test_the_help_lists_the_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "train", "--help") == 0
    output = "".join(capsys.readouterr().out.split())
    assert all(name in output for name in NETWORKS)


@pytest.mark.parametrize(
    "settings", [{"units": 0}, {"kind": "sigmoid", "trained": 0}, {"kind": "sigmoid", "layers": 0}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(DeepnmfError, match="network: "):
        NetworkConfig(**settings)  # type: ignore[arg-type]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    output = capsys.readouterr()
    assert len(output.err.strip().splitlines()) == 1
    assert "Traceback" not in output.err
    return output.err
