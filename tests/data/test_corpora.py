"""Each corpus is read from its own layout: pairs by path, splits as published, counts checked, conditions named."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from deepnmf.cli import app
from deepnmf.data.corpora import NAMES
from deepnmf.data.corpora.catalogue import CORPORA, download_corpus, find_corpus
from deepnmf.data.manifest import MixtureEntry, read_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.data.prepare import prepare_corpus
from deepnmf.errors import DeepnmfError
from deepnmf.networks.kinds import configuration
from deepnmf.training.experiment import DataSource, train
from helpers import corpus_trees


def prepared(tmp_path: Path, name: str, *roots: Path, **options: Any) -> tuple[list[MixtureEntry], dict[str, Any]]:
    assert prepare_corpus(tmp_path / "exp", name, roots, **options) == []
    return read_manifest(tmp_path / "exp/manifest.jsonl"), json.loads((tmp_path / "exp/corpus.json").read_text())


def splits(rows: list[MixtureEntry]) -> dict[str, int]:
    return dict(Counter(row.split for row in rows))


def test_names_are_those_of_the_catalogue() -> None:
    assert set(NAMES) == set(CORPORA)


def test_chime2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, record = prepared(tmp_path, "chime2", corpus_trees.chime2(tmp_path / "tree"))
    assert splits(rows) == {"train": 2, "dev": 6, "test": 6}
    assert len({row.id for row in rows}) == len(rows)
    first = next(row for row in rows if row.id == "m6dB/011/011c0201")
    assert (first.speaker, first.snr_db) == ("011", -6)
    assert first.speech == str(first.noisy).replace("isolated", "scaled")
    mixed = load_mixture(first, 16000)
    found_db = 10 * np.log10(np.square(mixed.speech).mean() / np.square(mixed.noise).mean())
    assert found_db == pytest.approx(-3, abs=0.2)  # the mean of two channels has half of their independent noise
    assert "si_tr_s has 2 files, not 7,138, si_dt_05 has 6 files, not 2,460" in capsys.readouterr().err
    assert record["counts"][0] == {"part": "si_tr_s", "found": 2, "published": [7138]}
    assert record["licence"].startswith("LDC")


def test_chime2_below_the_folder_of_the_ldc(tmp_path: Path) -> None:
    corpus_trees.chime2(tmp_path / "disc/data/chime2-wsj0")
    assert splits(prepared(tmp_path, "chime2", tmp_path / "disc")[0])["test"] == 6


def test_voicebank_demand(tmp_path: Path) -> None:
    rows, record = prepared(tmp_path, "voicebank_demand", corpus_trees.voicebank_demand(tmp_path / "tree"))
    by_speaker = {row.speaker: row for row in rows}
    assert {row.speaker for row in rows if row.split == "dev"} == {"p226", "p287"}
    assert {row.speaker for row in rows if row.split == "test"} == {"p232", "p257"}
    assert (by_speaker["p232"].noise_type, by_speaker["p232"].snr_db) == ("bus", 2.5)
    assert [count["published"] for count in record["counts"]] == [[11572], [824]]


def test_voicebank_demand_with_other_dev_speakers_and_without_logs(tmp_path: Path) -> None:
    tree = corpus_trees.voicebank_demand(tmp_path / "tree")
    for log in tree.glob("*.txt"):
        log.unlink()
    for folder in list(tree.iterdir()):
        folder.rename(f"{folder}_16k")
    rows, record = prepared(tmp_path, "voicebank_demand", tree, dev_speakers=["p228"])
    assert {row.speaker for row in rows if row.split == "dev"} == {"p228"}
    assert {row.noise_type for row in rows} == {""}
    assert "no log_testset.txt" in record["warnings"][-1]
    with pytest.raises(DeepnmfError, match="no recordings of p999; choose other dev speakers"):
        prepare_corpus(tmp_path, "voicebank_demand", [tree], dev_speakers=["p999"])


def test_ms_snsd(tmp_path: Path) -> None:
    rows, record = prepared(tmp_path, "ms_snsd", corpus_trees.ms_snsd(tmp_path / "tree"))
    assert splits(rows) == {"train": 2 * 3, "dev": 1, "test": 6}
    kinds = {split: {row.noise_type for row in rows if row.split == split} for split in ("train", "dev", "test")}
    assert kinds["test"] == {"Babble"}
    assert not kinds["train"] & kinds["dev"]
    assert {row.speaker for row in rows if row.split == "test"} == {"unknown"}
    assert record["warnings"] == []  # the corpus grows: no number of files is published


def test_librispeech_musan(tmp_path: Path) -> None:
    roots = corpus_trees.librispeech(tmp_path / "speech"), corpus_trees.musan(tmp_path / "noise")
    rows, record = prepared(tmp_path, "librispeech_musan", *roots)
    assert splits(rows) == {"train": 4, "dev": 1, "test": 6}
    assert {row.speaker for row in rows if row.split == "train"} == {"103", "26"}
    assert all("/musan/noise/" in str(row.noise) for row in rows)
    assert not {row.noise for row in rows if row.split == "train"} & {row.noise for row in rows if row.split == "test"}
    parts = [count["part"] for count in record["counts"]]
    assert parts == ["train-clean-100", "dev-clean", "test-clean", "musan/noise"]


def test_librispeech_demand_in_one_folder(tmp_path: Path) -> None:
    corpus_trees.demand(corpus_trees.librispeech(tmp_path / "tree"))
    rows, _ = prepared(tmp_path, "librispeech_demand", tmp_path / "tree")
    assert {Path(str(row.noise)).name for row in rows} == {"ch01.wav"}
    kinds = {split: {row.noise_type for row in rows if row.split == split} for split in ("train", "dev", "test")}
    assert not kinds["train"] & kinds["test"]
    assert kinds["test"] <= set(corpus_trees.ENVIRONMENTS)


def test_wham(tmp_path: Path) -> None:
    tree = corpus_trees.wham(tmp_path / "tree")
    rows, _ = prepared(tmp_path, "wham", tree)
    assert splits(rows) == {"train": 2, "dev": 1, "test": 1}
    assert {row.speaker for row in rows} == {"40n", "01a", "20g", "440"}
    assert all("/mix_single/" in str(row.noisy) and "/s1/" in row.speech for row in rows)
    (tmp_path / "named").mkdir()
    assert splits(prepared(tmp_path / "named", "wham", tree / "wav16k/min")[0]) == splits(rows)


def test_folders(tmp_path: Path) -> None:
    tree = corpus_trees.two_folders(tmp_path / "tree")
    rows, record = prepared(tmp_path, "folders", tree / "speech", tree / "noise")
    assert splits(rows) == {"train": 4, "dev": 2, "test": 12}
    assert record["counts"] == record["warnings"] == []
    assert prepared(tmp_path, "folders", tree)[0] == rows


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("chime2", "isolated/si_et_05"),
        ("voicebank_demand", "noisy_testset_wav"),
        ("librispeech", "LibriSpeech/test-clean"),
        ("wham", "wav16k/min/tt"),
    ],
)
def test_a_part_that_is_not_there_is_told(name: str, part: str, tmp_path: Path) -> None:
    tree = getattr(corpus_trees, name)(tmp_path / "tree")
    shutil.rmtree(tree / part)
    if name == "librispeech":
        name, tree = "librispeech_musan", corpus_trees.musan(tree)
    rows, record = prepared(tmp_path, name, tree)
    assert set(splits(rows)) == {"train", "dev"}
    assert "has 0 files, not " in record["warnings"][0]


def test_a_noisy_file_without_its_clean_one_is_left_out(tmp_path: Path) -> None:
    tree = corpus_trees.wham(tmp_path / "tree")
    lost = next((tree / "wav16k/min/tr/s1").iterdir())
    lost.unlink()
    left_out = prepare_corpus(tmp_path / "exp", "wham", [tree])
    assert len(left_out) == 1
    assert str(lost) in left_out[0]


def test_train_takes_a_corpus_and_refuses_another(tmp_path: Path) -> None:
    config = configuration(
        {
            "snmf": {"speech_atoms": 3, "noise_atoms": 3, "iterations": 3},
            "network": {"kind": "deep-nmf", "layers": 1, "trained_layers": 0},
            "train": {"epochs": 0},
        },
    )
    tree = corpus_trees.wham(tmp_path / "tree")
    for _ in "twice":
        assert train(tmp_path / "exp", DataSource(name="wham", roots=(tree,)), config, report=lambda _: None) == []
    assert (tmp_path / "exp/best.safetensors").exists()
    with pytest.raises(DeepnmfError, match="holds another experiment"):
        train(tmp_path / "exp", DataSource(name="chime2", roots=(tree,)), config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "."], "--root, --download and --dev-speakers go with --corpus"),
        (["--corpus", "wham", "--root", ".", "--speech", "."], "--corpus is instead of --speech"),
        (["--corpus", "wham"], "give one root for each of: WHAM!"),
        (["--corpus", "wham", "--root", ".", "--download"], "cannot be downloaded"),
    ],
)
def test_the_command_refuses_what_does_not_fit(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["prepare", "-o", "exp", *arguments])
    assert isinstance(result.exception, DeepnmfError)
    assert message in str(result.exception)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "folders"])
def test_a_wrong_folder_says_what_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"no .+ in it"):
        prepare_corpus(tmp_path / "exp", name, [tmp_path])
    with pytest.raises(DeepnmfError, match="no such folder"):
        prepare_corpus(tmp_path / "exp", name, [tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_corpus("chime9", [Path()]), "no such corpus; supported: folders, chime2"),
        (lambda: find_corpus("librispeech_musan", []), "give one root for each of: LibriSpeech, MUSAN"),
        (lambda: find_corpus("wham", [Path(), Path()]), "give one root for each of: WHAM!"),
        (lambda: download_corpus("chime2", [Path()]), "cannot be downloaded"),
        (lambda: prepare_corpus(Path(), "wham", [Path()], dev_speakers=["p226"]), "for voicebank_demand only"),
    ],
)
def test_what_cannot_be_done_is_said(call: Callable[[], object], message: str) -> None:
    with pytest.raises(DeepnmfError, match=message):
        call()


@pytest.mark.parametrize("name", ["wham", "demand", "musan"])
def test_a_root_may_be_a_relative_path_or_a_link(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = getattr(corpus_trees, name)(tmp_path / "store")
    if name != "wham":
        name, tree = f"librispeech_{name}", corpus_trees.librispeech(tree)
    (tmp_path / "tree").symlink_to(tree)
    monkeypatch.chdir(tmp_path)
    rows, _ = prepared(tmp_path, name, Path("tree"))
    assert all(Path(row.speech).is_relative_to(tmp_path / "tree") for row in rows)
