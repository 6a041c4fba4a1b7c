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
    "with a filter": recurrent_model(2, 2, fusion=5, filter_units=4, filter_frames=3),
    "with a filter of one frame": recurrent_model(0, filter_units=1, filter_frames=1),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_agrees_with_the_model(tmp_path: Path, name: str) -> None:
    export_mask(MODELS[name], tmp_path / "m.onnx")
    assert disagreement(MODELS[name], tmp_path / "m.onnx", frames=200) <= TOLERANCE


def test_a_recurrent_graph_needs_its_states(tmp_path: Path) -> None:
    import onnxruntime

    model = MODELS["with a filter"]
    export_mask(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    states = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()[2:]}
    assert set(states) == set(mask_graph(model.network).states)
    frames = {"magnitudes": np.ones((257, 5), np.float32), "advances": np.zeros((2, 3, 96, 5), np.float32)}
    mask, weights, *following = session.run(None, frames | states)
    assert all(np.abs(found).max() > 0 for found in following)
    for name, state in states.items():
        other_mask, other_weights, *_ = session.run(None, frames | states | {name: 1 + state})
        assert np.abs(other_weights - weights).max() > 1e-3
        assert (np.abs(other_mask - mask).max() > 1e-3) == (not name.startswith("filter"))


def test_a_dictionary_of_many_layers_is_stored_once(tmp_path: Path) -> None:
    model = load_model("snmf")
    export_mask(model, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").stat().st_size < 5 * model.network.with_atoms().output.nbytes  # type: ignore[union-attr]


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="gru cannot be exported"):
        export_mask(dataclasses.replace(small_model(), network=untrained("gru")), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
