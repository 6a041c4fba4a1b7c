"""Adding the change of one model to another that was trained from the same start."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from deepnmf.errors import InputError
from deepnmf.model import Model, load_model, save_model
from helpers import ROOT
from helpers.enhance_models import recurrent_model
from helpers.scripts import loaded

SCRIPT = loaded(ROOT / "recipes" / "open" / "package_models" / "add_change.py")


def moved(model: Model, by: float) -> Model:
    network = model.network
    arrays = {name: W + by for name, W in network.arrays().items()}
    return Model(type(network).from_arrays(arrays, network.hyperparameters()), model.features)  # type: ignore[attr-defined]


def test_the_change_is_added_to_each_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = recurrent_model(filter_units=4)
    paths = [tmp_path / f"{name}.safetensors" for name in ("model", "old", "new")]
    for path, by in zip(paths, (0.5, 0.0, 0.25), strict=True):
        save_model(path, moved(start, by))
    output = tmp_path / "changed.safetensors"
    model, old, new = map(str, paths)
    monkeypatch.setattr(sys, "argv", ["add_change.py", model, "--from", old, "--to", new, "-o", str(output)])
    SCRIPT.main()
    for name, W in load_model(output).network.arrays().items():
        np.testing.assert_allclose(W, start.network.arrays()[name] + 0.75, rtol=1e-3)


def test_weights_that_are_not_negative_stay_so() -> None:
    model, old = recurrent_model(), moved(recurrent_model(), 1.0)
    found = SCRIPT.changed(model, old, recurrent_model()).network.arrays()
    nonnegative = [name for name, W in model.network.arrays().items() if W.min() >= 0]
    assert "output" in nonnegative
    assert all(found[name].min() == 0 for name in nonnegative)


@pytest.mark.parametrize("of_old", [0, 4])
def test_models_of_other_structures_are_refused(of_old: int) -> None:
    with pytest.raises(InputError, match="structure"):
        SCRIPT.changed(recurrent_model(), recurrent_model(filter_units=of_old), recurrent_model(filter_units=4))
