"""Means and 95 % confidence intervals, over all recordings, per SNR and per noise type."""

from __future__ import annotations

from typing import Any

import numpy as np

from .metrics import METRICS
from .scoring import DECIMALS, PARTS

RESAMPLES = 1000
Rows = list[dict[str, Any]]
"""Lines of ``scores.csv``."""


def summarise(rows: Rows, metrics: tuple[str, ...], parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
    """Return ``{"overall": group, "by_snr": {snr: group}, "by_noise_type": {type: group}}``.

    A group holds ``files`` and, for each metric, ``count``, ``undefined`` and, for those `parts` that rows have (input,
    output and improvement), ``{"mean": m, "ci95": [low, high]}``. A recording whose score is undefined (NaN) in any
    part is left out of all of them and counted, so that the improvement is the output minus the input. Intervals are
    bootstrapped over clean recordings, not mixtures, as scores of mixtures of the same speech are correlated; null for
    fewer than two.
    """
    return {
        "overall": _group(rows, metrics, parts),
        "by_snr": {f"{snr:g}": _group(members, metrics, parts) for snr, members in _by(rows, "snr_db")},
        "by_noise_type": {kind: _group(members, metrics, parts) for kind, members in _by(rows, "noise_type")},
    }


def _by(rows: Rows, column: str) -> list[tuple[Any, Rows]]:
    """Return the rows of each value of a column, sorted; those without a value are in none."""
    values = sorted({row[column] for row in rows} - {None, ""})
    return [(value, [row for row in rows if row[column] == value]) for value in values]


def _group(rows: Rows, metrics: tuple[str, ...], wanted: tuple[str, ...]) -> dict[str, Any]:
    group: dict[str, Any] = {"files": len(rows)}
    for name in metrics:
        parts = [part for part in wanted if f"{name}_{part}" in rows[0]]
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


def paired_differences(rows: Rows, baseline: Rows, metrics: tuple[str, ...]) -> Rows:
    """Return the score of each recording minus the baseline's, ``METRIC_difference``, for those that both have.

    Examples
    --------
    >>> a, b = ([{"id": "x", "speech": "s", "noise_type": "", "snr_db": 3.0, "sdr_output": y}] for y in (9.0, 7.5))
    >>> paired_differences(a, b, ("sdr",))[0]["sdr_difference"]
    1.5
    """
    theirs = {row["id"]: row for row in baseline}
    return [
        {name: row[name] for name in ("id", "speech", "noise_type", "snr_db")}
        | {
            f"{name}_difference": round(row[f"{name}_output"] - theirs[row["id"]][f"{name}_output"], DECIMALS)
            for name in metrics
        }
        for row in rows
        if row["id"] in theirs
    ]
