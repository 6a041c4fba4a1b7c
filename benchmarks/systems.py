"""deepnmf and baselines behind one interface: mono frames of float32 in, frames of the same length out."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Process = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Opened:
    """An open system: rate, frame length (0 is the complete recording), and the function that processes a frame."""

    rate_hz: int
    frame: int
    process: Process


def deepnmf_system(model: str, rate_hz: int = 16000) -> Opened:
    """Open deepnmf in streaming form, in frames of 10 ms."""
    from deepnmf import Enhancer, load_model

    enhancer = Enhancer(load_model(model), rate_hz)
    return Opened(rate_hz, rate_hz // 100, lambda frame: enhancer.process(frame[None])[0])


def rnnoise(_: str) -> Opened:
    """Open RNNoise: the C library that pyrnnoise ships, called without its Python layer (which imports much more)."""
    spec = importlib.util.find_spec("pyrnnoise")
    if spec is None or spec.origin is None:
        raise SystemExit("pyrnnoise is missing: pip install '.[benchmark]'")
    library = ctypes.CDLL(str(Path(spec.origin).with_name("librnnoise.so")))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(ctypes.c_float)] * 2
    state = library.rnnoise_create(None)
    pointer = ctypes.POINTER(ctypes.c_float)

    def process(frame: np.ndarray) -> np.ndarray:
        scaled = frame * np.float32(32768)
        library.rnnoise_process_frame(state, scaled.ctypes.data_as(pointer), scaled.ctypes.data_as(pointer))
        return scaled / np.float32(32768)

    return Opened(48000, 480, process)


def webrtc(_: str) -> Opened:
    """Open WebRTC's suppressor at level 2, without gain control."""
    from webrtc_noise_gain import AudioProcessor

    processor = AudioProcessor(0, 2)
    return Opened(16000, 160, lambda frame: _from_pcm(processor.Process10ms(_to_pcm(frame)).audio))


def speex(_: str) -> Opened:
    """Open the speexdsp suppressor."""
    from speexdsp_ns import NoiseSuppression

    suppressor = NoiseSuppression.create(160, 16000)
    return Opened(16000, 160, lambda frame: _from_pcm(suppressor.process(_to_pcm(frame))))


def noisereduce(_: str) -> Opened:
    """Open noisereduce with its defaults; it needs the complete recording."""
    import noisereduce as reducer

    return Opened(16000, 0, lambda samples: reducer.reduce_noise(y=samples, sr=16000))


SYSTEMS: dict[str, Callable[[str], Opened]] = {
    "deepnmf": deepnmf_system,
    "deepnmf at 48 kHz": lambda model: deepnmf_system(model, 48000),
    "RNNoise": rnnoise,
    "WebRTC": webrtc,
    "speexdsp": speex,
    "noisereduce": noisereduce,
}


def _to_pcm(frame: np.ndarray) -> bytes:
    return np.clip(np.rint(frame * 32768), -32768, 32767).astype("<i2").tobytes()


def _from_pcm(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def run(opened: Opened, samples: np.ndarray) -> np.ndarray:
    """Return the output for ``(samples,)``, complete frames only, not delay-compensated."""
    frame = opened.frame or len(samples)
    pieces = [opened.process(samples[at : at + frame]) for at in range(0, len(samples) - frame + 1, frame)]
    return np.concatenate(pieces)
