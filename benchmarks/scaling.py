"""Training throughput of one process against several of one thread each, and the bytes that they exchange.

    python benchmarks/scaling.py [--processes 2] [--seconds 5] [--repeats 5] [--only CASE …] [--batches FRAMES …]
        [-o benchmarks/scaling.md]

Every update is that of the same batch, made up beforehand, so that neither mixing nor disks are measured. The runs are
started by torchrun and alternate; each trains for a few seconds, as the first updates find neither memory nor caches
filled. The exchange is what an update takes from the first message to the last sum, waiting included. Wall time
compares throughput as a user gets it, and is meaningful on idle cores alone; processor time does not depend on other
programs and shows what the exchange costs. The load is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from tables import Tables

from deepnmf.networks.kinds import configuration
from deepnmf.networks.settings import SEGMENT_FRAMES
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.training.batches import CHUNK_FRAMES, Example, MixedExample, StoredBatches
from deepnmf.training.processes import Processes, joined

WARM_UP, LEAST_UPDATES = 3, 5
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "deep NMF, K = 4": {"network": {"kind": "deep-nmf", "layers": 4}},
    "deep NMF, K = 25, T = 9": {"network": {"kind": "deep-nmf", "layers": 25, "context": 9}},
    "recurrent deep NMF": {"network": {"kind": "recurrent-deep-nmf"}},
}


def parts_of_batch(case: str, processes: Processes, batch: int = 0) -> tuple[Any, list[Example] | list[MixedExample]]:
    """Return the training step of a case, and this process's share of a made-up batch of some frames.

    The batch is that of the settings by default, of whole segments, and comes in pieces as from stored features.
    """
    import torch

    from deepnmf.training.step import TrainingStep

    torch.set_num_threads(1)
    config = configuration(CASES[case])
    bins, context = config.features.stft.bins, getattr(config.network, "context", 1)
    rng = np.random.default_rng(0)
    atoms = rng.random((2, bins * context, 100), np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    speech, noise = atoms
    dictionary = Dictionary(speech, noise, config.snmf, config.features, {})
    step = TrainingStep(
        config.kind.start(config.network, config.features, dictionary, rng), config, 10**6, processes=processes
    )
    train: Any = config.train
    if config.kind.DYNAMIC_MIXING:
        frames = SEGMENT_FRAMES
        batch = batch or train.batch_segments * frames
    else:
        frames = StoredBatches.SEGMENT_FRAMES
        batch = batch or train.batch_frames
    segments = max(1, batch // frames)
    speech, noise = rng.exponential(1, (2, segments, bins, frames)).astype(np.float32)
    mixture = np.tile(np.hypot(speech, noise), (1, context, 1))
    own = list(processes.share(range(segments)))
    if config.kind.DYNAMIC_MIXING:
        turned = noise * np.exp(2j * np.pi * rng.random(noise.shape, np.float32))
        mixed, spoken = (speech + turned).astype(np.complex64), speech.astype(np.complex64)
        return step, [MixedExample(mixed[own], spoken[own])] if own else []
    count = CHUNK_FRAMES // frames
    pieces = [own[start : start + count] for start in range(0, len(own), count)]
    return step, [Example(*(np.concatenate(x[i], axis=1)[None] for x in (mixture, speech, noise))) for i in pieces]


def work(case: str, seconds: float, batch: int = 0) -> None:
    """Be one of the processes; process 0 prints what it measured."""
    with joined() as processes:
        step, examples = parts_of_batch(case, processes, batch)
        exchange = _Exchange(processes)
        for _ in range(WARM_UP):
            start = time.perf_counter()
            step.step(examples)
        updates = max(LEAST_UPDATES, round(seconds / processes.highest(np.array([time.perf_counter() - start]))))
        exchange.start()
        wall, processor = time.perf_counter(), time.process_time()
        frames = sum(step.step(examples)[1] for _ in range(updates))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        found = {"frames": frames, "wall": wall, "processor": processor, "update": wall / updates}
        found |= {"bytes": exchange.bytes / updates, "exchange": exchange.seconds / updates}
        if not processes.rank:
            print(json.dumps(found), flush=True)


class _Exchange:
    """Bytes and seconds of the sums over processes since the start."""

    def __init__(self, processes: Processes) -> None:
        self._processes, self._add_up = processes, processes.add_up
        processes.add_up = self._measured  # type: ignore[method-assign]
        self.start()

    def start(self) -> None:
        self._processes.wait()
        self.bytes, self.seconds = 0, 0.0

    def _measured(self, tensors: Sequence[Any]) -> None:
        start = time.perf_counter()
        self._add_up(tensors)
        self.seconds += time.perf_counter() - start
        self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def run(case: str, batch: int, processes: int, seconds: float) -> dict[str, float]:
    """Return what process 0 of several measured."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launch, __file__, "--worker", case, "--seconds", str(seconds), "--batches", str(batch)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stderr)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def row(case: str, batch: int, processes: int, seconds: float, repeats: int) -> str:
    """Return the row of a case and a size of its batch, with the medians of the repeats."""
    found: dict[int, list[dict[str, float]]] = {1: [], processes: []}
    for _ in range(repeats):
        for count, runs in found.items():
            runs.append(run(case, batch, count, seconds))
    wall = {n: float(np.median([x["frames"] / x["wall"] for x in runs])) for n, runs in found.items()}
    processor = {n: float(np.median([x["frames"] / x["processor"] for x in runs])) for n, runs in found.items()}
    payload = found[processes][0]["bytes"]
    update, exchange = (1e3 * float(np.median([x[name] for x in found[processes]])) for name in ("update", "exchange"))
    wire = 2 * (processes - 1) / processes * payload  # of a ring, for each process
    cells = [
        f"{wall[1]:,.0f}",
        f"{wall[processes]:,.0f}",
        f"{wall[processes] / wall[1]:.2f}",
        f"{processor[processes] / processor[1]:.2f}",
        f"{update:.1f}",
        f"{exchange:.1f}",
        f"{payload / 1e6:.2f}",
        f"{wire / 1e6:.2f}",
    ]
    title = f"{case}, {batch:,} frames" if batch else case
    return f"| {title} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the updates of a run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--worker", metavar="CASE", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=CASES, help="networks to measure, by their name")
    parser.add_argument("--batches", nargs="+", type=int, default=[0], metavar="FRAMES", help="sizes of the batch")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.seconds, *options.batches)
        return
    n, tables = options.processes, Tables(options.output)
    tables.start(
        "network",
        "frames/s, 1 process",
        f"frames/s, {n} processes",
        "ratio, wall time",
        "ratio, processor time",
        f"update with {n}, ms",
        "of it exchange, ms",
        "sums of an update, MB",
        "sent by each process, MB",
    )
    for case in options.only or CASES:
        for batch in options.batches:
            tables.add(row(case, batch, n, options.seconds, options.repeats))
    tables.finish()


if __name__ == "__main__":
    main()
