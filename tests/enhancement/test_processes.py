"""A batch in several processes gives what it gives in one, whatever becomes of a process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile

from deepnmf.enhancement.batch import Batch
from deepnmf.enhancement.files import FileOptions
from deepnmf.enhancement.outcome import Outcome
from deepnmf.enhancement.plan import plan_outputs
from deepnmf.enhancement.record import NAME, Records
from deepnmf.errors import ConfigError, DeepnmfError, InputError, MissingExtra
from helpers.batches import Endless, Mortal, wait_for
from helpers.enhance_cli import leftovers
from helpers.enhance_models import recurrent_model, small_model

Progress = Callable[[float], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with seven recordings of different lengths, and two files that are none."""
    (tmp_path / "in").mkdir()
    for index in range(7):
        samples = 0.1 * np.random.default_rng(index).standard_normal((9000 * (7 - index), 1 + index % 2))
        soundfile.write(tmp_path / f"in/{index}.wav", samples, 16000, "PCM_16")
    (tmp_path / "in/3.5.wav").write_text("none")
    (tmp_path / "in/5.5.flac").write_bytes((tmp_path / "in/5.wav").read_bytes()[:999])
    return tmp_path / "in"


def run(batch: Batch, folder: Path, output: Path, workers: int, progress: Progress | None = None) -> list[Outcome]:
    with Records() as records:
        plan = plan_outputs([str(folder)], output, records=records)
        return list(batch.run(plan, records, workers, progress))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != NAME}


@pytest.mark.parametrize("workers", [2, 4, 30])
def test_any_number_of_processes_gives_the_outcomes_and_outputs_of_one(folder: Path, workers: int) -> None:
    batch = Batch(recurrent_model(), FileOptions(max_attenuation_db=12))
    found, seconds = {}, dict.fromkeys((1, workers), 0.0)
    for count in (1, workers):

        def add(length: float, count: int = count) -> None:
            seconds[count] += length

        outcomes = run(batch, folder, folder.with_name(f"out{count}"), count, add)
        found[count] = [(o.job.source, o.status, o.warnings, str(o.error)) for o in outcomes]
    assert found[1] == found[workers]
    assert [status for _, status, _, _ in found[1]].count("failed") == 2
    assert contents(folder.with_name("out1")) == contents(folder.with_name(f"out{workers}"))
    assert seconds[1] == pytest.approx(seconds[workers])


def test_outputs_of_processes_are_recorded_and_kept(folder: Path) -> None:
    model = small_model()
    model.metadata["sha256"] = "0"
    batch = Batch(model, FileOptions(), skip_existing=True)
    run(batch, folder, folder.with_name("out"), 3)
    again = run(batch, folder, folder.with_name("out"), 2)
    assert [outcome.status for outcome in again].count("skipped") == 7
    with Records() as records:
        assert all(records.is_output(path) for path in folder.with_name("out").glob("*.wav"))


def test_a_process_that_dies_costs_its_file_only(folder: Path) -> None:
    output = folder.with_name("out")
    batch = Mortal(small_model(), FileOptions(), sign=folder.with_name("sign"))
    outcomes = run(batch, folder, output, 2)
    (dead,) = (outcome for outcome in outcomes if "exit code 3" in str(outcome.error))
    assert str(dead.job.source) in str(dead.error)
    assert [outcome.status for outcome in outcomes].count("enhanced") == 6
    assert not leftovers(output)


@pytest.mark.parametrize("sent", [0, 5, -5])
def test_a_process_whose_starter_dies_ends_without_a_word(sent: int) -> None:
    message = pickle.dumps(Batch(small_model(), FileOptions()))
    code = "from deepnmf.enhancement.worker import main; main()"
    result = subprocess.run([sys.executable, "-c", code], input=message[:sent], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_consumer_that_stops_ends_the_processes(folder: Path) -> None:
    sign = folder.with_name("sign")
    batch = Endless(small_model(), FileOptions(), sign=sign)
    with Records() as records:
        plan = plan_outputs([str(folder)], folder.with_name("out"), records=records)
        outcomes = cast("Generator[Outcome]", batch.run(plan, records, 2))
        next(outcomes)
        wait_for(sign)
        assert leftovers(folder.with_name("out"))
        outcomes.close()
    assert not leftovers(folder.with_name("out"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_what_another_process_cannot_open_is_read_in_this_one(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo.wav").write_bytes((folder / "0.wav").read_bytes()))
    writer.start()
    with (folder / "1.wav").open("rb") as opened, Records() as records:
        names = [str(folder / "2.wav"), str(tmp_path / "fifo.wav"), f"/dev/fd/{opened.fileno()}"]
        plan = plan_outputs(names, tmp_path / "out", ".wav", records)
        outcomes = list(Batch(small_model(), FileOptions()).run(plan, records, 3))
    writer.join()
    assert [outcome.error for outcome in outcomes] == [None] * 3


@pytest.mark.parametrize(
    "error", [DeepnmfError("x"), InputError("x"), ConfigError("x"), MissingExtra("reading", "av", "soxr")]
)
def test_errors_reach_another_process_as_they_are(error: DeepnmfError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
