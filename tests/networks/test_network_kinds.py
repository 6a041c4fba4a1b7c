"""Every kind of network goes the same way: trained by name, resumed exactly, enhances, is shown, refused in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.enhancement.device import on_device
from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model
from deepnmf.networks.kinds import KINDS, MODULES, configuration
from deepnmf.report.dictionaries import dictionary_panels
from deepnmf.training import loop as training
from deepnmf.training.experiment import DataSource, train
from helpers.enhance_cli import run
from helpers.signals import TinyCorpus

FILES = ("best.safetensors", "last.safetensors", "checkpoint.safetensors")
SMALL = {"network": {"layers": 2, "units": 16, "bands": 16, "subband_units": 4}, "train": {"batch_segments": 1}}
each_kind = pytest.mark.parametrize("kind", KINDS)
FRAMEWISE = {"deep-nmf", "sigmoid", "mean-field", "belief-propagation", "ista"}


@pytest.fixture(scope="module")
def prepared(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with features, a dictionary, and an experiment with each kind of network."""
    output = tmp_path_factory.mktemp("prepared")
    config = configuration(
        {
            "prepare": {"mixtures_per_utterance": 1},
            "snmf": {"speech_atoms": 4, "noise_atoms": 3, "iterations": 5},
            "train": {"epochs": 0},
            "network": {"kind": "deep-nmf"},
        }
    )
    train(output, DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise), config, report=lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        assert all(run(patch, *arguments(output, kind), "-o", output / kind) == 0 for kind in KINDS)
    return output


def arguments(prepared: Path, kind: str) -> list[object]:
    """Return a command that trains a small network of a kind, with those of the settings that it has."""
    inputs = ["--features", prepared / "features"]
    if KINDS[kind].FROM_DICTIONARY:
        inputs += ["--dictionary", prepared / "dictionary.safetensors"]
    classes = {"network": KINDS[kind].SETTINGS, "train": KINDS[kind].TRAINING}
    settings = [
        word
        for section, values in SMALL.items()
        for name, value in values.items()
        if name in classes[section].__dataclass_fields__
        for word in ("--set", f"{section}.{name}={value}")
    ]
    return ["train", *inputs, "--network", kind, "--epochs", 2, *settings]


def test_every_name_of_the_registry_is_a_kind_with_its_own_settings() -> None:
    assert list(KINDS) == list(MODULES)
    for name, kind in KINDS.items():
        config = configuration({"network": {"kind": name}})
        assert type(config.network) is kind.SETTINGS
        assert type(config.train) is kind.TRAINING
        assert configuration(config.to_dict()) == config


@each_kind
def test_training_by_name_trains_that_kind(kind: str, prepared: Path) -> None:
    model = load_model(prepared / kind / "last.safetensors")
    assert type(model.network) is KINDS[kind]
    untrained, first, last = model.metadata["history"]
    assert untrained["error"] is None
    if not KINDS[kind].DYNAMIC_MIXING:  # whose epochs are other mixtures
        assert last["error"] < first["error"]
    for name, W in model.network.arrays().items():
        positive = name.partition(".")[0] in model.network.NONNEGATIVE
        assert np.isfinite(W).all()
        assert (W > 0).all() or not positive


