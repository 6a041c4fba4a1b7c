"""Print the tables of a recipe's systems. Usage: results.py EXP SYSTEMS."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from deepnmf.model import Model, load_model

PER_SNR = ("sdr", "si_sdr")
"""Metric of the table per SNR: the first that was scored."""
METRICS = ("si_sdr", "sdr", "stoi", "estoi", "pesq_wb")
HEADS = ("SI-SDR", "SDR", "STOI", "ESTOI", "PESQ-WB")


def main(experiment: Path, systems: Path) -> None:
    """Print one row for each system: the scored ones, the same per SNR, then all with their dev score in training."""
    rows = [row for row in csv.reader(systems.open(), delimiter="\t") if not row[0].startswith("#")]
    names = [name for name, *_ in rows]
    folders = {name: experiment / name / (split[0] if split else "test") for name, _, _, _, *split in rows}
    scored = {name: folder for name, folder in folders.items() if (folder / "summary.json").exists()}
    if scored:
        print(f"| system | parameters | {' | '.join(HEADS)} | real-time factor |")
        print("|---|---:|" + "---:|" * (len(HEADS) + 1))
        print(row("noisy input", "", scores(next(iter(scored.values())), "input"), ""))
    for name, folder in scored.items():
        factor = read(folder / "timing.json")["real_time_factor"]
        parameters = f"{load_model(experiment / name).network.parameters:,}"
        print(row(name, parameters, scores(folder, "output"), f"{factor:.4f}"))
    if scored:
        per_snr(experiment, scored)
    print("\n| system | parameters | MACs per second | epochs | minutes | dev SI-SDR |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in filter(lambda name: (experiment / name / "minutes").exists(), names):
        model, minutes = load_model(experiment / name), float((experiment / name / "minutes").read_text())
        print(row(name, f"{model.network.parameters:,}", learning(model), f"{minutes:.1f}", f"{best(model):.2f}"))


def per_snr(experiment: Path, scored: dict[str, Path]) -> None:
    """Print the paper's table: one row for each system, one column for each SNR, and the mean."""
    groups = {name: read(folder / "summary.json") for name, folder in scored.items()}
    first = next(iter(groups.values()))
    metric = next(metric for metric in PER_SNR if metric in first["overall"])
    snrs = sorted(first["by_snr"], key=float)
    print(f"\n{HEADS[METRICS.index(metric)]}, dB, at each input SNR:\n")
    print(f"| system | parameters | {' | '.join(f'{snr} dB' for snr in snrs)} | mean |")
    print(f"|---|{'---:|' * (len(snrs) + 2)}")
    print(row("noisy input", "", *means(first, snrs, metric, "input")))
    for name, summary in groups.items():
        parameters = f"{load_model(experiment / name).network.parameters:,}"
        print(row(name, parameters, *means(summary, snrs, metric, "output")))


def means(summary: dict[str, Any], snrs: list[str], metric: str, part: str) -> list[str]:
    """Return the mean of a metric at each SNR and over all recordings, with two decimals."""
    groups = [*(summary["by_snr"].get(snr, {}) for snr in snrs), summary["overall"]]
    values = [group.get(metric, {}).get(part, {}).get("mean") for group in groups]
    return ["–" if value is None else f"{value:.2f}" for value in values]


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def scores(folder: Path, part: str) -> str:
    """Return the mean of each metric, dB with two decimals and indices with three."""
    overall = read(folder / "summary.json")["overall"]
    means = {metric: overall.get(metric, {}).get(part, {}).get("mean") for metric in METRICS}
    places = {metric: 3 if "toi" in metric else 2 for metric in METRICS}
    return " | ".join("–" if mean is None else f"{mean:.{places[metric]}f}" for metric, mean in means.items())


def learning(model: Model) -> str:
    """Return multiply–accumulates per second of audio and epochs trained."""
    stft = model.features.stft
    macs = model.network.multiplications_per_frame * stft.rate_hz / stft.hop
    return f"{macs / 1e6:.1f} M | {model.metadata['config']['train']['epochs'] if trained(model) else 0}"


def trained(model: Model) -> bool:
    """Return whether any layer was trained."""
    return model.metadata["config"]["network"].get("trained_layers") != 0


def best(model: Model) -> float:
    """Return the dev score of the best epoch."""
    return max(entry["dev_si_sdr_db"] for entry in model.metadata["history"])


def row(*cells: str) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
