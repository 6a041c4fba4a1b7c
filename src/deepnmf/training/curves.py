"""The training curves: a line of ``curves.csv`` for each epoch, written while training runs, and TensorBoard's copy."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..artifacts import read_csv, write_csv
from ..errors import DeepnmfError, require

CURVES, TENSORBOARD = "curves.csv", "tensorboard"


@dataclass(frozen=True)
class EpochCurves:
    """What the updates of one epoch were like; all None for epoch 0, the start.

    Attributes
    ----------
    loss : float or None
        Mean training loss of a frame.
    learning_rate : float or None
        Step size at the last update, of the first group of parameters; the others follow the same schedule.
    gradient_norm : float or None
        Mean over the updates of the norm of the gradient of the loss per frame, before it is clipped; None for the
        paper's own rule, which has no gradient.
    frames_per_second : float or None
        Throughput of the updates. The only value that differs from run to run.
    """

    loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    frames_per_second: float | None = None


class Curves:
    """The curves of a run; each epoch is written at once.

    Parameters
    ----------
    folder : Path
        Of the experiment.
    history : list of dict
        Of the epochs that the checkpoint holds. Later lines of a file that is there are dropped, as these epochs are
        run again; lines that are missing or damaged are rewritten from the history.
    tensorboard : bool
        Whether to write for TensorBoard, too, into the folder ``tensorboard``.
    """

    def __init__(self, folder: Path, history: list[dict[str, Any]], tensorboard: bool = False) -> None:
        self._path = Path(folder) / CURVES
        found = _read(self._path)
        self._rows = _rows(history, found)
        self._writer = _summary_writer(Path(folder) / TENSORBOARD, len(history)) if tensorboard else None

    def add(self, dev_si_sdr_db: float, epoch: EpochCurves) -> None:
        """Add an epoch.

        Raises
        ------
        DeepnmfError
            If it cannot be written.
        """
        number = len(self._rows)
        values = {"dev_si_sdr_db": dev_si_sdr_db, **asdict(epoch)}
        self._rows.append({"epoch": number, **values})
        write_csv(self._path, self._rows)
        if self._writer is not None:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(name, value, number)
            self._writer.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()


def read_curves(folder: Path, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the curves of the epochs of a history; values missing from the file, or of another run, are None."""
    return _rows(history, _read(Path(folder) / CURVES))


def check_tensorboard() -> None:
    """Raise `MissingExtra` unless TensorBoard's package is installed."""
    require("TensorBoard", "tensorboard")


def _summary_writer(folder: Path, first_epoch: int) -> Any:
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_epoch)


def _read(path: Path) -> dict[int, dict[str, str]]:
    """Return the lines of the file by epoch; none of one that is missing or damaged."""
    with contextlib.suppress(DeepnmfError, KeyError, ValueError):
        return {int(row["epoch"]): row for row in read_csv(path)}
    return {}


def _rows(history: list[dict[str, Any]], found: dict[int, dict[str, str]]) -> list[dict[str, Any]]:
    return [_row(epoch, entry, found.get(epoch, {})) for epoch, entry in enumerate(history)]


def _row(epoch: int, entry: dict[str, Any], line: dict[str, str]) -> dict[str, Any]:
    """Return the values of an epoch of the history, and the further columns of its line in the file."""
    row: dict[str, Any] = {"epoch": epoch, "dev_si_sdr_db": entry["dev_si_sdr_db"], **asdict(EpochCurves())}
    row["loss"] = entry.get("error")
    with contextlib.suppress(ValueError):
        if {name: _number(line.get(name, "")) for name in ("dev_si_sdr_db", "loss")}.items() <= row.items():
            row |= {name: _number(line.get(name, "")) for name in row if name != "epoch"}
    return row


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
