"""Shards of a folder of recordings: each file once, the outputs of one run, one record, whatever else runs there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.enhancement.plan import plan_outputs
from deepnmf.enhancement.record import NAME, Origin, Records, file_digest
from deepnmf.errors import DeepnmfError
from deepnmf.model import save_model
from deepnmf.shards import WHOLE, Shard
from helpers.enhance_models import small_model
from helpers.examples import at_rate

ORIGIN = Origin("source", "model", "options")


def write(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(4000), 16000, "PCM_16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with nine recordings in two folders, two of which differ in suffix only, and a text."""
    folder = tmp_path_factory.mktemp("in")
    for index in range(7):
        write(folder / f"{'ab'[index % 2]}/{index}.wav", index)
    write(folder / "a/0.flac", 9)
    write(folder / "b/8.WAV", 10)
    (folder / "notes.txt").write_text("no audio")
    return folder


@given(count=st.integers(1, 12))
@at_rate(12)
def test_shards_plan_the_outputs_of_one_run_each_once(folder: Path, count: int) -> None:
    names = [str(folder), str(folder / "none.wav")]
    whole = plan_outputs(names, "out")
    parts = [plan_outputs(names, "out", shard=Shard(index, count)) for index in range(count)]
    for found in ("jobs", "left_out"):
        assert sorted(map(str, (item for part in parts for item in getattr(part, found)))) == sorted(
            map(str, getattr(whole, found))
        )
    assert sum(len(part.faults) for part in parts) == len(whole.faults) == 1
    assert {part.total for part in parts} == {10}


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.name != NAME}


def test_processes_at_once_killed_and_run_again_write_what_one_run_does(folder: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", small_model())
    command = [
        sys.executable,
        "-m",
        "deepnmf",
        "enhance",
        str(folder),
        "--model",
        str(tmp_path / "m.safetensors"),
        "-o",
    ]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    split = [*command, str(tmp_path / "split"), "--skip-existing"]
    running = [subprocess.Popen([*split, "--shard", f"{index}/3"]) for index in (1, 2, 3)]
    time.sleep(random.Random(1).uniform(0.3, 1))
    running[0].kill()
    assert [process.wait() for process in running][1:] == [0, 0]
    for rank in "01":
        assert subprocess.run(split, env={**os.environ, "RANK": rank, "WORLD_SIZE": "2"}).returncode == 0
    assert outputs(tmp_path / "split") == outputs(tmp_path / "whole")
    assert not list(tmp_path.rglob(".deepnmf-*.part*"))
    with Records() as records:
        assert all(records.is_output(path) for path in (tmp_path / "split").rglob("*.wav"))


def test_shards_share_a_folder_with_each_other_and_not_with_other_runs(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.wav" for index in range(1000)]

    def holder(shard: Shard, hold: bool = True) -> subprocess.Popen[str]:
        code = f"""
import sys
from pathlib import Path
from deepnmf.enhancement.record import Records
from deepnmf.shards import Shard
paths = [Path({str(tmp_path)!r}) / f"{{index}}.wav" for index in range(1000)]
with Records() as records:
    records.lock(((Path({str(tmp_path)!r}), path) for path in {shard!r}.of(paths)), shared={not shard.is_whole})
    print("locked", flush=True)
    sys.stdin.read(1) if {hold} else None
"""
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    first = holder(Shard(0, 2))
    assert first.stdout is not None
    assert first.stdout.readline() == "locked\n"
    with Records() as records:
        records.lock(((tmp_path, path) for path in Shard(1, 2).of(paths)), shared=True)
        for refused in (holder(WHOLE, hold=False), holder(Shard(0, 2), hold=False)):
            assert "another run" in refused.communicate()[1]
    first.communicate("x")
    with Records() as records:
        records.lock((tmp_path, path) for path in paths)
        assert "another run" in holder(Shard(1, 2), hold=False).communicate()[1]


def test_what_another_run_writes_meanwhile_is_its_output_and_no_input(tmp_path: Path) -> None:
    write(tmp_path / "x.wav")
    with Records() as early, Records() as other:
        assert not early.is_output(tmp_path / "x.wav")  # reads the record
        write(tmp_path / "x_enhanced.wav")
        other.of(tmp_path).add(tmp_path / "x_enhanced.wav", file_digest(tmp_path / "x_enhanced.wav") or "", ORIGIN)
        assert early.is_output(tmp_path / "x_enhanced.wav")
        write(tmp_path / "x_enhanced.wav", seed=1)
        assert not early.is_output(tmp_path / "x_enhanced.wav")
        other.of(tmp_path).add(tmp_path / "x_enhanced.wav", file_digest(tmp_path / "x_enhanced.wav") or "", ORIGIN)
        assert early.is_output(tmp_path / "x_enhanced.wav")


@pytest.mark.parametrize("arguments", [["-", "-o", "-"], ["x.wav", "-o", "-"]])
def test_a_stream_is_not_split(arguments: list[str]) -> None:
    from typer.testing import CliRunner

    from deepnmf.cli import app

    result = CliRunner().invoke(app, ["enhance", *arguments, "--shard", "1/2"])
    assert isinstance(result.exception, DeepnmfError)
    assert "split" in str(result.exception)


def test_an_output_for_one_input_is_refused_though_each_shard_has_one(folder: Path, tmp_path: Path) -> None:
    from deepnmf.enhancement.batch import Batch
    from deepnmf.enhancement.files import FileOptions

    names = [str(folder / "a/0.wav"), str(folder / "b/1.wav")]
    with Records() as records:
        plan = plan_outputs(names, tmp_path / "out", records=records, shard=Shard(0, 2))
        assert len(plan.jobs) == 1
        with pytest.raises(DeepnmfError, match="one input"):
            Batch(small_model(), FileOptions(noise=tmp_path / "noise.wav")).run(plan, records)
