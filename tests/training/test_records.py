"""Records of a run that somebody made up, with checksums that fit: one line that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepnmf.artifacts import write_json
from deepnmf.config import FeatureConfig, to_dict
from deepnmf.data.features import FORMAT
from deepnmf.errors import DeepnmfError
from deepnmf.networks.kinds import Config
from deepnmf.training.experiment import DataSource, read_experiment, train
from deepnmf.training.inputs import check_inputs
from deepnmf.training.pretrain import pretrain

FEATURES: dict[str, Any] = {
    "format": FORMAT,
    "features": to_dict(FeatureConfig()),
    "manifest": "a" * 64,
    "recordings": "/corpus/manifest.jsonl",
    "shards": {"dev": {"dev-00000.safetensors": "b" * 64}},
}
EXPERIMENT: dict[str, Any] = {"corpus": {}, "config": Config().to_dict()}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", None),
        ("format", 3),
        ("features", None),
        ("features", {"stft": 3}),
        ("manifest", None),
        ("manifest", ["a"]),
        ("recordings", 7),
        ("recordings", "a\0b"),
        ("shards", [1]),
        ("shards", {"dev": {"../dev-00000.safetensors": "b"}}),
        ("shards", {"dev": {"dev-00000.safetensors": None}}),
        ("shards", {"dev": {"a\0": "b"}}),
    ],
)
def test_made_up_features_are_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "features.json"
    write_json(path, {name: kept for name, kept in {**FEATURES, key: value}.items() if kept is not None})
    for stage in (
        lambda: check_inputs(tmp_path, Config(), None),
        lambda: pretrain(tmp_path, tmp_path / "dictionary.safetensors"),
    ):
        with pytest.raises(DeepnmfError) as caught:
            stage()
        assert str(caught.value).startswith(str(path))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", None),
        ("config", [1]),
        ("config", {"network": 3}),
        ("config", {"network": {"kind": ["gru"]}}),
        ("corpus", None),
        ("corpus", "x"),
        ("corpus", {"manifest": 5}),
    ],
)
def test_a_made_up_experiment_is_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "experiment.json"
    write_json(path, {name: kept for name, kept in {**EXPERIMENT, key: value}.items() if kept is not None})
    with pytest.raises(DeepnmfError) as caught:
        train(tmp_path, DataSource(), report=lambda _: None)
    assert str(caught.value).startswith(str(path))


def test_a_record_of_this_version_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "experiment.json", EXPERIMENT)
    assert read_experiment(tmp_path / "experiment.json") == EXPERIMENT
