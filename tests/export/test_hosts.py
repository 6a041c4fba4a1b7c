"""The examples in other languages compile, and give what `deepnmf enhance` gives."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deepnmf import Enhancer
from deepnmf.audio import files as audio
from deepnmf.enhancement.files import FileOptions, enhance_file
from deepnmf.export.onnx import ExportOptions, export_onnx
from helpers import ROOT
from helpers.enhance_models import recurrent_model
from helpers.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow
onnxruntime = pytest.importorskip("onnxruntime")
NATIVE, JAVASCRIPT = ROOT / "examples" / "native", ROOT / "examples" / "javascript"
MODEL = recurrent_model(filter_units=6)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the library of the Python wheel under the names that linkers look for."""
    found = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    if not found:
        pytest.skip("the wheel of onnxruntime holds no shared library")
    folder = tmp_path_factory.mktemp("library")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(found[0])
    return folder


def compiled(compiler: str, *arguments: str | Path, output: Path, library: Path) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    libraries = ["-l", "onnxruntime"] if compiler == "rustc" else ["-lonnxruntime", "-lm"]
    command = [compiler, *arguments, "-L", library, *libraries, "-o", output]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")  # no warning either
    return output


def command_for(language: str, folder: Path, request: pytest.FixtureRequest) -> list[str | Path]:
    """Return how to start the example of a language."""
    if language == "javascript":
        node = shutil.which("node")
        if node is None or subprocess.run([node, "-e", "require('onnxruntime-web')"], capture_output=True).returncode:
            pytest.skip("node or onnxruntime-web is missing; NODE_PATH leads to packages")
        return [node, JAVASCRIPT / "enhance.js"]
    library = request.getfixturevalue("library")
    if language == "rust":
        arguments = ("--edition", "2021", "-O", NATIVE / "enhance.rs")
        return [compiled("rustc", *arguments, output=folder / "enhance", library=library)]
    arguments = ("-std=c++11", "-Wall", "-Wextra", "-O2", NATIVE / "enhance.cpp")
    return [compiled("g++", *arguments, output=folder / "enhance", library=library)]


def environment(request: pytest.FixtureRequest, language: str, **more: str) -> dict[str, str]:
    path = "" if language == "javascript" else str(request.getfixturevalue("library"))
    return {**os.environ, "LD_LIBRARY_PATH": path, **more}


@pytest.mark.parametrize("language", ["c++", "rust", "javascript"])
def test_an_example_gives_what_the_command_line_gives(
    language: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    command = command_for(language, tmp_path, request)
    for rate_hz, limit_db in ((16000, None), (48000, 9.0)):
        samples = audio.resample(audio.read(ROOT / "examples" / "noisy.wav")[0][:, :64077], 16000, rate_hz)
        audio.write(tmp_path / "in.wav", samples, rate_hz, "FLOAT")
        enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", MODEL, FileOptions(limit_db))
        export_onnx(MODEL, tmp_path / "m.onnx", ExportOptions(rate_hz, attenuation_input=limit_db is not None))
        samples[0].astype("<f4").tofile(tmp_path / "in.f32")
        names = ["m.onnx", "in.f32", "out.f32", *([] if limit_db is None else [str(limit_db)])]
        subprocess.run(
            [*command, *names], cwd=tmp_path, env=environment(request, language), check=True, timeout=PATIENCE_SECONDS
        )
        found = np.fromfile(tmp_path / "out.f32", "<f4")
        assert np.abs(found - audio.read(tmp_path / "out.wav")[0][0]).max() < 1e-4


@pytest.mark.parametrize("language", ["c++", "rust", "javascript"])
def test_an_example_names_a_graph_that_is_missing(
    language: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    command = [*command_for(language, tmp_path, request), "none.onnx", "in.f32", "out.f32"]
    env = environment(request, language)
    (tmp_path / "in.f32").write_bytes(bytes(4000))
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert result.returncode == 1
    assert "none.onnx" in result.stderr


def test_the_ladspa_plugin_gives_what_a_stream_gives(
    tmp_path: Path, library: Path, request: pytest.FixtureRequest
) -> None:
    if shutil.which("applyplugin") is None:
        pytest.skip("no applyplugin (Debian: ladspa-sdk)")
    arguments = ("-Wall", "-Wextra", "-O2", "-shared", "-fPIC", NATIVE / "ladspa.c")
    plugin = compiled("gcc", *arguments, output=tmp_path / "deepnmf_ladspa.so", library=library)
    export_onnx(MODEL, tmp_path / "m.onnx", ExportOptions(48000, attenuation_input=True))
    samples = audio.resample(audio.read(ROOT / "examples" / "noisy.wav")[0][:, :32077], 16000, 48000)
    audio.write(tmp_path / "in.wav", samples, 48000)
    command = ["applyplugin", tmp_path / "in.wav", tmp_path / "out.wav", plugin, "deepnmf", "9"]
    env = environment(request, "c", DEEPNMF_GRAPH=str(tmp_path / "m.onnx"))
    subprocess.run(command, env=env, check=True, capture_output=True)
    found = audio.read(tmp_path / "out.wav")[0][0, 1200:]  # the latency, one window
    stream = Enhancer(MODEL, 48000, max_attenuation_db=9)
    expected = stream.process(audio.read(tmp_path / "in.wav")[0])[0][: len(found)]
    assert len(expected) > 90_000
    assert np.abs(found[: len(expected)] - expected).max() < 2 / 2**15
