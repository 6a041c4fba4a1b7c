"""The learning curves of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .charts import Chart, curve
from .text import number


@dataclass(frozen=True)
class Learning:
    """Charts of a run by epoch, the epoch of the model, and its gain in dB over the start as text."""

    charts: list[Chart]
    epoch: int
    gain: str


OTHERS = {"learning_rate": "step size", "gradient_norm": "norm of the gradient per frame"}
"""What ``curves.csv`` has beyond the history."""


def learning_curves(history: list[dict[str, Any]], model_history: list[dict[str, Any]]) -> Learning | None:
    """Return dev SI-SDR, training loss and other curves by epoch; None for a network that was not trained.

    Parameters
    ----------
    history : list of dict
        Of the complete run, with the further columns of ``curves.csv``.
    model_history : list of dict
        Of the model of the report: it ends with its epoch.
    """
    if len(history) < 2:
        return None
    scores = [float(entry["dev_si_sdr_db"]) for entry in history]
    used = len(model_history) - 1
    charts = [curve(scores, "epoch", "dev SI-SDR (dB)", marked=(used, f"epoch {used}, the model of this report"))]
    for name, title in {"error": "training loss per frame", **OTHERS}.items():
        values = [float(math.nan if entry.get(name) is None else entry[name]) for entry in history[1:]]
        if any(map(math.isfinite, values)):
            charts.append(curve(values, "epoch", title, first=1))
    return Learning(charts, used, number(scores[used] - scores[0], 2, sign=True))
