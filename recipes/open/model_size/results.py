"""Print the comparison of networks of recipes/open/model_size. Usage: results.py EXP SYSTEMS.

Runs whose names differ only by ``-seedN`` are one point, their mean. figure.py draws the table.
"""

import csv
import json
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from deepnmf.model import load_model

METRICS = {"si_sdr": "SI-SDR, dB", "sdr": "SDR, dB"}
SIZES = {"parameters": "parameters", "macs": "multiply–accumulates per second"}
HEAD = "| network | parameters | MACs per second | training frames | SI-SDR | SDR | seeds | best at its size |"
FAMILIES = {
    "dnmf": "deep NMF",
    "deep": "deep NMF",
    "sigmoid": "sigmoid network",
    "mean": "mean field",
    "belief": "belief propagation",
    "ista": "ISTA",
    "gru": "GRU",
    "lstm": "LSTM",
    "recurrent": "LSTM-prior deep NMF",
    "dr": "DR-NMF",
}
"""Name of a family by the first word of its systems' names."""


@dataclass(frozen=True)
class Point:
    """One network: its size and its scores on test, one for each seed."""

    name: str
    parameters: int
    macs: float
    epochs_frames: int
    scores: dict[str, list[float]]

    @property
    def family(self) -> str:
        """Kind of network."""
        return FAMILIES[self.name.partition("-")[0]]

    def mean(self, metric: str) -> float:
        """Return the mean over seeds."""
        return statistics.mean(self.scores[metric])


def main(experiment: Path, systems: Path) -> None:
    """Print one row for each network, smallest first."""
    points = sorted(read_points(experiment, systems), key=lambda point: point.parameters)
    print(HEAD)
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for point in points:
        print(row(point, points))


def read_points(experiment: Path, systems: Path) -> list[Point]:
    """Return the networks of the grid that have been scored."""
    runs: dict[str, list[Path]] = {}
    for name, *_ in csv.reader(systems.open(encoding="utf-8"), delimiter="\t"):
        if (experiment / name / "test" / "summary.json").exists():
            runs.setdefault(re.sub(r"-seed\d+$", "", name), []).append(experiment / name)
    return [read_point(name, folders) for name, folders in runs.items()]


def read_point(name: str, folders: list[Path]) -> Point:
    """Return the network that was trained in these folders, with one seed in each."""
    model = load_model(folders[0])
    stft, train = model.features.stft, model.metadata["config"]["train"]
    overall = [json.loads((folder / "test" / "summary.json").read_text())["overall"] for folder in folders]
    return Point(
        name,
        model.network.parameters,
        model.network.multiplications_per_frame * stft.rate_hz / stft.hop,
        train["epochs"] * train["epoch_frames"],
        {metric: [scores[metric]["output"]["mean"] for scores in overall] for metric in METRICS},
    )


def front(points: list[Point], size: str, metric: str) -> list[Point]:
    """Return the Pareto front of score against size, smallest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (getattr(point, size), -point.mean(metric))):
        if not best or point.mean(metric) > best[-1].mean(metric):
            best.append(point)
    return best


def row(point: Point, points: list[Point]) -> str:
    """Return a line of the table; the last cell gives the sizes by which it is on the SI-SDR Pareto front."""
    leads = [size for size in SIZES if point in front(points, size, "si_sdr")]
    cells = [point.name, f"{point.parameters:,}", f"{point.macs / 1e6:.1f} M", f"{point.epochs_frames / 1e6:.1f} M"]
    cells += [spread(point.scores[metric]) for metric in METRICS]
    return f"| {' | '.join([*cells, str(len(point.scores['sdr'])), ', '.join(leads)])} |"


def spread(values: list[float]) -> str:
    """Return the mean, and how far the seeds are from it at most."""
    mean = statistics.mean(values)
    return f"{mean:.2f}" + (f" ± {max(abs(value - mean) for value in values):.2f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
