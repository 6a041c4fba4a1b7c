"""Shards of the features stage write the files of one process, at once or in any order, killed or not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.config import FeatureConfig
from deepnmf.data import shards
from deepnmf.data.blocks import blocks_of
from deepnmf.data.features import features
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.errors import DeepnmfError
from deepnmf.shards import Shard
from helpers.examples import at_rate
from helpers.signals import RATE_HZ, noise, voice

CONFIG = FeatureConfig()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a manifest of seven mixtures for training, one of them unreadable, and two for dev."""
    folder = tmp_path_factory.mktemp("corpus")
    soundfile.write(folder / "n.wav", noise("hiss", 0), RATE_HZ)
    for index in range(9):
        soundfile.write(folder / f"{index}.wav", voice(120 + 10 * index, 800, index, 0.3 + 0.1 * index), RATE_HZ)
    (folder / "4.wav").write_bytes(b"no audio")
    rows = [
        MixtureEntry(str(i), "train" if i < 7 else "dev", f"{i}.wav", "n.wav", snr_db=0.0, seconds=0.3 + 0.1 * i)
        for i in range(9)
    ]
    write_manifest(folder / "m.jsonl", rows)
    return folder / "m.jsonl"


@pytest.fixture(scope="module")
def whole(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_FRAMES", 120)
        return folder, features(manifest, folder, CONFIG)


@given(count=st.integers(1, 12), seed=st.integers(0, 99))
@at_rate(8)
def test_shards_in_any_order_write_the_files_of_one_run(
    manifest: Path, whole: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory, count: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_FRAMES", 120)
        order = random.Random(seed).sample(range(count), count)
        for index in order[:-1]:
            features(manifest, folder, CONFIG, shard=Shard(index, count))
        left_out = features(manifest, folder, CONFIG, shard=Shard(order[-1], count))
    assert contents(folder) == contents(whole[0])
    assert left_out == whole[1] != []


def test_a_run_without_shards_writes_what_is_missing(
    manifest: Path, whole: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_FRAMES", 120)
    features(manifest, tmp_path, CONFIG, shard=Shard(1, 3))
    assert not (tmp_path / "features.json").exists()
    found = contents(tmp_path)
    assert features(manifest, tmp_path, CONFIG) == whole[1]
    assert contents(tmp_path) == contents(whole[0]) != found


@given(
    seconds=st.lists(st.one_of(st.just(0.0), st.floats(0.01, 400)), max_size=60),
    limit=st.integers(1, 40_000),
)
def test_blocks_hold_each_mixture_once_and_no_more_frames_than_a_file(seconds: list[float], limit: int) -> None:
    rows = [MixtureEntry(str(i), "train", "s", "n", snr_db=0.0, seconds=s) for i, s in enumerate(seconds)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_FRAMES", limit)
        blocks = blocks_of("train", rows, CONFIG)
    assert [index for block in blocks for index in range(block.start, block.stop)] == list(range(len(rows)))
    assert len({block.path(Path(), 0) for block in blocks}) == len(blocks)
    for block in blocks:
        frames = sum(100 * (seconds[index] or 10) for index in range(block.start, block.stop))
        assert frames <= limit or block.stop - block.start == 1


def test_features_of_another_run_are_refused_in_every_shard(manifest: Path, tmp_path: Path) -> None:
    features(manifest, tmp_path, CONFIG, shard=Shard(0, 2))
    with pytest.raises(DeepnmfError, match="another run"):
        features(manifest, tmp_path, FeatureConfig(level_seconds=1), shard=Shard(1, 2))


def test_processes_at_once_killed_and_run_again_write_the_files_of_one_run(manifest: Path, tmp_path: Path) -> None:
    features(manifest, tmp_path / "whole", CONFIG)
    output = tmp_path / "split"
    words = "features", str(manifest), "-o", str(output), "--set", "network.kind=deep-nmf"
    command = [sys.executable, "-m", "deepnmf", *words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*command, "--shard", f"{index}/2"], **quiet) for index in (1, 2)]  # type: ignore[call-overload]
    time.sleep(random.Random(0).uniform(0.5, 1.5))
    running[0].kill()
    for process in running:
        process.wait()
    for rank in "01":
        subprocess.run(command, **quiet, env={**os.environ, "RANK": rank, "WORLD_SIZE": "2"})  # type: ignore[call-overload]
    assert contents(output) == contents(tmp_path / "whole")
