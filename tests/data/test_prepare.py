"""From folders to a manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deepnmf.data.manifest import read_manifest
from deepnmf.data.prepare import prepare
from deepnmf.errors import DeepnmfError
from helpers.signals import TinyCorpus


def test_train_without_dev_beside_it_gives_some_of_its_speakers_to_dev(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    shutil.copytree(tiny_corpus.speech, tmp_path / "speech" / "train")
    prepare(tmp_path, tmp_path / "speech", tiny_corpus.noise)
    speakers = {
        split: {row.speaker for row in read_manifest(tmp_path / "manifest.jsonl", split)} for split in ("train", "dev")
    }
    assert len(speakers["dev"]) == 1
    assert len(speakers["train"]) == 3
    assert not speakers["dev"] & speakers["train"]


def test_pairs_are_found_by_path_and_the_others_named(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        shutil.copytree(tiny_corpus.speech, tmp_path / side)
    (tmp_path / "clean" / "speaker0" / "clip0.wav").unlink()
    left_out = prepare(tmp_path, noisy=tmp_path / "noisy", clean=tmp_path / "clean")
    assert len(left_out) == 1
    assert "speaker0/clip0.wav: no clean file" in left_out[0]
    rows = read_manifest(tmp_path / "manifest.jsonl")
    assert len(rows) == 7
    assert all(
        Path(str(row.noisy)).relative_to(tmp_path / "noisy") == Path(row.speech).relative_to(tmp_path / "clean")
        for row in rows
    )


def test_half_a_source_is_refused(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="give --speech and --noise"):
        prepare(tmp_path, speech=tiny_corpus.speech, clean=tiny_corpus.speech)