@each_kind
def test_stopped_it_resumes_exactly(kind: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_epoch = training._epoch

    def epoch_or_stop(*parts: object) -> float:
        if parts[2] == 2:
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
    kind: str, prepared: Path, tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = tiny_corpus.speech / "speaker0" / "clip0.wav"
    assert run(monkeypatch, "enhance", noisy, "-o", tmp_path / "e.wav", "--model", prepared / kind) == 0
    before, after = (soundfile.read(path)[0] for path in (noisy, tmp_path / "e.wav"))
    assert before.shape == after.shape
    assert 0 < np.square(after).sum() < np.square(before).sum()


@each_kind
def test_it_is_shown_with_its_dictionaries_if_it_has_some(
    kind: str, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(prepared / kind)
    assert run(monkeypatch, "show", prepared / kind) == 0
    shown = model.network.with_atoms() is not None
    output = capsys.readouterr().out
    assert f"{model.network.parameters:,}" in output
    assert ("speech atoms" in output) == shown
    assert bool(dictionary_panels(model)) == shown
    if not shown:
        assert run(monkeypatch, "show", prepared / kind, "--plot", prepared / "atoms.png") == 1
        assert "has no atoms to draw" in one_line(capsys)


@each_kind
def test_what_a_kind_cannot_do_is_refused_in_one_line(
    kind: str,
    prepared: Path,
    tiny_corpus: TinyCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxruntime")
    noisy, model = tiny_corpus.speech / "speaker0" / "clip0.wav", ("--model", prepared / kind)
    enhance = ["enhance", noisy, "-o", tmp_path / "e.wav", *model]
    commands = []
    if kind != "deep-nmf":
        commands.append(([*enhance, "--noise-profile", "0:1"], "no noise atoms to add to"))
        commands.append(([*arguments(prepared, kind), "--trained-layers", 1, "-o", tmp_path], "deep-nmf have it"))
    if kind not in FRAMEWISE:
        commands.append(([*enhance, "--device", "meta"], "runs on the CPU only"))
    if kind in {"gru", "lstm"}:
        commands.append((["export", tmp_path / "m.onnx", *model], "cannot be exported"))
    for command, message in commands:
        assert run(monkeypatch, *command) == 1
        assert message in one_line(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", sorted(FRAMEWISE - {"deep-nmf"}))
def test_frame_wise_kinds_run_on_a_device_and_as_onnx(
    kind: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    model = load_model(prepared / kind)
    m = np.random.default_rng(0).random((257, 20), np.float32)
    np.testing.assert_allclose(on_device(model, "cpu").estimator().push(m), model.estimator().push(m), atol=1e-5)
    assert run(monkeypatch, "export", tmp_path / "m.onnx", "--model", prepared / kind) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--network", "gru", "--layers", "3"],
            ["gru has no setting network.layers", "deep-nmf,"],
        ),
        (["--network", "gru", "--set", "snmf.beta=2"], ["gru has no setting snmf.beta", "ista"]),
        (["--network", "lstm", "--optimiser", "multiplicative"], ["train.optimiser", "deep-nmf"]),
        (["--network", "sigmoid", "--optimiser", "adam"], ["sigmoid has no setting train.optimiser"]),
        (["--network", "recurrent-deep-nmf", "--context", "9"], ["network.context", "deep-nmf"]),
        (["--network", "ista", "--set", "train.split_at=none"], ["ista has no setting train.split_at", "deep-nmf"]),
        (["--optimiser", "adam", "--set", "train.eta=0.1"], ["train.eta has no effect with train.optimiser = adam"]),
        (
            ["--network", "deep-nmf", "--set", "train.split_at=none", "--set", "train.gradient_decay=0.5"],
            ["no effect with"],
        ),
        (["--set", "recurrent.units=5"], ["recurrent.units, of version 0.1; it is network.units now"]),
        (["--set", "train.exponent=1"], ["it is train.eta now"]),
    ],
)
def test_an_option_that_the_kind_does_not_have_is_refused_in_one_line(
    options: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "train", "--speech", "x", "--noise", "x", "-o", tmp_path / "exp", *options) == 1
    line = one_line(capsys)
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_a_wrong_name_is_refused_in_one_line(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = "--speech", prepared, "--noise", prepared
    assert run(monkeypatch, "train", *inputs, "--network", "perceptron", "-o", tmp_path) == 1
    assert f"network.kind must be one of {', '.join(KINDS)}, not 'perceptron'" in one_line(capsys)


def test_the_help_lists_the_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "train", "--help") == 0
    output = "".join(capsys.readouterr().out.split())
    assert all(name in output for name in KINDS)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    output = capsys.readouterr()
    assert len(output.err.strip().splitlines()) == 1
    assert "Traceback" not in output.err
    return output.err
