"""The sections on scores: headline numbers, tables per SNR and noise type, the scatter, the learning curve."""

from __future__ import annotations

import math
from typing import Any

from ..evaluation.metrics import METRICS
from ..model import Model
from .charts import Axis, curve, scatter, ticks
from .examples import chosen
from .html_parts import choice, esc, number, score, unit
from .scores import Scores


def headline(scores: Scores) -> str:
    """Return a tile for each metric: mean output, and mean improvement with its interval."""
    return "".join(_tile(name, scores.summary["overall"][name]) for name in scores.metrics)


def _tile(name: str, group: dict[str, Any]) -> str:
    if not group["count"]:
        return f'<div class="tile"><h3>{METRICS[name].label}</h3><p class="big">–</p></div>'
    gain = score(name, group["improvement"]["mean"], sign=True)
    return (
        f'<div class="tile"><h3>{METRICS[name].label}</h3><p class="big">{gain}<small>{unit(name)}</small></p>'
        f"<p>{score(name, group['input']['mean'])} → <b>{score(name, group['output']['mean'])}</b></p>"
        f'<p class="interval">{_interval(name, group) or "one recording"}</p></div>'
    )


def _interval(name: str, group: dict[str, Any]) -> str:
    bounds = group["improvement"]["ci95"]
    return "" if bounds is None else " to ".join(score(name, bound, sign=True) for bound in bounds)


def tables(scores: Scores) -> str:
    """Return a table for each metric, one of them shown at a time."""
    labels = [METRICS[name].label for name in scores.metrics]
    panels = (
        f'<div class="panel" data-panel="metric-{index}">{_table(name, scores.summary)}</div>'
        for index, name in enumerate(scores.metrics)
    )
    return choice("metric", "Score", labels) + "".join(panels)


def _table(name: str, summary: dict[str, Any]) -> str:
    by_snr = sorted(summary["by_snr"].items(), key=lambda item: float(item[0]))
    snrs = {f"{snr.replace('-', '−')} dB": group for snr, group in by_snr}
    blocks = {"SNR": snrs, "Noise type": summary["by_noise_type"], "All": {"all recordings": summary["overall"]}}
    groups = [group[name] for block in blocks.values() for group in block.values() if group[name]["count"]]
    ends = [end for group in groups for end in (group["improvement"]["ci95"] or [group["improvement"]["mean"]])]
    marks = ticks(min([0.0, *ends]), max([0.0, *ends]), 5)
    axis = Axis(marks[0], marks[-1], 0, 100)
    body = "".join(
        f'<tbody><tr><th colspan="4" scope="rowgroup">{title}</th></tr>'
        + "".join(_line(label, group, name, axis) for label, group in block.items())
        + "</tbody>"
        for title, block in blocks.items()
        if block
    )
    scale = "".join(f'<i style="left:{axis(mark):.1f}%">{mark:g}</i>'.replace("-", "−") for mark in marks)
    metric = METRICS[name]
    return (
        f'<table class="scores"><caption>{metric.label}{unit(name) and f" in {metric.unit}"}: '
        f'{esc(summary["metrics"][name]["variant"])}</caption><thead><tr><th scope="col">Group</th>'
        '<th scope="col">Files</th><th scope="col">Input → output</th>'
        f'<th scope="col">Improvement, 95 % interval</th></tr></thead>{body}'
        f'<tfoot aria-hidden="true"><tr><td colspan="3"></td><td><div class="gain"><span></span>'
        f'<span class="forest scale">{scale}</span></div></td></tr></tfoot></table>'
    )


def _line(label: str, files: dict[str, Any], name: str, axis: Axis) -> str:
    group = files[name]
    if not group["count"]:
        return f'<tr><th scope="row">{esc(label)}</th><td>{files["files"]}</td><td>–</td><td>undefined</td></tr>'
    before, after, gain = (group[part]["mean"] for part in ("input", "output", "improvement"))
    low, high = (axis(bound) for bound in group["improvement"]["ci95"] or (gain, gain))
    worse = " worse" if gain < 0 else ""
    bar = (
        f'<i class="zero" style="left:{axis(0):.1f}%"></i>'
        f'<i class="bar{worse}" style="left:{low:.1f}%;width:{max(high - low, 0):.1f}%"></i>'
        f'<i class="mean{worse}" style="left:{axis(gain):.1f}%"></i>'
    )
    return (
        f'<tr><th scope="row">{esc(label)}</th><td>{files["files"]}</td>'
        f"<td>{score(name, before)} → <b>{score(name, after)}</b></td>"
        f'<td><div class="gain"><span><b>{score(name, gain, sign=True)}</b> <small>{_interval(name, group)}</small>'
        f'</span><span class="forest" aria-hidden="true">{bar}</span></div></td></tr>'
    )


def input_against_output(scores: Scores) -> str:
    """Return the scatter of SI-SDR and how many recordings came out worse."""
    rows = scores.ranked()
    if not rows:
        return "<p>SI-SDR is undefined for every recording.</p>"
    points = [(row["si_sdr_input"], row["si_sdr_output"], _point(row)) for row in rows]
    worse = sum(row["si_sdr_improvement"] < 0 for row in rows)
    verdict = f"{worse} of them worse than before: triangles, below the diagonal" if worse else "none worse than before"
    named = {rows.index(row): title.lower() for title, row in chosen(rows)}
    return f"{scatter(points, 'SI-SDR', 'dB', named)}<p>A mark is a recording. {len(rows)} recordings, {verdict}.</p>"


def _point(row: dict[str, Any]) -> str:
    snr = "" if row["snr_db"] is None else f", {row['snr_db']:g} dB"
    gain = number(row["si_sdr_improvement"], 2, sign=True)
    return f"{row['id']} ({row['noise_type'] or 'noise'}{snr}): {gain} dB"


def learning_curves(history: list[dict[str, Any]], model: Model) -> str:
    """Return dev SI-SDR and error by epoch; a sentence for a network that was not trained."""
    if len(history) < 2:
        return "<p>No layer of this network was trained: it is sparse NMF, unfolded.</p>"
    scores = [float(entry["dev_sdr_db"]) for entry in history]
    used = len(model.metadata["history"]) - 1
    errors = [float(entry["error"]) for entry in history[1:] if entry.get("error") is not None]
    charts = [curve(scores, "epoch", "dev SI-SDR (dB)", marked=used)]
    if errors and any(math.isfinite(error) for error in errors):
        charts.append(curve(errors, "epoch", "training error per frame", first=1))
    gain = number(scores[used] - scores[0], 2, sign=True)
    return (
        f'<div class="charts">{"".join(charts)}</div><p>The model of this report is that of epoch {used}, '
        f"{gain} dB from the untrained network (epoch 0).</p>"
    )
