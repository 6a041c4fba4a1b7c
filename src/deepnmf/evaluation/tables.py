"""The summary as a Markdown table, readable in a terminal."""

from __future__ import annotations

import re
from typing import Any

from ..errors import printable
from .metrics import METRICS
from .summary import undefined_total


def table(summary: dict[str, Any], metrics: tuple[str, ...]) -> str:
    """Return one table: a row for each SNR, for each noise type, the mean, and the interval of the improvement.

    A cell reads ``input → output (improvement)``, or holds the output alone where there is no input.
    """
    header = ["", "files", *(_heading(name) for name in metrics)]
    body = [_row(f"{snr} dB", group, metrics) for snr, group in sorted(summary["by_snr"].items(), key=_snr)]
    body += [_row(kind, group, metrics) for kind, group in sorted(summary["by_noise_type"].items())]
    body.append(_row("mean", summary["overall"], metrics))
    part = "improvement" if _has_input(summary, metrics) else "output"
    body.append([f"95 % of the mean {part}", "", *(_interval(summary["overall"][n], n, part) for n in metrics)])
    text = _markdown(header, body)
    cell = "input → output (improvement)" if part == "improvement" else "output"
    notes = [f"\nCells: {cell}.", *_undefined(summary, metrics)]
    return text + "\n".join(notes) + "\n"


def comparison_table(summary: dict[str, Any], metrics: tuple[str, ...]) -> str:
    """Return one table: the noisy input, each system, and each difference from the baseline with its interval."""
    systems, baseline = summary["systems"], summary["baseline"]
    first = systems[0]["scores"]["overall"]
    body = [_means("noisy", first, metrics, "input")] if _has_input(systems[0]["scores"], metrics) else []
    body += [_means(system["name"], system["scores"]["overall"], metrics, "output") for system in systems]
    body += [
        [
            f"{_escaped(system['name'])} − {_escaped(baseline)}",
            "",
            *(_difference(system["differences"]["overall"][name], METRICS[name].decimals) for name in metrics),
        ]
        for system in systems
        if system["name"] != baseline
    ]
    text = _markdown(["", "files", *map(_heading, metrics)], body)
    notes = ["\nDifferences: mean over the recordings, and its 95 % interval.", *_left_out(systems, first["files"])]
    return text + "\n".join([*notes, *_undefined(systems[0]["scores"], metrics)]) + "\n"


def _means(label: str, group: dict[str, Any], metrics: tuple[str, ...], part: str) -> list[str]:
    means = [group[name][part]["mean"] for name in metrics]
    cells = [
        "–" if mean is None else f"{mean:.{METRICS[name].decimals}f}" for name, mean in zip(metrics, means, strict=True)
    ]
    return [_escaped(label), str(group["files"]), *cells]


def _difference(scores: dict[str, Any], decimals: int) -> str:
    mean, interval = scores["difference"]["mean"], scores["difference"]["ci95"]
    if mean is None:
        return "–"
    bounds = "" if interval is None else f" [{interval[0]:+.{decimals}f} … {interval[1]:+.{decimals}f}]"
    return f"{mean:+.{decimals}f}{bounds}"


def _left_out(systems: list[dict[str, Any]], files: int) -> list[str]:
    return [
        f"{_escaped(system['name'])} has scores of {system['files']} files; "
        f"means are those of the {files} that every system has scores of."
        for system in systems
        if system["files"] != files
    ]


def _snr(group: tuple[str, Any]) -> float:
    return float(group[0])


def _has_input(summary: dict[str, Any], metrics: tuple[str, ...]) -> bool:
    return "input" in summary["overall"][metrics[0]]


def _heading(name: str) -> str:
    metric = METRICS[name]
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


def _row(label: str, group: dict[str, Any], metrics: tuple[str, ...]) -> list[str]:
    return [_escaped(label), str(group["files"]), *(_cell(group[name], METRICS[name].decimals) for name in metrics)]


def _escaped(text: str) -> str:
    r"""Return text that Markdown and HTML show as it is; an underscore within a word is one for Markdown, too.

    Examples
    --------
    >>> print(_escaped("<b>a|b*c_d_"))
    \<b\>a\|b\*c_d\_
    """
    return re.sub(r"([\\`*<>\[\]|~#&!]|(?<!\w)_|_(?!\w))", r"\\\1", printable(text))


def _cell(scores: dict[str, Any], decimals: int) -> str:
    if not scores["count"]:
        return "–"
    output = f"{scores['output']['mean']:.{decimals}f}"
    if "input" not in scores:
        return output
    before, gain = (scores[part]["mean"] for part in ("input", "improvement"))
    return f"{before:.{decimals}f} → {output} ({gain:+.{decimals}f})"


def _interval(scores: dict[str, Any], name: str, part: str) -> str:
    interval = scores[part]["ci95"]
    decimals = METRICS[name].decimals
    return "–" if interval is None else " … ".join(f"{bound:+.{decimals}f}" for bound in interval)


def _undefined(summary: dict[str, Any], metrics: tuple[str, ...]) -> list[str]:
    return [
        f"{METRICS[name].label}: undefined for {count} of {summary['overall']['files']} files, left out of the means."
        for name, count in undefined_total(summary, metrics).items()
    ]


def _markdown(header: list[str], body: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *body]) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(_line(row, widths) for row in [header, rule, *body])


def _line(row: list[str], widths: list[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return "| " + " | ".join([row[0].ljust(widths[0]), *cells[1:]]) + " |\n"
