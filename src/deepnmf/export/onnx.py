"""Export of a model to ONNX: one hop of samples in, one hop out, every state an explicit input and output.

The graph holds everything: analysis, level, mask (:mod:`deepnmf.export.steps`) and synthesis. A host
application needs no Fourier transform and keeps only the state tensors between calls.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..artifacts import atomic_path
from ..dsp.level import LEVEL_FLOOR
from ..dsp.stft import synthesis_window, window
from ..errors import DeepnmfError, require

if TYPE_CHECKING:
    import torch

    from ..config import StftSpec
    from ..model import Model

OPSET = 17
TOLERANCE = 1e-5
"""Largest difference from the engine that an export may have."""


def export_onnx(model: Model, path: Path) -> None:
    """Write the model as an ONNX graph and check it against the engine, hop by hop.

    Parameters
    ----------
    model : Model
        A deep NMF model, frame-wise or recurrent.
    path : Path
        File to write, ``.onnx``.

    Raises
    ------
    DeepnmfError
        If the ``onnx`` extra is missing, the model is of another kind, or the graph does not agree with the engine.
    """
    require("ONNX export", "torch", "onnx", "onnxruntime")
    import onnx
    import torch

    step = _step_module(model)
    states = state_shapes(model)
    inputs = (torch.zeros(model.features.stft.hop), *(torch.zeros(shape) for shape in states.values()))
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns about shapes, which are constants here
            torch.onnx.export(
                step,
                inputs,
                str(temporary),
                input_names=["samples", *states],
                output_names=["enhanced", *(f"{name}_next" for name in states)],
                opset_version=OPSET,
                dynamo=False,
            )
        graph = onnx.load(str(temporary))
        spec = model.features.stft
        onnx.helper.set_model_props(graph, {"rate_hz": str(spec.rate_hz), "delay_samples": str(delay(spec))})
        onnx.save(graph, str(temporary))
        if (error_found := disagreement(model, temporary)) > TOLERANCE:
            raise DeepnmfError(f"{path}: the exported graph differs from the engine by {error_found:.1e}; not written")


def delay(spec: StftSpec) -> int:
    """Return how many samples the graph's output lags behind its input."""
    return spec.window - spec.hop


def state_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Return name and shape of the states; they start as zeros, and outputs have ``_next`` after the name."""
    from .steps import mask_step

    spec = model.features.stft
    segments = -(-spec.window // spec.hop)
    states = {"analysis": (spec.window - spec.hop,), "level": (2,), "synthesis": (segments - 1, spec.hop)}
    return {**states, **mask_step(model.network).states}


def disagreement(model: Model, path: Path, hops: int = 50) -> float:
    """Return the largest difference between graph and engine over `hops` hops of intermittent hum and noise."""
    import onnxruntime

    from ..enhancement import Enhancer

    spec = model.features.stft
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    states = {name: np.zeros(shape, np.float32) for name, shape in state_shapes(model).items()}
    seconds = np.arange(hops * spec.hop) / spec.rate_hz
    hum = sum(np.sin(2 * np.pi * pitch_hz * seconds) for pitch_hz in range(150, spec.rate_hz // 4, 150))
    samples = hum / 20 + np.random.default_rng(0).standard_normal(len(seconds)) / 40
    samples = (samples * np.sin(20 * seconds) ** 2).astype(np.float32)
    pieces = []
    for block in samples.reshape(hops, spec.hop):
        piece, *following = session.run(None, {"samples": block, **states})
        states = dict(zip(states, following, strict=True))
        pieces.append(piece)
    found = np.concatenate(pieces)[delay(spec) :]
    expected = Enhancer(model, spec.rate_hz).process(samples[None])[0]
    return float(np.abs(found - expected).max())


def fourier_matrices(spec: StftSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return windowed analysis ``(2F, window)`` and synthesis ``(window, 2F)``, real parts before imaginary ones."""
    size = spec.fft_size
    analysis = np.fft.rfft(np.eye(spec.window, size) * window(spec)[:, None], axis=1).T
    basis = np.eye(spec.bins)
    inverse = np.concatenate([np.fft.irfft(basis, size, axis=1), np.fft.irfft(1j * basis, size, axis=1)])
    synthesis = inverse[:, : spec.window].T * synthesis_window(spec)[:, None]
    return np.concatenate([analysis.real, analysis.imag]).astype(np.float32), synthesis.astype(np.float32)


def _step_module(model: Model) -> torch.nn.Module:
    """Return one hop of enhancement as a torch module without state of its own."""
    import torch
    from torch.nn.functional import linear

    from .steps import mask_step

    features, spec = model.features, model.features.stft
    estimate = mask_step(model.network)
    analysis, synthesis = (torch.from_numpy(matrix) for matrix in fourier_matrices(spec))
    least_weight = min(1.0, spec.hop / spec.rate_hz / features.level_seconds)
    segments = -(-spec.window // spec.hop)
    missing = segments * spec.hop - spec.window

    class Step(torch.nn.Module):
        def forward(self, samples: Any, past: Any, level: Any, tail: Any, *memory: Any) -> tuple[Any, ...]:
            frame = torch.cat([past, samples])
            spectrum = linear(frame[None], analysis).reshape(2, spec.bins, 1)  # a row: ONNX Runtime is slow at columns
            magnitudes = spectrum.square().sum(0).sqrt()
            level = _next_level(level, magnitudes.square().mean(), least_weight)
            mask, *remembered = estimate(magnitudes / level[0].sqrt().clamp(min=LEVEL_FLOOR), *memory)
            wave = linear((spectrum * mask).reshape(1, -1), synthesis)
            added = torch.cat([wave[0], torch.zeros(missing)]).reshape(segments, spec.hop)
            added = added + torch.cat([tail, torch.zeros(1, spec.hop)])
            return (added[0], frame[spec.hop :], level, added[1:], *remembered)

    return Step()


def _next_level(level: Any, power: Any, least_weight: float) -> Any:
    """Return ``(power, frames counted)`` after a frame: :class:`deepnmf.dsp.level.LevelTracker` on tensors."""
    import torch

    heard = (power > LEVEL_FLOOR**2).to(level.dtype)
    counted = (level[1] + heard).clamp(max=1 / least_weight + 1)  # beyond this the weight is constant
    weight = torch.clamp(1 / counted.clamp(min=1), min=least_weight) * heard
    return torch.stack([level[0] + weight * (power - level[0]), counted])
