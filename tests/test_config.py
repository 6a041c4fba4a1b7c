"""Configuration: TOML holds differences, mistakes are named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.config import (
    FeatureConfig,
    PrepareConfig,
    SnmfConfig,
    StftSpec,
    difference,
    fingerprint,
    parse_setting,
)
from deepnmf.errors import DeepnmfError
from deepnmf.networks.kinds import KINDS, Config, changed_settings, configuration, load, with_defaults
from deepnmf.networks.settings import RecurrentConfig, RecurrentDeepNMFConfig, SequenceTraining


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_everything_is_default() -> None:
    assert load(None) == configuration({}) == Config() == Config(network=RecurrentDeepNMFConfig())


def test_a_file_holds_only_differences(tmp_path: Path) -> None:
    config = load(toml(tmp_path, "[network]\nlayers = 25\n[features.stft]\nhop_ms = 8\n"))
    expected = load(None).to_dict()
    expected["network"]["layers"] = 25
    expected["features"]["stft"]["hop_ms"] = 8.0
    assert config.to_dict() == expected
    assert isinstance(config.features.stft.hop_ms, float)


def test_dictionaries_and_dataclasses_are_the_same_thing() -> None:
    config = configuration({"snmf": {"beta": 0.5}, "train": {"optimiser": "adam"}})
    assert configuration(config.to_dict()) == config


def test_overrides_lie_over_the_file_at_any_depth(tmp_path: Path) -> None:
    path = toml(tmp_path, "[prepare]\nmixtures_per_utterance = 5\n[features.stft]\nfft_size = 1024\n")
    config = load(path, {"features": {"stft": {"hop_ms": 5.0}, "level_seconds": None}, "train": {"seed": 3}})
    stft = config.features.stft
    assert (stft.fft_size, stft.hop_ms, config.prepare.mixtures_per_utterance, config.train.seed) == (1024, 5.0, 5, 3)


def test_scalars_of_numpy_are_settings_and_stay_serialisable() -> None:
    numbers = PrepareConfig(mixtures_per_utterance=np.int64(3), snr_db_low=np.float32(-5), snr_db_high=np.int32(5))
    assert numbers == PrepareConfig(mixtures_per_utterance=3, snr_db_low=-5.0, snr_db_high=5.0)
    assert json.dumps(dataclasses.asdict(numbers))
    with pytest.raises(DeepnmfError, match="must be an integer"):
        PrepareConfig(mixtures_per_utterance=np.float64(2.5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers = 4", ["unknown key layers", "network"]),
        ("[network]\ndepth = 4", ["unknown key network.depth", "known: kind, bands"]),
        ("[features.stft]\nhop = 1", ["unknown key features.stft.hop", "hop_ms"]),
        ("network = 4", ["network is a table, not 4"]),
        ('[network]\nlayers = "4"', ["network.layers must be an integer, not '4'"]),
        ("[network]\nlayers = 4.5", ["network.layers must be an integer, not 4.5"]),
        ("[network]\nlayers = true", ["network.layers must be an integer, not True"]),
        ("[network]\nkind = 'ista'\ntied = 1", ["network.tied must be true or false, not 1"]),
        ('[network]\nkind = "gru"\nlayers = 3', ["gru has no setting network.layers", "recurrent-deep-nmf", "have it"]),
        ("[train]\nexponent = 0.1", ["unknown key train.exponent, of version 0.1; it is train.eta now"]),
        ("[recurrent]\nunits = 8", ["unknown key recurrent.units, of version 0.1; it is network.units now"]),
        ('[train]\noptimiser = "adam"\neta = 0.1', ["train.eta has no effect with train.optimiser = adam"]),
        ("[network]\nkind = [1]", ["network.kind must be one of deep-nmf", "[1]"]),
        ("[snmf]\nbeta = true", ["snmf.beta must be a number, not True"]),
        ("[snmf]\nbeta = nan", ["snmf.beta must be finite"]),
        ("[features.stft]\nhop_ms = inf", ["features.stft.hop_ms must be finite"]),
        ('[train]\noptimiser = "sgd"', ["train.optimiser must be one of multiplicative, adam", "'sgd'"]),
        ("[features.stft]\nhop_ms = 30.0", ["hop 480", "window 400"]),
        ("[network\n", ["not valid TOML"]),
        ("x = " + "[" * 5000 + "]" * 5000, ["not valid TOML", "nested too deeply"]),
        ("x = " + "{x = " * 5000 + "1" + "}" * 5000, ["not valid TOML", "nested too deeply"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(DeepnmfError) as caught:
        load(toml(tmp_path, text))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_the_file_is_named_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"config\.toml: unknown key"):
        load(toml(tmp_path, "x = 1"))


def test_a_setting_has_a_few_names_and_a_value_of_any_depth() -> None:
    for text in (".".join("x" * 5000) + "=1", "x=1", "a.=1"):
        with pytest.raises(DeepnmfError, match=r"SECTION\.KEY=VALUE"):
            parse_setting(text)
    assert parse_setting("network.layers=" + "[" * 5000 + "]" * 5000)[-1] == "[" * 5000 + "]" * 5000


def test_an_override_of_a_section_that_the_file_makes_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="network is a table, not 3"):
        load(toml(tmp_path, "network = 3"), {"network": {"layers": 2}})


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path / "b.toml", tmp_path):
        with pytest.raises(DeepnmfError, match="cannot read the configuration"):
            load(path)


@pytest.mark.parametrize("values", [{"hop_ms": 25.0}, {"hop_ms": 30.0}, {"window_ms": 40.0}, {"fft_size": 256}])
def test_an_impossible_stft_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(DeepnmfError, match="must hold"):
        StftSpec(**values)


def test_stft_sizes_in_samples() -> None:
    assert (StftSpec().window, StftSpec().hop, StftSpec().bins) == (400, 160, 257)
    spec = StftSpec(rate_hz=48000, window_ms=20, hop_ms=10, fft_size=1024)
    assert (spec.window, spec.hop, spec.bins) == (960, 480, 513)


def test_configurations_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().network.layers = 3  # type: ignore[misc]


def test_fingerprint_depends_on_every_field_and_on_nothing_else() -> None:
    assert fingerprint(Config().to_dict()) == fingerprint(Config().to_dict())
    changed = [
        {"features": {"stft": {"hop_ms": 8.0}}},
        {"prepare": {"mixtures_per_utterance": 3}},
        {"snmf": {"beta": 2.0}},
        {"network": {"layers": 3}},
        {"train": {"seed": 1}},
    ]
    prints = {fingerprint(configuration(values).to_dict()) for values in [*changed, {}]}
    assert len(prints) == len(changed) + 1
    assert fingerprint("a", "b") != fingerprint("b", "a") != fingerprint("ab")


def test_the_fingerprint_is_equal_on_every_machine() -> None:
    assert fingerprint({"b": 1, "a": [1.5, None]}) == fingerprint({"a": [1.5, None], "b": 1}) == "63ea958d7acaf2ca"


@pytest.mark.parametrize(
    ("expected", "found", "answer"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({}, {}, None),
        ({"a": 1}, {"a": 2}, "a: found 2, expected 1"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c: found 2, expected 1"),
        ({"a": {"b": 1}, "z": 1}, {"a": {"b": 1}, "z": 2}, "z: found 2, expected 1"),
        ({"a": 1}, {}, "a: found None, expected 1"),
        ({}, {"a": 1}, "a: found 1, expected None"),
        ({"a": {"b": 1}}, {"a": 3}, "a: found 3, expected {'b': 1}"),
    ],
)
def test_difference_names_the_field(expected: dict[str, Any], found: dict[str, Any], answer: str | None) -> None:
    assert difference(expected, found) == answer


def test_difference_of_two_stft_specs() -> None:
    other = configuration({"features": {"stft": {"fft_size": 1024}}})
    assert difference(Config().to_dict(), other.to_dict()) == "features.stft.fft_size: found 1024, expected 512"


def test_a_run_with_settings_that_are_gone_is_refused_by_name() -> None:
    with pytest.raises(DeepnmfError, match=r"^exp/run: unknown key train.remix; .*; an earlier deepnmf began this"):
        with_defaults({"train": {"remix": True}}, "exp/run")
    assert with_defaults({}, "exp/run") == Config().to_dict()


BAD = [
    "train.seed=-1", "train.epoch_frames=-1", "train.epochs=-1", "train.gradient_decay=2", "train.eta=50",
    "train.eta=nan", "train.batch_frames=-5", "train.error_beta=50", "network.context=0", "network.context=1000",
    "network.layers=0", "network.layers=100000", "network.trained_layers=6", "features.level_seconds=0",
    "features.level_seconds=inf", "features.stft.rate_hz=0", "features.stft.hop_ms=-1", "snmf.beta=50", "snmf.beta=-1",
    "snmf.sparsity=-1", "snmf.sparsity=nan", "snmf.speech_atoms=0", "snmf.iterations=0", "snmf.max_frames=0",
    "prepare.mixtures_per_utterance=0", "prepare.snr_db_low=1000",
]  # fmt: skip
BAD_OF_RECURRENT = [
    "network.bands=300", "network.bands=1", "network.units=0", "network.recurrent_layers=0", "network.subband_units=0",
    "network.layers=-1", "train.batch_segments=0", "train.weight_learning_rate=1e6", "train.loss_power=0",
    "train.dictionary_learning_rate=1e6", "train.loss_phase=2", "train.loss_uncompressed=-1",
    "train.loss_intelligibility=nan",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["deep-nmf", "recurrent-deep-nmf"])
def test_every_setting_has_a_range_and_the_message_names_key_and_value(kind: str) -> None:
    for setting in BAD if kind == "deep-nmf" else BAD_OF_RECURRENT:
        *names, value = parse_setting(setting)
        values: dict[str, Any] = {names[-1]: value}
        for name in reversed(names[:-1]):
            values = {name: values}
        values.setdefault("network", {})["kind"] = kind
        with pytest.raises(DeepnmfError) as caught:
            configuration(values, "here")
        message = str(caught.value)
        assert message.startswith("here: "), message
        assert ".".join(names) in message, message
        assert str(value) in message, message


def test_every_number_of_every_section_is_bounded() -> None:
    classes: list[Any] = [StftSpec, FeatureConfig, PrepareConfig, SnmfConfig]
    classes += [cls for kind in KINDS.values() for cls in (kind.SETTINGS, kind.TRAINING)]
    for cls in classes:
        for item in dataclasses.fields(cls):
            if isinstance(item.default, int | float) and not isinstance(item.default, bool):
                low, high = item.metadata["range"]
                assert low <= item.default <= high < float("inf"), item.name


def test_settings_are_checked_however_they_are_made() -> None:
    for make in (lambda: SnmfConfig(beta=float("nan")), lambda: PrepareConfig(snr_db_low=9.0, snr_db_high=3.0)):
        with pytest.raises(DeepnmfError):
            make()
    with pytest.raises(DeepnmfError, match="SequenceTraining"):
        Config(network=RecurrentConfig("gru"), train=Config().train)
    assert isinstance(Config(network=RecurrentConfig("gru")).train, SequenceTraining)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_recorded_is_what_had_an_effect_and_gives_the_configuration_back(kind: str) -> None:
    config = configuration({"network": {"kind": kind}})
    recorded = config.to_dict()
    assert configuration(recorded) == config
    assert ("snmf" in recorded) == KINDS[kind].FROM_DICTIONARY
    assert "eta" not in recorded["train"] or recorded["train"]["optimiser"] == "multiplicative"
    assert changed_settings(recorded) == {}
    recorded["train"]["seed"] = 7
    assert changed_settings(recorded) == {"train.seed": 7}


def test_the_configuration_of_a_model_of_version_0_1_is_shown_in_the_words_of_today() -> None:
    framewise = {
        "network": {"layers": 25, "trained": 0},
        "train": {"exponent": 0.1, "epochs": 12, "learning_rate": 0.2},
    }
    assert changed_settings(framewise) == {"network.layers": 25, "network.trained_layers": 0, "train.eta": 0.1}
    recurrent = {
        "network": {"kind": "recurrent-deep-nmf", "layers": 4, "tied": False, "units": 256},
        "train": {"epochs": 42, "exponent": 0.1, "learning_rate": 0.2},
        "recurrent": {"units": 192, "layers": 1, "learning_rate": 0.002, "dictionary_rate": 0.01},
    }
    assert changed_settings(recurrent) == {"network.units": 192, "train.epochs": 42}
