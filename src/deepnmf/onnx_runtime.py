"""Sessions of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_session(path: Path, threads: int = 0) -> Any:
    """Return a session for a graph, on the processor, without the telemetry that builds of 1.32 have.

    Parameters
    ----------
    path : Path
        The graph.
    threads : int
        Number of threads; 0 leaves it to the runtime.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
