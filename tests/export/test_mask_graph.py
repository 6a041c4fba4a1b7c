"""The graph of the mask estimator does what the estimator does, for any number of frames a call."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model
from helpers.enhance_models import recurrent_model, small_model
from helpers.networks import untrained

pytest.importorskip("onnxruntime")

from deepnmf.export.mask_graph import disagreement, export_mask, mask_graph
from deepnmf.export.onnx import TOLERANCE

MODELS = {
    "frame-wise": small_model(),
    "with context": small_model(4),
    "recurrent": recurrent_model(),
    "recurrent, two layers": recurrent_model(2, 2),
    "recurrent, with fusion": recurrent_model(fusion=5),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_agrees_with_the_model(tmp_path: Path, name: str) -> None:
    export_mask(MODELS[name], tmp_path / "m.onnx")
    assert disagreement(MODELS[name], tmp_path / "m.onnx", frames=200) <= TOLERANCE


def test_a_recurrent_graph_needs_its_states(tmp_path: Path) -> None:
    import onnxruntime

    export_mask(MODELS["recurrent"], tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    states = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()[1:]}
    assert set(states) == set(mask_graph(MODELS["recurrent"].network).states)
    magnitudes = np.ones((257, 5), np.float32)
    mask, *following = session.run(None, {"magnitudes": magnitudes, **states})
    assert all(np.abs(found).max() > 0 for found in following)
    other, *_ = session.run(None, {"magnitudes": magnitudes, **{name: 1 + state for name, state in states.items()}})
    assert np.abs(other - mask).max() > 1e-3


def test_a_dictionary_of_many_layers_is_stored_once(tmp_path: Path) -> None:
    model = load_model("snmf")
    export_mask(model, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").stat().st_size < 5 * model.network.with_atoms().output.nbytes  # type: ignore[union-attr]


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="gru cannot be exported"):
        export_mask(dataclasses.replace(small_model(), network=untrained("gru")), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
