"""Speed and memory of updates of deep NMF, and the share of the time of training that features or mixing take.

    python benchmarks/training.py [--layers 4 25] [--context 1] [--frames 1000] [--repeats 7] [-o training.md]

One thread, processor time. A share of the peak counts what a whole update (forward, backward, optimiser) needs against
a large float32 product timed before and after each: 12 operations for each entry of a layer's dictionary and frame, 6
for the output's; 20 and 10 by the paper's rule, which carries two parts back. "By autograd" is the same update without
the layers' own derivative, which the paper's rule never uses. Memory is the growth of the process during the first
update of a batch of N and of 4 N frames. Batches are made up, and so are the recordings of the second table. The third
has recurrent deep NMF in a process that returns freed memory to the system, and in one that keeps it, as training does.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from large_corpora import write_recordings
from tables import Tables

from deepnmf.config import PrepareConfig
from deepnmf.data.features import features
from deepnmf.data.prepare import prepare
from deepnmf.networks.kinds import Config, configuration
from deepnmf.networks.settings import SEGMENT_FRAMES
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.training.batches import Example, MixedExample
from nmf import peak, processor_seconds

RULES: dict[str, dict[str, Any]] = {
    "multiplicative": {},
    "Adam": {"optimiser": "adam"},
    "paper": {"split_at": "none"},
}
ATOMS = 200
KINDS = ("deep-nmf", "recurrent-deep-nmf")


def config_of(kind: str, train: dict[str, Any], **network: int) -> Config:
    """Return the settings of a kind of network."""
    return configuration({"network": {"kind": kind, **network}, "train": train})


def step_of(config: Config, by_autograd: bool = False) -> Any:
    """Return the training step of a network of random dictionaries."""
    import torch

    from deepnmf.training.modules import FramewiseModule
    from deepnmf.training.step import TrainingStep

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    atoms = rng.random((2, config.features.stft.bins * config.context, ATOMS // 2), np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    speech, noise = atoms
    dictionary = Dictionary(speech, noise, config.snmf, config.features, {})
    start = config.kind.start(config.network, config.features, dictionary, rng)
    step = TrainingStep(start, config, 10**6)
    if by_autograd:
        forward: Any = FramewiseModule.forward
        step.module.forward = functools.partial(forward, step.module)
    return step


def batch_of(config: Config, frames: int) -> list[Example]:
    """Return a made-up batch."""
    speech, noise = (
        np.random.default_rng(0).exponential(1, (2, 1, config.features.stft.bins, frames)).astype(np.float32)
    )
    return [Example(np.tile(np.hypot(speech, noise), (1, config.context, 1)), speech, noise)]


def operations(config: Config, frames: int, rule: str) -> float:
    """Return the floating-point operations of an update."""
    layer, output = (20, 10) if rule == "paper" else (12, 6)
    bins, layers = config.features.stft.bins, getattr(config.network, "layers", 0)
    return (layer * layers * config.context + output) * bins * ATOMS * float(frames)


def shares(config: Config, rule: str, frames: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return share of the peak and seconds of each repeat, with the own derivative and by autograd in turns."""
    batch, count = batch_of(config, frames), operations(config, frames, rule)
    steps = {"own": step_of(config)} | ({} if rule == "paper" else {"autograd": step_of(config, by_autograd=True)})
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            before = peak()
            seconds = processor_seconds(functools.partial(step.step, batch))
            if repeat:  # the first one warms up
                found[name].append((count / seconds / max(before, peak()), seconds))
    return found


def memory_mb(config: Config, frames: int, by_autograd: bool) -> float:
    """Return by how much memory grows at most during the first update of a batch (Linux)."""
    step = step_of(config, by_autograd)
    step.step(batch_of(config, 16))
    batch, before = batch_of(config, frames), _memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    step.step(batch)
    return _memory_mb("VmHWM") - before


