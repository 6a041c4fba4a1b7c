"""Print the table of recipes/open/RESULTS.md. Usage: results.py EXP SYSTEMS."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from deepnmf.model import Model, load_model

METRICS = ("si_sdr", "sdr", "stoi", "estoi", "pesq_wb")
HEADS = ("SI-SDR", "SDR", "STOI", "ESTOI", "PESQ-WB")


def main(experiment: Path, systems: Path) -> None:
    """Print one row for each system: first those scored on test, then all by their dev score."""
    names = [row[0] for row in csv.reader(systems.open(), delimiter="\t") if not row[0].startswith("#")]
    tested = {name: read(experiment / name / "test" / "summary.json") for name in names if is_tested(experiment / name)}
    if tested:
        print(f"| system | parameters | {' | '.join(HEADS)} | real-time factor |")
        print("|---|---:|" + "---:|" * (len(HEADS) + 1))
        print(row("noisy input", "", scores(next(iter(tested.values())), "input"), ""))
    for name, summary in tested.items():
        factor = read(experiment / name / "test" / "timing.json")["real_time_factor"]
        parameters = f"{load_model(experiment / name).network.parameters:,}"
        print(row(name, parameters, scores(summary, "output"), f"{factor:.4f}"))
    print("\n| system | parameters | MACs per second | epochs | minutes | dev SI-SDR of spectra |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in filter(lambda name: (experiment / name / "minutes").exists(), names):
        model, minutes = load_model(experiment / name), float((experiment / name / "minutes").read_text())
        print(row(name, f"{model.network.parameters:,}", learning(model), f"{minutes:.1f}", f"{best(model):.2f}"))


def is_tested(folder: Path) -> bool:
    """Tell whether the system's scores are there."""
    return (folder / "test" / "summary.json").exists()


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def scores(summary: dict[str, Any], part: str) -> str:
    """Return the mean of each metric, dB with two decimals and indices with three."""
    means = {metric: summary["overall"].get(metric, {}).get(part, {}).get("mean") for metric in METRICS}
    places = {metric: 3 if "toi" in metric else 2 for metric in METRICS}
    return " | ".join("–" if mean is None else f"{mean:.{places[metric]}f}" for metric, mean in means.items())


def learning(model: Model) -> str:
    """Return multiply–accumulates per second of audio and epochs trained."""
    stft = model.features.stft
    macs = model.network.multiplications_per_frame * stft.rate_hz / stft.hop
    return f"{macs / 1e6:.1f} M | {model.metadata['config']['train']['epochs'] if trained(model) else 0}"


def trained(model: Model) -> bool:
    """Tell whether any layer was trained."""
    return model.metadata["config"]["network"]["trained"] != 0


def best(model: Model) -> float:
    """Return the dev score of the epoch that was kept."""
    return max(entry["dev_sdr_db"] for entry in model.metadata["history"])


def row(*cells: str) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
