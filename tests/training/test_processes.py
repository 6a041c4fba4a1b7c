"""Training in several processes: equal to one, whatever their number; the end of all when one dies or fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from deepnmf.errors import InputError
from deepnmf.training.group import backend_of, device_of
from deepnmf.training.processes import ALONE, joined
from helpers.ranks import TRAININGS, results, start_ranks, trained
from helpers.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.slow

TWO = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def finished(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Return exit status, stdout and stderr of each process."""
    outputs = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def assert_same(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[name.split()[-1]] * np.abs(expected).max())


@pytest.mark.parametrize("count", [2, 3])
def test_processes_that_share_batches_and_frames_get_the_weights_of_one(count: int, tmp_path: Path) -> None:
    ended = finished(start_ranks(count, ["-m", "helpers.ranks", "results", str(tmp_path)]))
    assert [status for status, *_ in ended] == [0] * count, ended
    expected = results(ALONE)
    for rank in range(count):
        found = np.load(tmp_path / f"{rank}.npz")
        for name, values in expected.items():
            assert_same(found[name], values, name)
        assert "gloo" not in (tmp_path / f"{rank}.threads").read_text()  # one that outlives the group may abort the end


@pytest.mark.parametrize(("kind", "train"), TRAININGS)
def test_a_batch_in_parts_gives_the_update_of_the_whole(kind: str, train: dict[str, object]) -> None:
    whole = trained(kind, train, "float64", ALONE)
    for parts in (2, 4, 9):
        assert_same(trained(kind, train, "float64", ALONE, parts), whole, "float64")


@pytest.mark.parametrize(("case", "line"), [("refuse", "recording is damaged"), ("fault", "ZeroDivisionError")])
def test_an_error_in_one_process_is_one_line_of_process_0_with_the_rank(case: str, line: str, tmp_path: Path) -> None:
    (first, second) = finished(start_ranks(2, ["-m", "helpers.ranks", case, str(tmp_path)]))
    assert first[0] != 0 != second[0]
    assert len(first[2].splitlines()) == 1
    assert line in first[2]
    assert "rank 1" in first[2]
    assert not second[1] + second[2]


def test_an_error_in_all_processes_is_one_line(tmp_path: Path) -> None:
    ended = finished(start_ranks(3, ["-m", "helpers.ranks", "all refuse", str(tmp_path)]))
    assert all(status != 0 for status, *_ in ended)
    assert [stderr for *_, stderr in ended] == ["deepnmf: this setting is wrong\n", "", ""]


@pytest.mark.parametrize(("killed", "witness"), [(1, 0), (2, 0), (0, 1)])
@pytest.mark.parametrize("case", ["wait", "busy"])
def test_a_killed_process_ends_the_others_with_one_line_that_names_it(
    case: str, killed: int, witness: int, tmp_path: Path
) -> None:
    processes = start_ranks(3, ["-m", "helpers.ranks", case, str(tmp_path)])
    wait_until(lambda: len(list(tmp_path.glob("*.ready"))) == 3, *processes)
    processes[killed].kill()
    ended = finished(processes)
    assert all(status != 0 for status, *_ in ended)
    lines = [line for *_, stderr in ended for line in stderr.splitlines() if line.startswith("deepnmf:")]
    assert len(lines) == 1
    assert f"rank {killed} " in ended[witness][2]
    assert "Traceback" not in "".join(stderr for *_, stderr in ended)


def test_only_process_0_prints(tmp_path: Path) -> None:
    ended = finished(start_ranks(2, ["-m", "helpers.ranks", "print", str(tmp_path)]))
    assert [(status, stdout) for status, stdout, _ in ended] == [(0, "ready\n"), (0, "")]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "below"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "whole number"),
        *(
            (TWO | {"MASTER_PORT": port}, "MASTER_PORT must be")
            for port in ("none", "-1", "0", "70000", "1.5", "1" * 99)
        ),
        (TWO | {"LOCAL_RANK": "first"}, "LOCAL_RANK must be"),
    ],
)
def test_variables_that_no_launcher_sets_are_named(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message), joined():
        pass


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    assert [device_of("cuda", rank) for rank in (0, 1)] == ["cuda:0", "cuda:1"]
    assert chosen == [0, 1]
    assert device_of("cpu", 5) == "cpu"
    assert "nccl" in backend_of("cuda:1")
    assert backend_of("cpu") == "gloo"
    with pytest.raises(InputError, match="no GPU of its own"):
        device_of("cuda", 2)
    with pytest.raises(InputError, match="share a GPU"):
        device_of("cuda:0", 1)
