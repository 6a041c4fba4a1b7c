"""Configuration: TOML holds differences, mistakes are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from deepnmf.config import Config, StftSpec, difference, fingerprint, from_dict, load, to_dict, with_defaults
from deepnmf.errors import DeepnmfError


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_everything_is_default() -> None:
    assert load(None) == Config()


def test_a_file_holds_only_differences(tmp_path: Path) -> None:
    config = load(toml(tmp_path, "[network]\nlayers = 25\n[features.stft]\nhop_ms = 8\n"))
    expected = to_dict(Config())
    expected["network"]["layers"] = 25
    expected["features"]["stft"]["hop_ms"] = 8.0
    assert to_dict(config) == expected
    assert isinstance(config.features.stft.hop_ms, float)


def test_dictionaries_and_dataclasses_are_the_same_thing() -> None:
    config = from_dict(Config, {"snmf": {"beta": 0.5}, "train": {"optimiser": "adam"}})
    assert from_dict(Config, to_dict(config)) == config


def test_overrides_lie_over_the_file_at_any_depth(tmp_path: Path) -> None:
    path = toml(tmp_path, "[prepare]\nmixtures_per_utterance = 5\n[features.stft]\nfft_size = 1024\n")
    config = load(path, {"features": {"stft": {"hop_ms": 5.0}, "level_seconds": None}, "train": {"seed": 3}})
    stft = config.features.stft
    assert (stft.fft_size, stft.hop_ms, config.prepare.mixtures_per_utterance, config.train.seed) == (1024, 5.0, 5, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers = 4", ["unknown key layers", "network"]),
        ("[network]\ndepth = 4", ["unknown key network.depth", "known: kind, layers"]),
        ("[features.stft]\nhop = 1", ["unknown key features.stft.hop", "hop_ms"]),
        ("network = 4", ["network is a table, not 4"]),
        ('[network]\nlayers = "4"', ["network.layers must be int, not '4'"]),
        ("[network]\nlayers = 4.5", ["network.layers must be int, not 4.5"]),
        ("[network]\nlayers = true", ["network.layers must be int, not True"]),
        ("[network]\ntied = 1", ["network.tied must be bool, not 1"]),
        ("[snmf]\nbeta = true", ["snmf.beta must be float, not True"]),
        ("[snmf]\nbeta = nan", ["snmf.beta must be finite"]),
        ("[features.stft]\nhop_ms = inf", ["features.stft.hop_ms must be finite"]),
        ('[train]\noptimiser = "sgd"', ["train.optimiser must be one of multiplicative, adam", "'sgd'"]),
        ("[features.stft]\nhop_ms = 30.0", ["hop 480", "window 400"]),
        ("[network\n", ["not valid TOML"]),
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


def test_an_override_of_a_section_that_the_file_makes_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="network is a table, not 3"):
        load(toml(tmp_path, "network = 3"), {"network": {"layers": 2}})


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path / "b.toml", tmp_path):
        with pytest.raises(DeepnmfError, match="cannot read the configuration"):
            load(path)


@pytest.mark.parametrize(
    "values", [{"hop_ms": 0.0}, {"hop_ms": 25.0}, {"window_ms": 40.0}, {"fft_size": 256}, {"rate_hz": 0}]
)
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
    assert fingerprint(Config()) == fingerprint(Config()) == fingerprint(to_dict(Config()))
    changed = [
        {"features": {"stft": {"hop_ms": 8.0}}},
        {"prepare": {"mixtures_per_utterance": 3}},
        {"snmf": {"beta": 2.0}},
        {"network": {"tied": True}},
        {"train": {"seed": 1}},
    ]
    prints = {fingerprint(from_dict(Config, values)) for values in changed} | {fingerprint(Config())}
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
    other = from_dict(Config, {"features": {"stft": {"fft_size": 1024}}})
    assert difference(to_dict(Config()), to_dict(other)) == "features.stft.fft_size: found 1024, expected 512"


def test_a_run_with_settings_that_are_gone_is_refused_by_name() -> None:
    recorded = {"recurrent": {"remix": True}}
    with pytest.raises(DeepnmfError, match=r"^exp/run: unknown key recurrent.remix; .*; an earlier deepnmf began this"):
        with_defaults(recorded, "exp/run")
    assert with_defaults({}, "exp/run") == to_dict(Config())
