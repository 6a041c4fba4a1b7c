"""Processor time of 10 ms frames, and of the command line's start, side by side with RNNoise.

    python benchmarks/streaming.py [--model default] [--seconds 3] [--repeats 12] [--start | --hops]

The systems take turns, so that whatever else the machine does meets all of them; the ratio to RNNoise is the median of
the turns. Once as the processor is, and once as one without AVX-512 would be (OpenBLAS's kernels for Haswell, NumPy
without its AVX-512 loops; RNNoise never has any). A frame's bytes are those of the weights that it reads. The share of
the GEMM peak is that of the network's matrix products in blocks. `--start` times commands instead, `--hops` a hop of
10 ms of the engine and of the ONNX graph at 16 and 48 kHz: the least of 40 means over 50 hops, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from speed import ENVIRONMENT, command_line, measure_gemm, test_signal
from systems import SYSTEMS

from deepnmf import Enhancer, load_model

BASELINE = "RNNoise"
NAMES = ("deepnmf", "deepnmf at 48 kHz", BASELINE)
LESSER = {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_ICL"}
STARTS = 5
HOP_MEANS, HOPS = 40, 50


def real_time_factors(model: str, seconds: float, repeats: int) -> dict[str, list[float]]:
    """Return the processor time per second of sound of each system, in turns."""
    opened = {name: SYSTEMS[name](model) for name in NAMES}
    signals = {name: test_signal(seconds, system.rate_hz) for name, system in opened.items()}
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for turn in range(repeats + 1):
        for name, system in opened.items():
            started = time.thread_time()
            for at in range(0, len(signals[name]) - system.frame + 1, system.frame):
                system.process(signals[name][at : at + system.frame])
            if turn:  # the first one warms up
                found[name].append((time.thread_time() - started) / seconds)
    return found


def block_share(name: str, repeats: int, seconds: float = 20.0) -> tuple[float, float]:
    """Return the real-time factor of one long block, and the share of the GEMM peak that it reaches."""
    model = load_model(name)
    stft = model.features.stft
    enhancer, samples = Enhancer(model, stft.rate_hz), test_signal(seconds, stft.rate_hz)[None]
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        enhancer.process(samples)
        times.append((time.thread_time() - started) / seconds)
    factor = float(np.median(times))
    needed = model.network.multiplications_per_frame * stft.rate_hz / stft.hop
    return factor, needed / factor / measure_gemm()


def measure(model: str, seconds: float, repeats: int) -> None:
    """Print the rows of this process."""
    found = real_time_factors(model, seconds, repeats)
    baseline = np.array(found[BASELINE])
    for name, factors in found.items():
        print(f"| {name} | {np.median(factors):.4f} | {np.median(np.array(factors) / baseline):.2f} |", flush=True)
    factor, share = block_share(model, max(3, repeats // 4))
    print(f"\nOne block: real-time factor {factor:.4f}, {100 * share:.0f} % of the GEMM peak.\n", flush=True)


def report(options: argparse.Namespace) -> None:
    """Print both tables."""
    network = load_model(options.model).network
    weights = sum(array.nbytes for array in network.arrays().values())
    print(f"Model `{options.model}`: {network.parameters} weights, {weights / 1e6:.1f} MB a frame.\n", flush=True)
    given = ["--worker", "--model", options.model, "--seconds", str(options.seconds), "--repeats", str(options.repeats)]
    for title, extra in (("as it is", {}), ("without AVX-512", LESSER)):
        load = os.getloadavg()[0]
        print(f"| {title}, load {load:.1f} | real-time factor | of RNNoise's |\n|---|---|---|", flush=True)
        subprocess.run([sys.executable, __file__, *given], env={**ENVIRONMENT, **extra}, check=True)


def start_times(model: str) -> None:
    """Print the processor time of commands, from the start of the process, the least of a few: with bytecode cached."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "noisy.wav", Path(folder) / "clean.wav"
        soundfile.write(source, test_signal(10, 16000), 16000)
        enhance = [*command_line(), "enhance", "-q", str(source), "-o", str(target), "--model", model]
        commands = {
            "import numpy": [sys.executable, "-c", "import numpy"],
            "deepnmf --help": [*command_line(), "--help"],
            "deepnmf enhance --help": [*command_line(), "enhance", "--help"],
            "deepnmf enhance, 10 s": enhance,
        }
        rows = {
            name: min(processor_seconds(line, environment) for _ in range(STARTS)) for name, line in commands.items()
        }
    print(json.dumps({name: round(seconds, 3) for name, seconds in rows.items()}), f"load {os.getloadavg()[0]:.1f}")


def hop_seconds(name: str, rate_hz: int, means: int = HOP_MEANS) -> dict[str, float]:
    """Return the processor time of a hop of the engine and of the graph, the least of some means."""
    from deepnmf.export.onnx import ExportOptions, export_onnx, state_shapes
    from deepnmf.onnx_runtime import open_session

    model = load_model(name)
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model, Path(folder) / "m.onnx", options := ExportOptions(rate_hz))
        session = open_session(Path(folder) / "m.onnx", threads=1)
    states = {state: np.zeros(shape, np.float32) for state, shape in state_shapes(model, options).items()}
    enhancer = Enhancer(model, rate_hz)

    def run_graph(hop: np.ndarray) -> None:
        _, *following = session.run(None, {"samples": hop, **states})
        states.update(zip(states, following, strict=True))

    systems = {"engine": lambda hop: enhancer.process(hop[None]), "graph": run_graph}
    hops = test_signal(HOPS * enhancer.spec.hop / rate_hz, rate_hz).reshape(HOPS, -1)
    least = dict.fromkeys(systems, np.inf)
    for _ in range(means):
        for system, process in systems.items():
            started = time.thread_time()
            for hop in hops:
                process(hop)
            least[system] = min(least[system], (time.thread_time() - started) / HOPS)
    return least


def processor_seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Run a program and return the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--start", action="store_true", help="time the start of commands instead")
    parser.add_argument("--hops", action="store_true", help="time a hop of the engine and of the ONNX graph instead")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        start_times(options.model)
    elif options.hops:
        for rate_hz in (16000, 48000):
            times = hop_seconds(options.model, rate_hz)
            shown = ", ".join(f"{system} {1e3 * seconds:.2f} ms" for system, seconds in times.items())
            print(f"{options.model}, {rate_hz} Hz: {shown}, load {os.getloadavg()[0]:.1f}", flush=True)
    elif options.worker:
        measure(options.model, options.seconds, options.repeats)
    else:
        report(options)


if __name__ == "__main__":
    main()
