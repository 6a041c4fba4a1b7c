"""Export of a model to ONNX: one hop of samples in, one hop out, every state an explicit input and output.

The graph holds everything: analysis, level, mask, further attenuation in pauses, filter over several frames, limit of
the attenuation, the gain above the model's band and synthesis (:mod:`deepnmf.export.chain`), at the model's rate or
another one. A host application needs no Fourier transform and keeps only the state tensors between calls.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..artifacts import atomic_path
from ..enhancement.rates import spec_at_rate, upper_band
from ..enhancement.warm_up import WARM_UP_SECONDS
from ..errors import DeepnmfError, InputError, require
from ..onnx_runtime import open_session

if TYPE_CHECKING:
    from ..config import StftSpec
    from ..model import Model

OPSET = 17
TOLERANCE = 1e-5
"""Largest difference from the engine that an export may have."""
ATTENUATION = "max_attenuation_db"
"""Name of the input with the limit; infinity sets none."""
OF_AUDIO = ("analysis", "synthesis", "past_frames")
"""States that hold audio: they are zero again after a warm-up, which keeps the others."""


@dataclass(frozen=True)
class ExportOptions:
    """What is fixed in a graph.

    Attributes
    ----------
    rate_hz : int or None
        Sampling rate of its samples, 2 to 768 kHz; the model's own by default. Bands above the model's are carried as
        :class:`deepnmf.Enhancer` does.
    max_attenuation_db : float or None
        Maximum attenuation; no limit by default.
    attenuation_input : bool
        Whether the limit is an input of the graph, ``max_attenuation_db`` of shape (1,), instead.
    """

    rate_hz: int | None = None
    max_attenuation_db: float | None = None
    attenuation_input: bool = False

    def __post_init__(self) -> None:
        limit = self.max_attenuation_db
        if limit is not None and not limit >= 0:
            raise InputError(f"max_attenuation_db must be at least 0 dB, not {limit}")
        if limit is not None and self.attenuation_input:
            raise InputError("the maximum attenuation is an input of the graph or a value, not both")

    def spec(self, model: Model) -> StftSpec:
        """Return the transform of the graph."""
        spec = model.features.stft
        return spec if self.rate_hz is None else spec_at_rate(spec, self.rate_hz)


def export_onnx(model: Model, path: Path, options: ExportOptions | None = None) -> None:
    """Write the model as an ONNX graph and check it against the engine, hop by hop.

    Parameters
    ----------
    model : Model
        A model, of any kind but ``gru`` and ``lstm``.
    path : Path
        File to write, ``.onnx``.
    options : ExportOptions, optional
        Sampling rate and maximum attenuation.

    Raises
    ------
    DeepnmfError
        If the ``onnx`` extra is missing, the model is of those kinds, or the graph does not agree with the engine.
    """
    options = options or ExportOptions()
    require("ONNX export", "torch", "onnx", "onnxruntime")
    import onnx
    import torch

    from .chain import chain

    states = state_shapes(model, options)
    limit = {ATTENUATION: torch.full((1,), math.inf)} if options.attenuation_input else {}
    named = {"samples": torch.zeros(options.spec(model).hop), **limit}
    named |= {name: torch.zeros(shape) for name, shape in states.items()}
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns about shapes, which are constants here
            torch.onnx.export(
                chain(model, options),
                tuple(named.values()),
                str(temporary),
                input_names=list(named),
                output_names=["enhanced", *(f"{name}_next" for name in states)],
                opset_version=OPSET,
                dynamo=False,
            )
        graph = onnx.load(str(temporary))
        onnx.helper.set_model_props(graph, properties(model, options))
        onnx.save(graph, str(temporary))
        if (error_found := disagreement(model, temporary, options=options)) > TOLERANCE:
            raise DeepnmfError(f"{path}: the exported graph differs from the engine by {error_found:.1e}; not written")


def properties(model: Model, options: ExportOptions) -> dict[str, str]:
    """Return the metadata of the graph that a host needs."""
    spec = options.spec(model)
    limit = "none" if options.max_attenuation_db is None else f"{options.max_attenuation_db:g}"
    return {
        "rate_hz": str(spec.rate_hz),
        "hop_samples": str(spec.hop),
        "delay_samples": str(delay(spec)),
        "latency_samples": str(spec.window),
        "warm_up_hops": str(int(WARM_UP_SECONDS * spec.rate_hz) // spec.hop),
        "cleared_after_warm_up": ",".join(name for name in state_shapes(model, options) if name in OF_AUDIO),
        ATTENUATION: "input" if options.attenuation_input else limit,
    }


def delay(spec: StftSpec) -> int:
    """Return how many samples the graph's output lags behind its input."""
    return spec.window - spec.hop


def state_shapes(model: Model, options: ExportOptions | None = None) -> dict[str, tuple[int, ...]]:
    """Return name and shape of the states; they start as zeros, and outputs have ``_next`` after the name.

    A warm-up clears those of `OF_AUDIO` (samples, spectra of past frames) and keeps the others (level, upper band,
    pauses, network).
    """
    from .multi_frame import past_shape
    from .pauses import pauses_states
    from .steps import mask_step

    spec = (options or ExportOptions()).spec(model)
    segments = -(-spec.window // spec.hop)
    states: dict[str, tuple[int, ...]] = {
        "analysis": (spec.window - spec.hop,),
        "level": (2,),
        "synthesis": (segments - 1, spec.hop),
    }
    if spec.bins > model.features.stft.bins:
        states["upper_band"] = (2 + 2 * len(upper_band(model.features.stft, spec).steps),)
    if model.network.ATTENUATES_PAUSES:
        states |= pauses_states(model.features.stft.bins)
    if (multi_frame := model.network.multi_frame) is not None:
        states["past_frames"] = past_shape(multi_frame, spec)
    return {**states, **mask_step(model.network).states}


def disagreement(model: Model, path: Path, hops: int = 50, options: ExportOptions | None = None) -> float:
    """Return the largest difference between graph and engine over `hops` hops of intermittent hum and noise."""
    from ..enhancement import Enhancer

    options = options or ExportOptions()
    spec, limit_db = options.spec(model), 12.0 if options.attenuation_input else options.max_attenuation_db
    session = open_session(path)
    states = {name: np.zeros(shape, np.float32) for name, shape in state_shapes(model, options).items()}
    limit = {ATTENUATION: np.full(1, limit_db, np.float32)} if options.attenuation_input else {}
    pieces = []
    for block in _hum_and_noise(spec, hops).reshape(hops, spec.hop):
        piece, *following = session.run(None, {"samples": block, **limit, **states})
        states = dict(zip(states, following, strict=True))
        pieces.append(piece)
    found = np.concatenate(pieces)[delay(spec) :]
    enhancer = Enhancer(model, spec.rate_hz, max_attenuation_db=limit_db)
    expected = enhancer.process(_hum_and_noise(spec, hops)[None])[0]
    return float(np.abs(found - expected).max())


def _hum_and_noise(spec: StftSpec, hops: int) -> np.ndarray:
    seconds = np.arange(hops * spec.hop) / spec.rate_hz
    hum = sum(np.sin(2 * np.pi * pitch_hz * seconds) for pitch_hz in range(150, spec.rate_hz // 4, 150))
    samples = hum / 20 + np.random.default_rng(0).standard_normal(len(seconds)) / 40
    return (samples * np.sin(20 * seconds) ** 2).astype(np.float32)
