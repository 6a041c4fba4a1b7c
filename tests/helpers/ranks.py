"""Processes as torchrun starts them, and what each of them computes for the tests of distributed training.

Run as a program, it is one of them: ``python -m helpers.ranks CASE FOLDER``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnmf.errors import InputError
from deepnmf.networks.kinds import KINDS, configuration
from deepnmf.nmf.partition import Partition
from deepnmf.nmf.sparse_nmf import SparseNMF
from deepnmf.training.processes import Processes, joined
from helpers import ROOT
from helpers.networks import SMALL, F, untrained
from helpers.waiting import PATIENCE_SECONDS, reserved_port

TRAININGS: list[tuple[str, dict[str, Any]]] = [
    ("deep-nmf", {}),
    ("deep-nmf", {"split_at": "none", "eta": 1.0}),
    ("deep-nmf", {"split_at": "activations"}),
    ("deep-nmf", {"optimiser": "adam"}),
    ("ista", {"optimiser": "multiplicative"}),
    ("recurrent-deep-nmf", {}),
    ("recurrent-deep-nmf", {"optimiser": "multiplicative", "average_share": 0.5}),
    ("gru", {}),
]
SEGMENTS = (5, 2)
"""Of the batches: uneven for 2 and 3 processes, and fewer than 3."""
UPDATES = 4


def trained(kind: str, train: dict[str, Any], dtype: str, processes: Processes, accumulate: int = 1) -> np.ndarray:
    """Return all weights of a small network, and the errors, after a few updates whose batches are shared."""
    import torch

    from deepnmf.training.batches import Example, MixedExample
    from deepnmf.training.step import TrainingStep

    known = KINDS[kind].SETTINGS.__dataclass_fields__
    network = {name: value for name, value in {**SMALL, "layers": 2}.items() if name in known}
    features = {"stft": {"rate_hz": 1000, "window_ms": 10.0, "hop_ms": 4.0, "fft_size": 32}}
    config = configuration({"features": features, "network": {"kind": kind, **network}, "train": train})
    start: Any = untrained(kind, layers=2)
    start = start.from_arrays({name: W.astype(dtype) for name, W in start.arrays().items()}, start.hyperparameters())
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        step = TrainingStep(start, config, 10 * UPDATES, processes=processes)
    finally:
        torch.set_default_dtype(torch.float32)
    rng, context = np.random.default_rng(0), 1 if KINDS[kind].DYNAMIC_MIXING else 2
    errors = []
    for update in range(UPDATES):
        count = SEGMENTS[update % len(SEGMENTS)]
        speech, noise = rng.exponential(0.7, (2, count, F, 40)) * np.exp(2j * np.pi * rng.random((2, count, F, 40)))
        speech *= rng.integers(0, 2, (count, 1, 1))  # some have none, so that segments differ in windows of speech
        mixture = np.concatenate([speech + noise] * context, axis=1)
        if KINDS[kind].DYNAMIC_MIXING:
            arrays, example_type = [mixture, speech], MixedExample
        else:
            arrays, example_type = [np.abs(x).astype(dtype) for x in (mixture, speech, noise)], Example
        own = processes.share(range(count))
        parts = [part for i in range(accumulate) if (part := Partition(i, accumulate).share(own))]
        examples = [example_type(*(x[list(part)] for x in arrays)) for part in parts]
        errors.append(step.step(examples)[0])
    weights = [W.ravel() for W in step.to_numpy().arrays().values()]
    return np.concatenate([*weights, np.array(errors)])


def factorised(frames: int, dtype: str, processes: Processes) -> np.ndarray:
    """Return the components and the objective of sparse NMF of frames that are shared."""
    rng = np.random.default_rng(0)
    X = (rng.exponential(1, (frames, 6)) @ rng.random((6, 9))).astype(dtype)
    X[: frames // 3] *= 1e-6  # below the threshold of silence
    nmf = SparseNMF(5, beta=1, sparsity=0.5, max_iter=25, tol=0, random_state=0)
    nmf.fit(X[list(processes.share(range(frames)))], partition=processes)
    return np.concatenate([nmf.components_.ravel(), nmf.objective_])


def results(processes: Processes) -> dict[str, np.ndarray]:
    """Return all results in both precisions, by name."""
    found = {}
    for dtype in ("float64", "float32"):
        for kind, train in TRAININGS:
            found[f"{kind} {train} {dtype}"] = trained(kind, train, dtype, processes)
        for frames in (50, 4):
            found[f"snmf {frames} {dtype}"] = factorised(frames, dtype, processes)
    return found


def start_ranks(count: int, command: Sequence[str], output: Path | None = None) -> list[subprocess.Popen[str]]:
    """Start processes with the variables that torchrun sets; their output can be read from pipes."""
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    with reserved_port() as held:
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": held.getsockname()[1]}
        group |= {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        own = [{name: str(v) for name, v in {**group, "RANK": i, "LOCAL_RANK": i}.items()} for i in range(count)]
        held_by = [held.fileno()] if os.name == "posix" else []  # processes that end after this function
        return [
            subprocess.Popen(
                [sys.executable, *command], env={**os.environ, **paths, **variables}, pass_fds=held_by,
                cwd=output, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for variables in own
        ]  # fmt: skip


def main(case: str, folder: Path) -> None:
    """Be one of several processes."""
    with joined() as processes:
        if case == "results":
            np.savez(folder / f"{processes.rank}.npz", **results(processes))  # type: ignore[arg-type]
        elif processes.rank == 1 and case == "refuse":
            raise InputError("this recording is damaged")
        elif processes.rank == 1 and case == "fault":
            raise ZeroDivisionError("by zero")
        elif case == "all refuse":
            raise InputError("this setting is wrong")
        print("ready", flush=True)
        (folder / f"{processes.rank}.ready").touch()
        if case == "busy" and processes.rank == 0:
            time.sleep(PATIENCE_SECONDS)  # a stage that only process 0 runs, while the others wait
        processes.wait()
        if case == "wait":
            time.sleep(PATIENCE_SECONDS)
    if case == "results":
        (folder / f"{processes.rank}.threads").write_text("\n".join(thread_names()))


def thread_names() -> list[str]:
    """Return the names of all threads of this process, those of libraries included; nothing but on Linux."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    from deepnmf.errors import DeepnmfError
    from deepnmf.interrupts import stop_on_signals

    with stop_on_signals():
        try:
            main(sys.argv[1], Path(sys.argv[2]))
        except DeepnmfError as error:
            sys.exit(f"deepnmf: {error}")
