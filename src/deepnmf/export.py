"""Export of a model to ONNX: one hop of samples in, one hop out, every state an explicit input and output.

The graph holds everything: analysis, level, mask and synthesis. Whoever runs it needs no Fourier transform of their own
and keeps only the state tensors between calls. The mask comes from the same definition as everywhere else
(:mod:`deepnmf.unfolding`), traced.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .artifacts import atomic_path
from .errors import DeepnmfError
from .level import LEVEL_FLOOR
from .network import DeepNMF
from .stft import synthesis_window, window

if TYPE_CHECKING:
    import torch

    from .config import StftSpec
    from .model import Model

OPSET = 17
TOLERANCE = 1e-5
"""Largest difference from the engine that an export may have."""


def export_onnx(model: Model, path: Path) -> None:
    """Write the model as an ONNX graph and check it against the engine, hop by hop.

    Parameters
    ----------
    model : Model
        A deep NMF model.
    path : Path
        File to write, ``.onnx``.

    Raises
    ------
    DeepnmfError
        If the ``onnx`` extra is missing, the model is of another kind, or the graph does not agree with the engine.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 - needed by the check
        import torch
    except ImportError as error:
        raise DeepnmfError(f"export needs {error.name}: pip install 'deepnmf[onnx]'") from None
    step = _step_module(model)
    states = state_shapes(model)
    inputs = (torch.zeros(model.features.stft.hop), *(torch.zeros(shape) for shape in states.values()))
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of shapes, which are constants here
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
    """Return name and shape of the states; they start as zeros, and the graph's outputs have ``_next`` after the name.

    ``context`` is there only if the model looks at earlier frames.
    """
    spec = model.features.stft
    rows = _framewise(model).dictionaries[0].shape[0]
    segments = -(-spec.window // spec.hop)
    states = {"analysis": (spec.window - spec.hop,), "level": (2,), "synthesis": (segments - 1, spec.hop)}
    return {**states, "context": (rows - spec.bins, 1)} if rows > spec.bins else states


def disagreement(model: Model, path: Path, hops: int = 50) -> float:
    """Return the largest difference between graph and engine over `hops` hops of noise that comes and goes."""
    import onnxruntime

    from .enhancement import Enhancer

    spec = model.features.stft
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    states = {name: np.zeros(shape, np.float32) for name, shape in state_shapes(model).items()}
    loudness = np.sin(np.arange(hops * spec.hop) / spec.rate_hz * 20) ** 2
    samples = 0.1 * np.random.default_rng(0).standard_normal(hops * spec.hop).astype(np.float32)
    samples = (samples * loudness).astype(np.float32)
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


def _framewise(model: Model) -> DeepNMF:
    if not isinstance(model.network, DeepNMF):
        raise DeepnmfError("only frame-wise deep NMF models can be exported so far; use --model framewise")
    return model.network


def _step_module(model: Model) -> torch.nn.Module:
    """Return one hop of enhancement as a torch module without state of its own."""
    import torch

    features, spec = model.features, model.features.stft
    network = _framewise(model)
    network = network.replaced(
        tuple(torch.from_numpy(np.ascontiguousarray(W)) for W in network.dictionaries),
        torch.from_numpy(np.ascontiguousarray(network.output)),
    )
    analysis, synthesis = (torch.from_numpy(matrix) for matrix in fourier_matrices(spec))
    least_weight = min(1.0, spec.hop / spec.rate_hz / features.level_seconds)
    segments = -(-spec.window // spec.hop)
    missing = segments * spec.hop - spec.window

    class Step(torch.nn.Module):
        def forward(self, samples: Any, past: Any, level: Any, tail: Any, *context: Any) -> tuple[Any, ...]:
            frame = torch.cat([past, samples])
            spectrum = (analysis @ frame).reshape(2, spec.bins, 1)
            magnitudes = spectrum.square().sum(0).sqrt()
            level = _next_level(level, magnitudes.square().mean(), least_weight)
            m = torch.cat([*context, magnitudes / level[0].sqrt().clamp(min=LEVEL_FLOOR)])
            wave = synthesis @ (spectrum * network.mask(m)).reshape(-1)
            added = torch.cat([wave, torch.zeros(missing)]).reshape(segments, spec.hop)
            added = added + torch.cat([tail, torch.zeros(1, spec.hop)])
            states = (frame[spec.hop :], level, added[1:])
            return (added[0], *states, m[spec.bins :]) if context else (added[0], *states)

    return Step()


def _next_level(level: Any, power: Any, least_weight: float) -> Any:
    """Return ``(power, frames counted)`` after a frame: :class:`deepnmf.level.LevelTracker` on tensors."""
    import torch

    heard = (power > LEVEL_FLOOR**2).to(level.dtype)
    counted = (level[1] + heard).clamp(max=1 / least_weight + 1)  # past this the weight stays the same
    weight = torch.clamp(1 / counted.clamp(min=1), min=least_weight) * heard
    return torch.stack([level[0] + weight * (power - level[0]), counted])
