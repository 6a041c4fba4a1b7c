"""The learning curves of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .charts import Chart, curve
from .text import number


@dataclass(frozen=True)
class Learning:
    """Charts of a run by epoch, the epoch of the model, and its gain in dB over the untrained network as text."""

    charts: list[Chart]
    epoch: int
    gain: str


def learning_curves(history: list[dict[str, Any]], model_history: list[dict[str, Any]]) -> Learning | None:
    """Return validation SI-SDR and training loss by epoch; None for a network that was not trained.

    Parameters
    ----------
    history : list of dict
        Of the complete run.
    model_history : list of dict
        Of the model of the report: it ends with its epoch.
    """
    if len(history) < 2:
        return None
    scores = [float(entry["dev_sdr_db"]) for entry in history]
    used = len(model_history) - 1
    charts = [curve(scores, "epoch", "dev SI-SDR (dB)", marked=(used, f"epoch {used}, the model of this report"))]
    losses = [float(entry["error"]) for entry in history[1:] if entry.get("error") is not None]
    if any(math.isfinite(loss) for loss in losses):
        charts.append(curve(losses, "epoch", "training loss per frame", first=1))
    return Learning(charts, used, number(scores[used] - scores[0], 2, sign=True))
