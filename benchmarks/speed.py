"""Latency, real-time factor, memory and start-up of deepnmf and baselines on one core.

    pip install '.[benchmark]'
    python benchmarks/speed.py [--model MODEL] [--long-hours 3] [-o benchmarks/speed.md]

Every measurement runs in a process of its own, bound to one core. Frame times and real-time factors are processor time,
so other programs on the machine do not count. "10 s file" is the wall time, median of 5, from starting the process to
the finished WAV file. The latency is a frame plus the delay, measured by cross-correlation of output and input.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from systems import SYSTEMS, run

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
REPEATS = 5


def test_signal(seconds: float, rate_hz: int) -> np.ndarray:
    """Return speech-like sound in noise, ``(samples,)``: the same for all systems."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    pitch_hz = 120 + 20 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    voice = sum(np.sin(k * phase) / k for k in range(1, 30)) * (np.sin(2 * np.pi * 2.3 * t) > -0.3)
    return (0.1 * voice + 0.03 * rng.standard_normal(len(t))).astype(np.float32)


def measure_stream(name: str, model: str, seconds: float = 60.0) -> dict[str, float]:
    """Run one system in this process; return its real-time factor, frame times and delay."""
    opened = SYSTEMS[name](model)
    samples = test_signal(seconds, opened.rate_hz)
    run(opened, samples[: 2 * opened.rate_hz])  # warm up
    opened = SYSTEMS[name](model)
    frame = opened.frame or len(samples)
    outputs, times = [], []
    for at in range(0, len(samples) - frame + 1, frame):
        started = time.thread_time()
        outputs.append(opened.process(samples[at : at + frame]))
        times.append(time.thread_time() - started)
    started = time.thread_time()
    if name.startswith("deepnmf"):  # the only one that accepts blocks of any length
        opened.process(samples)
    # deepnmf returns the samples that are complete, so its stream starts late instead of with zeros.
    output = np.concatenate(outputs)
    output = np.pad(output, (len(times) * frame - len(output), 0))
    return {
        "real_time_factor": sum(times) / seconds,
        "in_one_block": (time.thread_time() - started) / seconds,
        "frame_ms": 1000 * frame / opened.rate_hz if opened.frame else 0,
        "median_ms": 1000 * float(np.median(times)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "delay_ms": 1000 * delay(samples, output) / opened.rate_hz,
    }


def delay(samples: np.ndarray, output: np.ndarray) -> int:
    """Return by how many samples `output` lags behind."""
    size = 2 ** int(np.ceil(np.log2(2 * len(samples))))
    correlation = np.fft.irfft(np.conj(np.fft.rfft(samples, size)) * np.fft.rfft(output, size))
    return int(np.argmax(correlation[: len(samples) // 2]))


def enhance_file(name: str, model: str, source: str, target: str) -> None:
    """Enhance one file in this process as a user of that system would."""
    opened = SYSTEMS[name](model)
    samples, _ = soundfile.read(source, dtype="float32")
    soundfile.write(target, run(opened, samples), opened.rate_hz)


def command(*arguments: str) -> list[str]:
    """Return the command that runs this script as a worker."""
    return [sys.executable, str(Path(__file__)), *arguments]


def command_line() -> list[str]:
    """Return how to call deepnmf: its script beside this Python, or the module if it is not installed."""
    script = Path(sys.executable).with_name("deepnmf")
    return [str(script)] if script.exists() else [sys.executable, "-m", "deepnmf"]


WATCH = """
import json, os, subprocess, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([status, time.perf_counter() - started, usage.ru_maxrss / 1024]))
"""
"""A small program that starts the one to measure: of a new process, Linux counts the memory of its parent, too."""


def watched(arguments: list[str]) -> tuple[float, float]:
    """Run a program on one core and return its wall time in seconds and peak memory in MB."""
    command = [sys.executable, "-c", WATCH, *arguments]
    output = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, check=True).stdout
    status, wall_s, memory_mb = json.loads(output)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return wall_s, memory_mb


def streamed(name: str, model: str) -> dict[str, float]:
    """Return :func:`measure_stream` of a process of its own."""
    worker = ["taskset", "-c", "0", *command("--stream", name, "--model", model)]
    output = subprocess.run(worker, env=ENVIRONMENT, capture_output=True, check=True).stdout
    return dict(json.loads(output))


def row(name: str, stream: dict[str, float], model: str, folder: Path) -> str:
    """Return a system's line of the table."""
    rate_hz = 48000 if name in ("RNNoise", "deepnmf at 48 kHz") else 16000
    source = folder / f"{rate_hz}.wav"
    soundfile.write(source, test_signal(10, rate_hz), rate_hz)
    runs = []
    for repeat in range(REPEATS):
        target = folder / f"{name}-{repeat}.wav"
        if name.startswith("deepnmf"):
            program = [*command_line(), "enhance", str(source), "-o", str(target)]
            runs.append(watched([*program, "--model", model]))
        else:
            runs.append(watched(command("--file", name, str(source), str(target))))
    wall_s, memory_mb = np.median(runs, axis=0)
    whole = not stream["frame_ms"]
    latency = "the whole file" if whole else f"{stream['delay_ms'] + stream['frame_ms']:.0f}"
    frame_time = "" if whole else f"{stream['median_ms']:.2f} / {stream['p99_ms']:.2f}"
    factor = f"{stream['real_time_factor']:.4f}"
    if name.startswith("deepnmf"):
        factor += f" / {stream['in_one_block']:.4f}"
    return f"| {name} | {latency} | {frame_time} | {factor} | {wall_s:.2f} | {memory_mb:.0f} |"


def long_file(model: str, hours: float, folder: Path) -> str:
    """Enhance a long stereo file at 48 kHz; return a sentence."""
    source, target = folder / "long.wav", folder / "out.wav"
    minute = np.stack([test_signal(60, 48000), 0.5 * test_signal(60, 48000)], axis=1)
    with soundfile.SoundFile(source, "w", 48000, 2, "PCM_16") as file:
        for _ in range(round(60 * hours)):
            file.write(minute)
    program = [*command_line(), "enhance", str(source), "-o", str(target)]
    wall_s, memory_mb = watched([*program, "--model", model])
    assert soundfile.info(str(target)).frames == soundfile.info(str(source)).frames
    return (
        f"A stereo file of {hours:g} hours at 48 kHz takes {wall_s / 60:.1f} minutes on one core "
        f"(real-time factor {wall_s / 3600 / hours:.4f}) and {memory_mb:.0f} MB of memory at most.\n"
    )


def gemm_share(model: str, in_one_block: float) -> str:
    """Return a sentence that compares the network's matrix products with the core's GEMM peak."""
    output = subprocess.run(
        ["taskset", "-c", "0", *command("--gemm")], env=ENVIRONMENT, capture_output=True, check=True
    ).stdout
    from deepnmf import load_model

    loaded = load_model(model)
    frames_per_second = loaded.features.stft.rate_hz / loaded.features.stft.hop
    needed = loaded.network.multiplications_per_frame * frames_per_second
    share = needed / in_one_block / float(output)
    return (
        f"The network's matrix products are {needed / 1e6:.0f} million multiply-adds per second of audio. In one block "
        f"everything together runs at {100 * share:.0f} % of the {float(output) / 1e9:.0f} G/s that a large float32 "
        "matrix product reaches on this core.\n"
    )


def measure_gemm(size: int = 1024) -> float:
    """Return the multiply-adds per second of a large float32 matrix product, the best of 10."""
    a = np.random.default_rng(0).random((size, size), np.float32)
    times = []
    for _ in range(10):
        started = time.thread_time()
        a @ a
        times.append(time.thread_time() - started)
    return size**3 / min(times)


def report(model: str, long_hours: float) -> str:
    """Return the complete report as Markdown."""
    from deepnmf import load_model

    network, share = load_model(model).network, ""
    frames = "10 ms frame: median / 99 %, ms", "real-time factor: frames / one block"
    columns = "system", "latency, ms", *frames, "10 s file, s", "memory, MB"
    lines = [
        f"One core of {processor()}; model `{Path(model).name}`, {network.parameters} parameters.\n",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
    ]
    with tempfile.TemporaryDirectory() as name:
        for system in SYSTEMS:
            stream = streamed(system, model)
            lines.append(row(system, stream, model, Path(name)))
            print(lines[-1], flush=True)
            if system == "deepnmf":
                share = gemm_share(model, stream["in_one_block"])
        lines.append("\n" + share)
        if long_hours:
            lines.append("\n" + long_file(model, long_hours, Path(name)))
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def processor() -> str:
    """Return the name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(line.split(": ")[1] for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Run the comparison, or one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--long-hours", type=float, default=0, help="also enhance a stereo file of this length")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--gemm", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stream", help=argparse.SUPPRESS)
    parser.add_argument("--file", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        print(json.dumps(measure_stream(options.stream, options.model)))
    elif options.gemm:
        print(measure_gemm())
    elif options.file:
        enhance_file(options.file[0], options.model, *options.file[1:])
    else:
        text = report(options.model, options.long_hours)
        if options.output:
            options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
