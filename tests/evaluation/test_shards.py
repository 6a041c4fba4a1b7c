"""Shards of an evaluation give the bytes of one process, however many, in whatever order, killed or not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.audio import files as audio
from deepnmf.errors import DeepnmfError
from deepnmf.evaluation import Evaluation, evaluate_folders
from deepnmf.evaluation.partial_scores import partial_paths
from deepnmf.shards import Shard
from helpers.examples import at_rate
from helpers.systems import RATE

RESULTS = ("scores.csv", "summary.json", "table.md")


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in RESULTS]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with seven pairs, one of which differs in length, and a file without a partner."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for index in range(8):
        clean = 0.1 * rng.standard_normal((1, RATE // 4)).astype(np.float32)
        audio.write(folder / f"clean/{index}.wav", clean, RATE)
        if index < 7:
            noise = 0.01 * (index + 1) * rng.standard_normal(clean.shape)
            audio.write(folder / f"enhanced/{index}.wav", (clean + noise)[:, : -1 if index < 6 else 1000], RATE)
    return folder


def score(pairs: Path, output: Path, shard: Shard | None = None, limit: int | None = None) -> Evaluation:
    how = {"only": ["si_sdr"], "limit": limit} | ({"shard": shard} if shard else {})
    return evaluate_folders(pairs / "clean", pairs / "enhanced", output, **how)  # type: ignore[arg-type]


@given(count=st.integers(2, 9), limit=st.sampled_from([2, 3, 6]), seed=st.integers(0, 99))
@at_rate(6)
def test_shards_in_any_order_write_the_bytes_of_one_run(
    pairs: Path, tmp_path_factory: pytest.TempPathFactory, count: int, limit: int, seed: int
) -> None:
    folder, order = tmp_path_factory.mktemp("out"), random.Random(seed).sample(range(count), count)
    whole = score(pairs, folder / "whole", limit=limit)
    found = [score(pairs, folder / "split", Shard(index, count), limit) for index in order]
    assert contents(folder / "split") == contents(folder / "whole")
    assert (found[-1].rows, found[-1].failures) == (whole.rows, whole.failures)
    again = score(pairs, folder / "split", Shard(order[0], count), limit)  # as a job that is requeued
    assert (again.rows, again.remaining, partial_paths(folder / "split")) == (whole.rows, 0, [])


def test_a_run_without_shards_scores_what_is_missing_and_merges(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = score(pairs, tmp_path / "whole", limit=3)
    first = score(pairs, tmp_path / "split", Shard(1, 3), limit=3)
    assert (len(first.rows), first.remaining) == (1, 2)
    assert not any((tmp_path / "split" / name).exists() for name in RESULTS)
    capsys.readouterr()
    score(pairs, tmp_path / "split", limit=3)
    assert "1 done already" in capsys.readouterr().err
    assert contents(tmp_path / "split") == contents(tmp_path / "whole")
    assert not partial_paths(tmp_path / "split")
    assert len(whole.rows) == 3


def test_a_shard_that_finds_its_scores_merged_by_another_returns_them(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepnmf.evaluation import scoring

    def merged_meanwhile(folder: Path) -> object:
        monkeypatch.setattr(scoring, "read_all_partial_scores", read)
        found = read(folder)
        score(pairs, tmp_path, limit=3)
        return found

    read = scoring.read_all_partial_scores
    score(pairs, tmp_path, Shard(0, 2), limit=3)
    states = iter([read, merged_meanwhile])
    monkeypatch.setattr(scoring, "read_all_partial_scores", lambda folder: next(states)(folder))
    found = score(pairs, tmp_path, Shard(1, 2), limit=3)
    assert (len(found.rows), found.remaining) == (3, 0)
    assert found.table == (tmp_path / "table.md").read_text()


def test_a_failure_in_one_shard_is_in_the_merged_scores_and_its_retry_too(pairs: Path, tmp_path: Path) -> None:
    for index in range(2):
        found = score(pairs, tmp_path, Shard(index, 2))
    assert len(found.failures) == 2
    assert [line.partition(":")[0] for line in found.failures][1] == "6"
    with pytest.raises(DeepnmfError, match="limit"):
        score(pairs, tmp_path, Shard(0, 2), limit=0)


def start(pairs: Path, output: Path, shard: str, **environment: str) -> subprocess.Popen[bytes]:
    folders = ["--clean", str(pairs / "clean"), "--enhanced", str(pairs / "enhanced")]
    command = [
        sys.executable,
        "-m",
        "deepnmf",
        "evaluate",
        *folders,
        "-o",
        str(output),
        "--metric",
        "si_sdr",
        *shard.split(),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )


def test_processes_at_once_killed_and_run_again_write_the_bytes_of_one_run(pairs: Path, tmp_path: Path) -> None:
    score(pairs, tmp_path / "whole")
    rng = random.Random(0)
    for count in (2, 3):
        output = tmp_path / str(count)
        running = [start(pairs, output, f"--shard {index + 1}/{count}") for index in range(count)]
        time.sleep(rng.uniform(0.5, 1.5))
        running[0].kill()
        for process in running:
            process.wait()
        assert start(pairs, output, "", RANK="0", WORLD_SIZE=str(count)).wait() == 1  # files cannot be scored
        assert contents(output) == contents(tmp_path / "whole")
