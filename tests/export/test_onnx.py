"""The ONNX graph does what the engine does."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from deepnmf import Enhancer
from deepnmf.audio import files as audio
from deepnmf.dsp.stft import synthesis_window, window
from deepnmf.enhancement.arrays import enhance_array
from deepnmf.enhancement.rates import spec_at_rate
from deepnmf.errors import DeepnmfError
from deepnmf.export.onnx import ATTENUATION, TOLERANCE, ExportOptions, disagreement, export_onnx, state_shapes
from deepnmf.model import load_model, save_model
from deepnmf.onnx_runtime import open_session
from helpers import ROOT
from helpers.enhance_cli import run
from helpers.enhance_models import hum_and_hiss, recurrent_model, small_model
from helpers.networks import untrained

onnxruntime = pytest.importorskip("onnxruntime")


MODELS = {
    "frame-wise": small_model(),
    "with context": small_model(3),
    "recurrent": recurrent_model(),
    "recurrent, two layers": recurrent_model(2, 2),
    "recurrent, no layers": recurrent_model(0),
    "recurrent, with fusion": recurrent_model(2, 2, fusion=7),
    "with a filter": recurrent_model(2, 2, fusion=7, filter_units=6),
    "with a filter of one frame": recurrent_model(0, filter_units=1, filter_frames=1),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_agrees_with_the_engine_hop_by_hop(tmp_path: Path, name: str) -> None:
    export_onnx(MODELS[name], tmp_path / "m.onnx")
    assert disagreement(MODELS[name], tmp_path / "m.onnx", hops=400) <= TOLERANCE


@pytest.mark.parametrize("state", ["cell.0", "subband", "filter", "past_frames"])
def test_a_recurrent_graph_needs_its_states(tmp_path: Path, state: str) -> None:
    import onnxruntime

    model = MODELS["with a filter"]
    export_onnx(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    states = {name: np.zeros(shape, np.float32) for name, shape in state_shapes(model).items()}
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
        "pauses": (2, 10),
        "highest_gain": (1,),
        "cell.0": (2, 1, 12),
        "cell.1": (2, 1, 12),
        "subband": (2, 10, 6),
    }
    filtered = state_shapes(recurrent_model(filter_units=5, filter_frames=3))
    assert list(filtered) == [
        *("analysis", "level", "synthesis", "pauses", "highest_gain"),
        *("past_frames", "cell.0", "subband", "filter"),
    ]
    assert (filtered["past_frames"], filtered["filter"]) == ((2, 3, 96), (2, 96, 5))
    assert inputs == {"samples": (160,), **states}
    assert outputs == {"enhanced": (160,), **{f"{name}_next": shape for name, shape in states.items()}}
    known = {"rate_hz": "16000", "hop_samples": "160", "delay_samples": "240", "latency_samples": "400"}
    expected = {**known, "warm_up_hops": "300", "cleared_after_warm_up": "analysis,synthesis", ATTENUATION: "none"}
    assert session.get_modelmeta().custom_metadata_map == expected


@pytest.mark.parametrize("rate_hz", [16000, 48000, 44100, 8000, 22050])
def test_transforms_by_small_products_are_the_transforms(rate_hz: int) -> None:
    import torch

    from deepnmf.export.fourier import Transform

    spec = spec_at_rate(small_model().features.stft, rate_hz)
    frame = np.random.default_rng(0).standard_normal(spec.window).astype(np.float32)
    expected = np.fft.rfft(frame * window(spec), spec.fft_size)
    transform = Transform(spec)
    real, imaginary = transform.analyse(torch.from_numpy(frame)).numpy()
    assert np.abs(real + 1j * imaginary - expected).max() < 1e-4
    wave = np.fft.irfft(expected, spec.fft_size)[: spec.window] * synthesis_window(spec)
    parts = torch.from_numpy(np.stack([expected.real, expected.imag]).astype(np.float32))
    assert np.abs(transform.synthesise(parts).numpy() - wave).max() < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        ExportOptions(48000),
        ExportOptions(48000, attenuation_input=True),
        ExportOptions(44100, max_attenuation_db=12),
        ExportOptions(8000, max_attenuation_db=0),
        ExportOptions(4000, max_attenuation_db=12),
        ExportOptions(attenuation_input=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["with context", "recurrent", "with a filter"])
def test_other_rates_and_limits_agree_with_the_engine(tmp_path: Path, name: str, options: ExportOptions) -> None:
    export_onnx(MODELS[name], tmp_path / "m.onnx", options)
    assert disagreement(MODELS[name], tmp_path / "m.onnx", 400, options) <= TOLERANCE


def enhanced_by_graph(graph: Path, samples: np.ndarray, warm_up: bool, limit_db: float | None = None) -> np.ndarray:
    """Run a recording ``(n,)`` through a graph as docs/export.md describes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph))
    known = session.get_modelmeta().custom_metadata_map
    hop, late = int(known["hop_samples"]), int(known["delay_samples"])
    states = {entry.name: np.zeros(entry.shape, np.float32) for entry in session.get_inputs()[1:]}
    limit = {} if limit_db is None else {ATTENUATION: np.full(1, limit_db, np.float32)}
    states.pop(ATTENUATION, None)

    def run_hops(blocks: np.ndarray) -> list[np.ndarray]:
        pieces = []
        for block in blocks:
            piece, *following = session.run(None, {"samples": block, **limit, **states})
            states.update(zip(states, following, strict=True))
            pieces.append(piece)
        return pieces

    if warm_up:
        hops = min(int(known["warm_up_hops"]), len(samples) // hop)
        run_hops(samples[: hops * hop].reshape(hops, hop))
        for name in known["cleared_after_warm_up"].split(","):
            states[name] = np.zeros_like(states[name])
    padded = np.pad(samples, (0, -(len(samples) + late) % hop + late))
    return np.concatenate(run_hops(padded.reshape(-1, hop)))[late : late + len(samples)]


@pytest.mark.parametrize("of", ["small", "with a filter"])
@pytest.mark.parametrize("limit_db", [None, 9.0])
@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_whole_recordings_and_streams_equal_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int, limit_db: float | None, of: str
) -> None:
    trained = MODELS[of] if of in MODELS else load_model(of)
    save_model(tmp_path / "m.safetensors", trained)
    name = "noisy.wav" if rate_hz == 16000 else "noisy_48k_stereo.flac"
    samples = audio.read(ROOT / "examples" / name)[0][:1, : 4 * rate_hz + 77]
    audio.write(tmp_path / "in.wav", samples, rate_hz, "FLOAT")
    limit = () if limit_db is None else ("--max-attenuation-db", str(limit_db))
    model = ("--model", str(tmp_path / "m.safetensors"))
    assert run(monkeypatch, "enhance", tmp_path / "in.wav", "-o", tmp_path / "out.wav", *limit, *model) == 0
    export = ("export", tmp_path / "m.onnx", "--rate-hz", str(rate_hz), *model)
    assert run(monkeypatch, *export, *(("--attenuation-input",) if limit else ())) == 0
    whole = enhanced_by_graph(tmp_path / "m.onnx", samples[0], True, limit_db)
    assert np.abs(whole - audio.read(tmp_path / "out.wav")[0][0]).max() < 1e-4
    stream = Enhancer(trained, rate_hz, max_attenuation_db=limit_db)
    chunks = [stream.process(samples[:, at : at + 1000]) for at in range(0, samples.shape[1], 1000)]
    expected = np.concatenate([*chunks, stream.flush()], axis=1)[0]
    assert np.abs(enhanced_by_graph(tmp_path / "m.onnx", samples[0], False, limit_db) - expected).max() < 1e-4
    assert np.abs(whole - expected).max() > 1e-3


