"""Score deepnmf and baselines on one split of a manifest, delay-compensated.

Usage: python benchmarks/baselines.py MANIFEST -o DIR [--split test] [--models default small framewise snmf]
       [--baselines RNNoise WebRTC speexdsp noisereduce] [--dnsmos]

Prints a table of means, with `--dnsmos` (extra `dnsmos`) those of DNSMOS, too; DIR/NAME holds what `deepnmf evaluate`
writes for each. RNNoise and WebRTC shift the phase of low frequencies, which SI-SDR penalises and SDR, with its 512-tap
filter, does not.
"""

import argparse
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from speed import delay
from systems import SYSTEMS, Opened, run

from deepnmf.audio.files import read_mono, resample
from deepnmf.evaluation import evaluate, metrics
from deepnmf.evaluation.systems import System

Score = Callable[[np.ndarray, np.ndarray, int], float]

RATE_HZ = 16000
SPEECH = Path(__file__).resolve().parents[1] / "examples" / "clean.wav"


def main() -> None:
    """Score each system and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--models", nargs="*", default=["default", "small", "framewise", "snmf"])
    parser.add_argument("--baselines", nargs="*", default=["RNNoise", "WebRTC", "speexdsp", "noisereduce"])
    parser.add_argument("--dnsmos", action="store_true")
    options = parser.parse_args()
    remember_input_scores()
    only = [*metrics.available_metrics(), *(metrics.GROUPS["dnsmos"] if options.dnsmos else ())]
    heads = ["system", *(metrics.METRICS[name].label for name in only)]
    print(f"| {' | '.join(heads)} |\n|---|" + "---|" * len(only))
    systems: list[str | System] = [*options.models, *map(peer, options.baselines)]
    for number, system in enumerate(systems):
        name = system if isinstance(system, str) else system.name
        found = evaluate(options.manifest, options.output / name, model=system, split=options.split, only=only)
        overall = found.summary["overall"]
        if not number:
            print(row("noisy", overall, "input", only), flush=True)
        print(row(name, overall, "output", only), flush=True)


def row(name: str, overall: dict[str, dict[str, dict[str, float]]], part: str, only: list[str]) -> str:
    """Return a line of the table: means of the metrics."""
    means = [f"{overall[key][part]['mean']:.{metrics.METRICS[key].decimals}f}" for key in only]
    return f"| {name} | {' | '.join(means)} |"


def remember_input_scores() -> None:
    """Score each pair of signals once: the noisy input is the same for every system."""
    for name, metric in metrics.METRICS.items():
        metrics.METRICS[name] = dataclasses.replace(metric, score=_remembering(metric.score))


def _remembering(score: Score) -> Score:
    known: dict[tuple[int, int, int], float] = {}

    def scored(reference: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
        key = hash(reference.tobytes()), hash(estimate.tobytes()), rate_hz
        if key not in known:
            known[key] = score(reference, estimate, rate_hz)
        return known[key]

    return scored


def peer(name: str) -> System:
    """Return a baseline as a delay-compensated system that keeps the length."""
    return System(name, RATE_HZ, functools.partial(enhance, SYSTEMS[name]))


def enhance(opener: Callable[[str], Opened], noisy: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the output of a newly opened baseline for ``(samples,)``, delay-compensated, at the same rate."""
    opened = opener("")
    late = delay_samples(opener)
    samples = resample(noisy, rate_hz, opened.rate_hz)
    padded = np.pad(samples, (0, late + opened.frame))
    return resample(run(opened, padded)[late : late + len(samples)], opened.rate_hz, rate_hz)[: len(noisy)]


@functools.cache
def delay_samples(opener: Callable[[str], Opened]) -> int:
    """Return the delay of a baseline, by cross-correlation of clean speech with its output."""
    opened = opener("")
    if not opened.frame:
        return 0
    speech = read_mono(SPEECH, opened.rate_hz)
    return delay(speech, run(opened, speech))


if __name__ == "__main__":
    main()
