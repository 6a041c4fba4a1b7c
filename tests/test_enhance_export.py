"""The ONNX graph does what the engine does."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deepnmf import Enhancer
from deepnmf.errors import DeepnmfError
from deepnmf.export import TOLERANCE, disagreement, export_onnx, fourier_matrices, state_shapes
from deepnmf.stft import Analyser, Synthesiser
from enhance_models import small_model

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("context", [1, 3])
def test_the_graph_agrees_with_the_engine_hop_by_hop(tmp_path: Path, context: int) -> None:
    model = small_model(context)
    export_onnx(model, tmp_path / "m.onnx")
    assert disagreement(model, tmp_path / "m.onnx", hops=400) <= TOLERANCE


def test_names_and_shapes_are_as_documented(tmp_path: Path) -> None:
    import onnxruntime

    export_onnx(small_model(3), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    inputs = {entry.name: tuple(entry.shape) for entry in session.get_inputs()}
    outputs = {entry.name: tuple(entry.shape) for entry in session.get_outputs()}
    states = state_shapes(small_model(3))
    assert list(states) == ["analysis", "level", "synthesis", "context"]
    assert list(state_shapes(small_model(1))) == ["analysis", "level", "synthesis"]
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


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="only frame-wise deep NMF"):
        export_onnx(dataclasses.replace(small_model(), network=object()), tmp_path / "m.onnx")  # type: ignore[arg-type]


def test_the_javascript_of_the_documentation(tmp_path: Path) -> None:
    """Needs node, and the variable NODE_PATH to lead to onnxruntime-web."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('onnxruntime-web')"], capture_output=True).returncode:
        pytest.skip("node or onnxruntime-web is missing")
    page = Path(__file__).parents[1] / "docs/export.md"
    script = page.read_text(encoding="utf-8").split("```js\n")[1].split("```")[0]
    (tmp_path / "enhance.js").write_text(script, encoding="utf-8")
    samples = (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)
    samples.tofile(tmp_path / "in.f32")
    model = small_model(3)
    export_onnx(model, tmp_path / "m.onnx")
    subprocess.run([node, "enhance.js", "m.onnx", "in.f32", "out.f32"], cwd=tmp_path, check=True, timeout=60)
    output = np.fromfile(tmp_path / "out.f32", np.float32)[240:]
    assert np.abs(output - Enhancer(model, 16000).process(samples[None])[0]).max() <= TOLERANCE
