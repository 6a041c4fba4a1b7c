"""Scores on the page: a tile for each metric, tables per SNR and noise type, the scatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..evaluation import EvaluationFolder
from ..evaluation.metrics import METRICS
from .charts import Axis, Chart, scatter, ticks
from .examples import chosen
from .text import is_negative, number, score


@dataclass(frozen=True)
class Gain:
    """Means of one metric over a group of recordings, as text, and where the interval of the gain lies.

    Attributes
    ----------
    before, after, gain : str
        Mean input, output and improvement.
    interval : str
        The improvement's 95 % interval, empty for one recording.
    low, mean, width : float
        The interval on the table's scale, in per cent.
    """

    before: str
    after: str
    gain: str
    interval: str
    low: float = 0
    mean: float = 0
    width: float = 0

    @property
    def negative(self) -> bool:
        """Whether the recordings came out worse."""
        return is_negative(self.gain)


@dataclass(frozen=True)
class Tile:
    """A metric's headline; `gain` is None where it is undefined for every recording."""

    label: str
    unit: str
    gain: Gain | None


@dataclass(frozen=True)
class Table:
    """One metric's table: blocks of lines, and the scale of the intervals, places in per cent."""

    label: str
    unit: str
    variant: str
    blocks: dict[str, list[tuple[str, int, Gain | None]]]
    scale: list[tuple[float, str]]
    zero: float


def tiles(scores: EvaluationFolder) -> list[Tile]:
    """Return a tile for each metric."""
    overall = scores.summary["overall"]
    return [Tile(METRICS[name].label, METRICS[name].unit, _gain(name, overall[name], None)) for name in scores.metrics]


def tables(scores: EvaluationFolder) -> list[Table]:
    """Return a table for each metric."""
    return [_table(name, scores.summary) for name in scores.metrics]


def _table(name: str, summary: dict[str, Any]) -> Table:
    by_snr = sorted(summary["by_snr"].items(), key=lambda item: float(item[0]))
    snrs = {f"{snr.replace('-', '−')} dB": group for snr, group in by_snr}
    blocks = {"SNR": snrs, "Noise type": summary["by_noise_type"], "All": {"all recordings": summary["overall"]}}
    groups = [group[name] for block in blocks.values() for group in block.values() if group[name]["count"]]
    ends = [end for group in groups for end in _bounds(group)]
    marks = ticks(min([0.0, *ends]), max([0.0, *ends]), 5)
    axis = Axis(marks[0], marks[-1], 0, 100)
    lines = {
        title: [(label, group["files"], _gain(name, group[name], axis)) for label, group in block.items()]
        for title, block in blocks.items()
        if block
    }
    metric, variant = METRICS[name], str(summary["metrics"][name]["variant"])
    return Table(metric.label, metric.unit, variant, lines, axis.ticks(marks), axis(0))


def _bounds(group: dict[str, Any]) -> tuple[float, float]:
    mean = group["improvement"]["mean"]
    low, high = group["improvement"]["ci95"] or (mean, mean)
    return low, high


def _gain(name: str, group: dict[str, Any], axis: Axis | None) -> Gain | None:
    if not group["count"]:
        return None
    before, after, mean = (group[part]["mean"] for part in ("input", "output", "improvement"))
    interval = group["improvement"]["ci95"]
    text = "" if interval is None else " to ".join(score(name, bound, sign=True) for bound in interval)
    words = score(name, before), score(name, after), score(name, mean, sign=True), text
    if axis is None:
        return Gain(*words)
    low, high = (axis(bound) for bound in _bounds(group))
    return Gain(*words, low, axis(mean), max(high - low, 0))


def input_against_output(rows: list[dict[str, Any]], name: str) -> Chart:
    """Return the scatter of a metric over rows that are sorted from worst to best."""
    points = [(row[f"{name}_input"], row[f"{name}_output"], _point(row, name)) for row in rows]
    examples = {rows.index(row): title.lower() for title, row in chosen(rows)}
    return scatter(points, METRICS[name].label, METRICS[name].unit, examples)


def _point(row: dict[str, Any], name: str) -> str:
    snr = "" if row["snr_db"] is None else f", {number(row['snr_db'], 1)} dB"
    gain = score(name, row[f"{name}_improvement"], sign=True)
    return f"{row['id']} ({row['noise_type'] or 'noise'}{snr}): {gain} {METRICS[name].unit}".rstrip()
