"""The ONNX graph does what the engine does."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deepnmf import Enhancer
from deepnmf.dsp.stft import Analyser, Synthesiser
from deepnmf.errors import DeepnmfError
from deepnmf.export.onnx import TOLERANCE, disagreement, export_onnx, fourier_matrices, state_shapes
from deepnmf.model import load_model
from helpers import ROOT
from helpers.enhance_cli import run
from helpers.enhance_models import recurrent_model, small_model
from helpers.networks import untrained

pytest.importorskip("onnxruntime")


MODELS = {
    "frame-wise": small_model(),
    "with context": small_model(3),
    "recurrent": recurrent_model(),
    "recurrent, two layers": recurrent_model(2, 2),
    "recurrent, no layers": recurrent_model(0),
    "recurrent, with fusion": recurrent_model(2, 2, fusion=7),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_agrees_with_the_engine_hop_by_hop(tmp_path: Path, name: str) -> None:
    export_onnx(MODELS[name], tmp_path / "m.onnx")
    assert disagreement(MODELS[name], tmp_path / "m.onnx", hops=400) <= TOLERANCE


@pytest.mark.parametrize("state", ["cell.0", "subband"])
def test_a_recurrent_graph_needs_its_states(tmp_path: Path, state: str) -> None:
    import onnxruntime

    export_onnx(MODELS["recurrent"], tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    states = {name: np.zeros(shape, np.float32) for name, shape in state_shapes(MODELS["recurrent"]).items()}
    samples = 0.1 * np.random.default_rng(0).standard_normal(160).astype(np.float32)
    plain, *following = session.run(None, {"samples": samples, **states})
    assert all(np.abs(found).max() > 0 for found in following)
    other, *_ = session.run(None, {"samples": samples, **states, state: 1 + states[state]})
    assert np.abs(other - plain).max() > 1e-3 * np.abs(plain).max() > 0


def test_names_and_shapes_are_as_documented(tmp_path: Path) -> None:
    import onnxruntime

    export_onnx(small_model(3), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    inputs = {entry.name: tuple(entry.shape) for entry in session.get_inputs()}
    outputs = {entry.name: tuple(entry.shape) for entry in session.get_outputs()}
    states = state_shapes(small_model(3))
    assert list(states) == ["analysis", "level", "synthesis", "context"]
    assert list(state_shapes(small_model(1))) == ["analysis", "level", "synthesis"]
    recurrent = state_shapes(recurrent_model(recurrent_layers=2))
    assert {name: shape for name, shape in recurrent.items() if name not in states} == {
        "cell.0": (2, 1, 12),
        "cell.1": (2, 1, 12),
        "subband": (2, 10, 6),
    }
    assert inputs == {"samples": (160,), **states}
    assert outputs == {"enhanced": (160,), **{f"{name}_next": shape for name, shape in states.items()}}
    assert session.get_modelmeta().custom_metadata_map == {"rate_hz": "16000", "delay_samples": "240"}


def test_the_matrices_are_the_transforms() -> None:
    spec = small_model().features.stft
    analysis, synthesis = fourier_matrices(spec)
    frame = np.random.default_rng(0).standard_normal(spec.window).astype(np.float32)
    padded = np.concatenate([frame, np.zeros(spec.hop * 2 - spec.window % spec.hop, np.float32)])
    spectrum = Analyser(spec).push(padded[None])
    index = -(-spec.window // spec.hop) - 1
    windowed = np.concatenate([np.zeros(spec.window - spec.hop, np.float32), padded])[index * spec.hop :][: spec.window]
    parts = analysis @ windowed
    assert np.abs(parts[: spec.bins] + 1j * parts[spec.bins :] - spectrum[0, :, index]).max() < 1e-4
    inverse = Synthesiser(spec)
    inverse._skip = 0
    assert np.abs(inverse.push(spectrum[:, :, index : index + 1])[0] - (synthesis @ parts)[: spec.hop]).max() < 1e-5


def test_the_command_exports_the_default_model_and_names_its_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", tmp_path / "m.onnx") == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "160 samples a call at 16000 Hz, delayed by 240" in output
    assert all(f"{name} {list(shape)}" in output for name, shape in state_shapes(load_model()).items())
    assert disagreement(load_model(), tmp_path / "m.onnx") <= TOLERANCE


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="gru cannot be exported"):
        export_onnx(dataclasses.replace(small_model(), network=untrained("gru")), tmp_path / "m.onnx")


def test_the_javascript_of_the_documentation(tmp_path: Path) -> None:
    """Needs node, and the variable NODE_PATH to lead to onnxruntime-web."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('onnxruntime-web')"], capture_output=True).returncode:
        pytest.skip("node or onnxruntime-web is missing")
    page = ROOT / "docs/export.md"
    script = page.read_text(encoding="utf-8").split("```js\n")[1].split("```")[0]
    (tmp_path / "enhance.js").write_text(script, encoding="utf-8")
    samples = (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)
    samples.tofile(tmp_path / "in.f32")
    model = MODELS["recurrent"]
    export_onnx(model, tmp_path / "m.onnx")
    subprocess.run([node, "enhance.js", "m.onnx", "in.f32", "out.f32"], cwd=tmp_path, check=True, timeout=600)
    output = np.fromfile(tmp_path / "out.f32", np.float32)[240:]
    assert np.abs(output - Enhancer(model, 16000).process(samples[None])[0]).max() <= TOLERANCE
