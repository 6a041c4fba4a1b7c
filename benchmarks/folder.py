"""Time of a folder of recordings on one and on several cores.

    python benchmarks/folder.py [--files 24] [--seconds 60] [--jobs 2] [--repeats 3] [--model default]

The runs of `deepnmf enhance -j 1` and `-j N` take turns. Wall time is what a user waits, and is meaningful on idle
cores alone; processor time, of all processes together, shows what further processes cost. The load is printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from speed import ENVIRONMENT, command_line, test_signal


def timed(folder: Path, jobs: int, model: str) -> tuple[float, float]:
    """Enhance a folder; return wall time and processor time in seconds."""
    with tempfile.TemporaryDirectory() as output:
        arguments = [*command_line(), "enhance", "-q", str(folder), "-o", f"{output}/out", "-j", str(jobs)]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*arguments, "--model", model], env=ENVIRONMENT, check=True)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(folder: Path, options: argparse.Namespace) -> None:
    """Print the medians of the turns."""
    found: dict[int, list[tuple[float, float]]] = {1: [], options.jobs: []}
    for _ in range(options.repeats):
        for jobs, times in found.items():
            times.append(timed(folder, jobs, options.model))
    medians = {jobs: np.median(times, axis=0) for jobs, times in found.items()}
    print("| -j | wall time, s | processor time, s | times as fast |\n|---|---|---|---|")
    for jobs, (wall, processor) in medians.items():
        print(f"| {jobs} | {wall:.2f} | {processor:.2f} | {medians[1][0] / wall:.2f} |")
    print(f"\nLoad {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.")


def main() -> None:
    """Make the recordings and run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for index in range(options.files):
            soundfile.write(Path(name) / f"{index}.wav", test_signal(options.seconds, 16000), 16000)
        report(Path(name), options)


if __name__ == "__main__":
    main()