def _memory_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def alone(function: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def update_row(layers: int, context: int, rule: str, frames: int, repeats: int) -> str:
    """Return the row of a network and a rule."""
    config = config_of("deep-nmf", RULES[rule], layers=layers, context=context)
    cells = [f"{operations(config, frames, rule) / 1e9:.1f}"]
    found = shares(config, rule, frames, repeats)
    for name in ("own", "autograd"):
        if name in found:
            percent, seconds = (np.array(x) for x in zip(*found[name], strict=True))
            cells.append(f"{1e3 * np.median(seconds):.0f}")
            cells.append(f"{100 * np.median(percent):.0f} % ({100 * percent.min():.0f}–{100 * percent.max():.0f})")
            memory = [alone(memory_mb, config, count, name == "autograd") for count in (frames, 4 * frames)]
            cells.append(" / ".join(f"{x:.0f}" for x in memory))
        else:
            cells += [""] * 3
    return f"| K = {layers}, T = {context}, {rule} | {' | '.join(cells)} |"


def data_row(kind: str, experiment: Path, updates: int) -> str:
    """Return the row of the time that reading or mixing the batches takes, and the training step on them."""
    from deepnmf.training.loop import batches_of

    config = config_of(kind, {})
    step, epochs = step_of(config), batches_of(experiment / "features", config)
    batches = endless(epochs)
    step.step(next(batches))
    seconds = np.zeros(2)
    for _ in range(updates):
        start = time.process_time()
        batch = next(batches)
        middle = time.process_time()
        step.step(batch)
        seconds += middle - start, time.process_time() - middle
    data, update = 1e3 * seconds / updates
    return f"| {kind} | {epochs.batch_frames} | {data:.0f} | {update:.0f} | {100 * data / (data + update):.0f} % |"


def kept_row(kind: str, segments: int, updates: int) -> str:
    """Return the row of an update while the process returns freed memory to the system, and while it keeps it."""
    cells = (
        f"{1e3 * seconds:.0f} | {mb:.0f}" for seconds, mb in (alone(kept, kind, segments, updates, x) for x in (0, 1))
    )
    return f"| {kind} | {segments * SEGMENT_FRAMES} | {' | '.join(cells)} |"


def kept(kind: str, segments: int, updates: int, keep: bool) -> tuple[float, float]:
    """Return the median processor time of an update, and the most memory of the process in MB (Linux)."""
    from deepnmf.training.memory import keep_freed_memory

    config = config_of(kind, {})
    step, rng = step_of(config), np.random.default_rng(0)
    parts = rng.standard_normal((2, 2, segments, config.features.stft.bins, SEGMENT_FRAMES), np.float32)
    batch = [MixedExample(*(parts[0] + 1j * parts[1]))]
    if keep:
        keep_freed_memory()
    step.step(batch)
    seconds = [processor_seconds(lambda: step.step(batch)) for _ in range(updates)]
    return float(np.median(seconds)), _memory_mb("VmHWM")


def endless(batches: Any) -> Iterator[list[Example] | list[MixedExample]]:
    """Yield the batches of one epoch after the other, read or mixed."""
    number = 0
    while True:
        number += 1
        for batch in batches.epoch(number):
            yield list(batch)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[4, 25], help="K")
    parser.add_argument("--context", type=int, default=1, help="T")
    parser.add_argument("--frames", type=int, default=1000, help="N")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--updates", type=int, default=20, help="updates to measure shares of the time over")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    tables = Tables(options.output)
    by_autograd = ("by autograd: ms", "of the peak", "memory of N / 4 N, MB")
    tables.start("update", "GFLOP", "ms", "of the peak", "memory of N / 4 N, MB", *by_autograd)
    for layers in options.layers:
        for rule in RULES:
            tables.add(update_row(layers, options.context, rule, options.frames, options.repeats))
    tables.start("kind", "frames", "features or mixing, ms", "update, ms", "share")
    with tempfile.TemporaryDirectory() as name:
        experiment = Path(name) / "exp"
        prepare(experiment, *write_recordings(Path(name), 40, "files"), config=PrepareConfig(mixtures_per_utterance=1))
        features(experiment / "manifest.jsonl", experiment / "features")
        for kind in KINDS:
            tables.add(data_row(kind, experiment, options.updates))
    tables.start("kind", "frames", "update, ms", "memory, MB", "memory kept: ms", "MB")
    for segments in (8, 16):
        tables.add(kept_row("recurrent-deep-nmf", segments, options.updates))
    tables.finish(f"Peak {peak() / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
