"""Training curves: a line for each epoch at once, equal after a stop and a restart, whatever has become of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepnmf.artifacts import read_csv
from deepnmf.errors import DeepnmfError, MissingExtra
from deepnmf.training.curves import CURVES, TENSORBOARD, Curves, EpochCurves, check_tensorboard

EPOCHS = [EpochCurves(), *(EpochCurves(1 / n, 0.1 * n, 2.0 + n, 1000.0 * n) for n in (1, 2, 3))]
SCORES = [-3.5, 1 / 3, 0.1, 2e-9]
HISTORY: list[dict[str, Any]] = [
    {"error": epoch.loss, "dev_si_sdr_db": score} for epoch, score in zip(EPOCHS, SCORES, strict=True)
]


def write(folder: Path, start: int, stop: int) -> None:
    """Train from epoch `start`, which the checkpoint does not hold, to `stop`."""
    curves = Curves(folder, HISTORY[:start])
    for score, epoch in list(zip(SCORES, EPOCHS, strict=True))[start:stop]:
        curves.add(score, epoch)


def test_a_line_is_there_as_soon_as_its_epoch_is(tmp_path: Path) -> None:
    curves = Curves(tmp_path, [])
    for number, (score, epoch) in enumerate(zip(SCORES, EPOCHS, strict=True)):
        curves.add(score, epoch)
        rows = read_csv(tmp_path / CURVES)
        assert [int(row["epoch"]) for row in rows] == list(range(number + 1))
        assert float(rows[-1]["dev_si_sdr_db"]) == score
    assert [row["loss"] for row in rows] == ["", *(repr(epoch.loss) for epoch in EPOCHS[1:])]


@pytest.mark.parametrize("written", range(1, 5))
@pytest.mark.parametrize("resumed", range(4))
def test_a_restart_drops_or_keeps_lines_so_that_the_file_is_the_same(
    written: int, resumed: int, tmp_path: Path
) -> None:
    write(tmp_path / "whole", 0, 4)
    write(tmp_path / "stopped", 0, max(written, resumed))
    write(tmp_path / "stopped", resumed, 4)
    assert (tmp_path / "stopped" / CURVES).read_bytes() == (tmp_path / "whole" / CURVES).read_bytes()


@pytest.mark.parametrize(
    "damage", [b"", b"\xff", b"epoch\nx\n", b"epoch,loss\n0\n", b"epoch,loss,dev_si_sdr_db\n0,a,b\n"]
)
def test_a_damaged_file_is_written_anew_with_what_the_history_has(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / CURVES).write_bytes(damage)
    write(tmp_path, 2, 4)
    rows = read_csv(tmp_path / CURVES)
    assert [float(row["dev_si_sdr_db"]) for row in rows] == SCORES
    assert [row["gradient_norm"] for row in rows] == ["", "", "4.0", "5.0"]


def test_lines_of_another_run_are_not_kept(tmp_path: Path) -> None:
    write(tmp_path, 0, 4)
    other = [{**entry, "dev_si_sdr_db": entry["dev_si_sdr_db"] + 1} for entry in HISTORY]
    Curves(tmp_path, other[:3]).add(0.0, EPOCHS[3])
    assert [row["gradient_norm"] for row in read_csv(tmp_path / CURVES)] == ["", "", "", "5.0"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeepnmfError, match="file"):
        write(tmp_path / "file", 0, 1)


def test_without_tensorboard_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match="pip install tensorboard"):
        check_tensorboard()


@pytest.mark.slow
def test_tensorboard_has_every_value_once_after_a_restart(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for start, stop in ((0, 3), (2, 4)):  # epoch 2 is run twice
        curves = Curves(tmp_path, HISTORY[:start], tensorboard=True)
        for score, epoch in list(zip(SCORES, EPOCHS, strict=True))[start:stop]:
            curves.add(score, epoch)
        curves.close()
    events = accumulator.EventAccumulator(str(tmp_path / TENSORBOARD)).Reload()
    assert [event.step for event in events.Scalars("dev_si_sdr_db")] == [0, 1, 2, 3]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([1, 1 / 2, 1 / 3])
