"""Means and 95 % confidence intervals, over all recordings, per SNR and per noise type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .metrics import METRICS
from .scoring import DECIMALS, PARTS

RESAMPLES = 1000
Rows = list[dict[str, Any]]
"""Lines of ``scores.csv``."""


def summarise(rows: Rows, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Return ``{"overall": group, "by_snr": {snr: group}, "by_noise_type": {type: group}}``.

    A group holds ``files`` and, for each metric, ``count``, ``undefined`` and, for input, output and improvement,
    ``{"mean": m, "ci95": [low, high]}``. A recording whose score is undefined (NaN) at either end is left out of all
    three and counted, so that the improvement is the output minus the input. Intervals are bootstrapped over clean
    recordings, not mixtures, as scores of mixtures of the same speech are correlated; null for fewer than two.
    """
    return {
        "overall": _group(rows, metrics),
        "by_snr": _groups(rows, metrics, lambda row: row["snr_db"], lambda snr: f"{snr:g}"),
        "by_noise_type": _groups(rows, metrics, lambda row: row["noise_type"] or None, str),
    }


def _groups(
    rows: Rows, metrics: tuple[str, ...], of: Callable[[dict[str, Any]], Any], label: Callable[[Any], str]
) -> dict[str, Any]:
    values = sorted({of(row) for row in rows} - {None})
    return {label(value): _group([row for row in rows if of(row) == value], metrics) for value in values}


def _group(rows: Rows, metrics: tuple[str, ...]) -> dict[str, Any]:
    group: dict[str, Any] = {"files": len(rows)}
    for name in metrics:
        parts = [part for part in PARTS if f"{name}_{part}" in rows[0]]
        table = np.array([[row[f"{name}_{part}"] for part in parts] for row in rows], np.float64)
        defined = np.asarray(np.isfinite(table).all(axis=1))
        clusters = [row["speech"] for row, keep in zip(rows, defined, strict=True) if keep]
        estimates = mean_and_interval(table[defined], clusters)
        group[name] = {"count": int(defined.sum()), "undefined": int((~defined).sum())}
        group[name].update(dict(zip(parts, estimates, strict=True)))
    return group


def mean_and_interval(values: np.ndarray, clusters: list[str]) -> list[dict[str, Any]]:
    """Return the mean of each column of ``(recordings, columns)`` and its 95 % cluster bootstrap interval.

    Parameters
    ----------
    values : ndarray
        Shape ``(recordings, columns)``.
    clusters : list of str
        Cluster of each recording.

    Returns
    -------
    list of dict
        ``mean`` and ``ci95`` for each column; None where there are too few recordings.
    """
    if not len(values):
        return [{"mean": None, "ci95": None}] * values.shape[1]
    means = values.mean(axis=0)
    names, index = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return [{"mean": round(float(mean), DECIMALS), "ci95": None} for mean in means]
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    resampled = (draws @ sums) / (draws @ np.bincount(index))[:, None]
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return [
        {"mean": round(float(m), DECIMALS), "ci95": [round(float(a), DECIMALS), round(float(b), DECIMALS)]}
        for m, a, b in zip(means, low, high, strict=True)
    ]


def metric_notes(metrics: tuple[str, ...]) -> dict[str, Any]:
    """Return label, unit and exact variant of each metric."""
    return {name: {key: getattr(METRICS[name], key) for key in ("label", "unit", "variant")} for name in metrics}


def undefined_total(summary: dict[str, Any], metrics: tuple[str, ...]) -> dict[str, int]:
    """Return how many recordings have no score, for the metrics where any has none."""
    counts = {name: summary["overall"][name]["undefined"] for name in metrics}
    return {name: count for name, count in counts.items() if count}