def test_a_limit_of_infinity_is_none(tmp_path: Path) -> None:
    samples = hum_and_hiss(16000)
    for name, options in (("free", ExportOptions()), ("input", ExportOptions(attenuation_input=True))):
        export_onnx(MODELS["with a filter"], tmp_path / f"{name}.onnx", options)
    free = enhanced_by_graph(tmp_path / "free.onnx", samples, True)
    assert np.abs(enhanced_by_graph(tmp_path / "input.onnx", samples, True, math.inf) - free).max() < 1e-6


@pytest.mark.parametrize("rate_hz", [16000, 8000, 48000])
@pytest.mark.parametrize("filter_units", [0, 6])
def test_pauses_are_attenuated_further_as_by_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filter_units: int, rate_hz: int
) -> None:
    model, samples = recurrent_model(20, filter_units=filter_units), hum_and_hiss(rate_hz)
    export_onnx(model, tmp_path / "m.onnx", ExportOptions(rate_hz))
    whole = enhance_array(samples, rate_hz, model)
    assert np.abs(enhanced_by_graph(tmp_path / "m.onnx", samples, True) - whole).max() <= TOLERANCE
    stream = Enhancer(model, rate_hz)
    expected = np.concatenate([stream.process(samples[None]), stream.flush()], axis=1)[0]
    assert np.abs(enhanced_by_graph(tmp_path / "m.onnx", samples, False) - expected).max() <= TOLERANCE
    monkeypatch.setattr(type(model.network), "ATTENUATES_PAUSES", False)
    assert "pauses" not in state_shapes(model)
    pause = slice(rate_hz, None)
    without = enhance_array(samples, rate_hz, model)
    assert np.square(whole[pause]).sum() < 0.2 * np.square(without[pause]).sum()


@pytest.mark.parametrize(
    "arguments",
    [("--rate-hz", "100"), ("--max-attenuation-db", "3", "--attenuation-input"), ("--rate-hz", "1000000")],
)
def test_what_a_graph_cannot_have_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    assert run(monkeypatch, "export", tmp_path / "m.onnx", *arguments) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports_the_default_model_and_names_its_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", tmp_path / "m.onnx") == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "160 samples per call at 16000 Hz, delayed by 240" in output
    assert all(f"{name} {list(shape)}" in output for name, shape in state_shapes(load_model()).items())
    assert disagreement(load_model(), tmp_path / "m.onnx") <= TOLERANCE


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="gru cannot be exported"):
        export_onnx(dataclasses.replace(small_model(), network=untrained("gru")), tmp_path / "m.onnx")


def test_no_telemetry_of_onnx_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: calls.append("disabled"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: calls.append("opened"))
    open_session(tmp_path / "graph.onnx")
    assert calls == ["disabled", "opened"]
