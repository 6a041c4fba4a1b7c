"""Worker processes: the same items in the same order, errors as they are, a killed worker named."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from deepnmf.data.decoded import DecodedRecordings
from deepnmf.errors import DeepnmfError, InputError
from deepnmf.training.ahead import ahead, killed_workers_named
from deepnmf.training.experiment import DataSource, train
from helpers.signals import TinyCorpus

COUNT = 7


def squares(number: int) -> list[np.ndarray]:
    return [np.full((2, 3), number**2, np.float32)]


def failing(number: int) -> list[np.ndarray]:
    if number == 3:
        raise InputError("river.wav: it is silent")
    return squares(number)


def killed(number: int) -> list[np.ndarray]:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return squares(number)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_items_come_in_order_whatever_the_number_of_workers(workers: int) -> None:
    found = [float(array[0, 0]) for (array,) in ahead(squares, COUNT, workers)]
    assert found == [number**2 for number in range(COUNT)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_keeps_its_type_and_its_one_line(workers: int) -> None:
    items = ahead(failing, COUNT, workers)
    assert len([next(items) for _ in range(3)]) == 3
    with pytest.raises(InputError, match=r"^river\.wav: it is silent$"):
        next(items)


def test_a_killed_worker_is_named_in_one_line() -> None:
    with pytest.raises(DeepnmfError, match=r"^a worker process was killed.*fewer workers.*$"):
        list(ahead(killed, COUNT, 2))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_script_without_a_guard_may_load_ahead(method: str, tmp_path: Path) -> None:
    script = (
        f"import multiprocessing; multiprocessing.set_start_method({method!r})\n"
        "import operator; from deepnmf.training.ahead import ahead\n"
        "print(*ahead(operator.neg, 3, 2))\n"
    )
    (tmp_path / "script.py").write_text(script)
    ended = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("0 -1 -2\n", "")


def process_ids(_: int) -> list[np.ndarray]:
    return [np.array(os.getpid())]


def test_a_killed_worker_is_named_whatever_runs_at_that_moment() -> None:
    items = ahead(process_ids, 10**6, 1)
    (worker,) = next(items)

    def update() -> None:
        with killed_workers_named():
            os.kill(int(worker), signal.SIGKILL)
            while True:  # the error comes out of the handler of a signal, before it is waited for or later
                time.sleep(0.01)

    with pytest.raises(DeepnmfError, match=r"^a worker process was killed.*fewer workers.*$"):
        update()


def test_the_map_of_decoded_recordings_is_opened_again_in_another_process(
    tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    path = min(tiny_corpus.speech.rglob("*.wav"))
    decoded = DecodedRecordings([(str(path),)], 16000, tmp_path)
    before = decoded.excerpt((str(path),), 10, 1000)
    sent = pickle.dumps(decoded)
    assert len(sent) < before.nbytes
    np.testing.assert_array_equal(pickle.loads(sent).excerpt((str(path),), 10, 1000), before)


def test_workers_are_refused_where_nothing_is_mixed(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    source = DataSource(speech=tiny_corpus.speech, noise=tiny_corpus.noise)
    with pytest.raises(InputError, match="workers"):
        train(tmp_path / "exp", source, {"network": {"kind": "deep-nmf"}}, workers=2)
    assert not (tmp_path / "exp").exists()
