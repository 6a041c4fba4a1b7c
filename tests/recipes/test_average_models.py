"""Averaging models: the weighted mean of their weights, of one structure only."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from deepnmf.errors import InputError
from deepnmf.model import load_model, save_model
from helpers import ROOT
from helpers.enhance_models import recurrent_model
from helpers.scripts import loaded

SCRIPT = loaded(ROOT / "recipes" / "open" / "package_models" / "average_models.py")


def test_the_mean_has_weighted_means_of_all_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = recurrent_model(filter_units=4), recurrent_model(filter_units=4)
    changed = {name: W + 1 for name, W in second.network.arrays().items()}
    network = type(second.network).from_arrays(changed, second.network.hyperparameters())  # type: ignore[attr-defined]
    save_model(tmp_path / "first.safetensors", first)
    save_model(tmp_path / "second.safetensors", type(second)(network, second.features))
    output = tmp_path / "mean.safetensors"
    shares = [f"{tmp_path / 'first.safetensors'}=3", f"{tmp_path / 'second.safetensors'}=1"]
    monkeypatch.setattr(sys, "argv", ["average_models.py", *shares, "-o", str(output)])
    SCRIPT.main()
    for name, W in load_model(output).network.arrays().items():
        np.testing.assert_allclose(W, first.network.arrays()[name] + 0.25, atol=1e-6)


def test_models_of_other_structures_are_refused() -> None:
    with pytest.raises(InputError, match="structure"):
        SCRIPT.mean_of([(recurrent_model(), 1.0), (recurrent_model(filter_units=4), 1.0)])
