"""The manifest: what is written comes back, and a bad line is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deepnmf.data.manifest import MixtureEntry, read_manifest, write_manifest
from deepnmf.data.prepare import prepare
from deepnmf.errors import DeepnmfError
from helpers.signals import TinyCorpus

MIX = MixtureEntry(
    id="a", split="train", speech="/s/a.wav", noise="/n/b.wav", snr_db=-6.0, noise_start=0.25, seconds=1.5
)
PAIR = MixtureEntry(id="b", split="test", speech="/s/c.wav", noisy="/m/c.wav", noise_type="café", speaker="p1")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "manifest.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [MIX, PAIR])
    assert read_manifest(tmp_path / "m.jsonl") == [MIX, PAIR]


def test_defaults_are_left_out_of_the_file(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [PAIR])
    (line,) = (tmp_path / "m.jsonl").read_text(encoding="utf-8").splitlines()
    assert set(json.loads(line)) == {"id", "split", "speech", "noisy", "noise_type", "speaker"}
    assert "café" in line


def test_a_split_is_picked(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [MIX, PAIR])
    assert read_manifest(tmp_path / "m.jsonl", "test") == [PAIR]
    with pytest.raises(DeepnmfError, match="no mixtures in split dev"):
        read_manifest(tmp_path / "m.jsonl", "dev")


def test_relative_paths_are_those_of_the_manifest_folder(tmp_path: Path) -> None:
    row = MixtureEntry(id="a", split="dev", speech="s/a.wav", noise="../n/b.wav", snr_db=0.0)
    write_manifest(tmp_path / "m.jsonl", [row])
    (found,) = read_manifest(tmp_path / "m.jsonl")
    assert found.speech == str(tmp_path / "s/a.wav")
    assert found.noise == str(tmp_path / "../n/b.wav")
    assert found.noisy is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"noise": None, "snr_db": 0.0}, "exactly one of noise and noisy"),
        ({"noise": "n", "noisy": "m", "snr_db": 0.0}, "exactly one of noise and noisy"),
        ({"noise": "n"}, "snr_db is missing"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_by_its_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(DeepnmfError, match=f"odd: .*{words}"):
        MixtureEntry(id="odd", split="train", speech="s", **values)


def line(**values: object) -> str:
    return json.dumps({"id": "x", "split": "train", "speech": "s.wav", "noise": "n.wav", "snr_db": 3} | values)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("not json", ""),
        ("[1]", "table"),
        ("3", "table"),
        ('{"id": "x"}', "split is missing"),
        ('{"id": "x", "id": "y"}', "twice"),
        (line(colour=1), "unknown key.*colour.*valid keys"),
        (line(speech=3), "speech must be text"),
        (line(speech=""), "speech must not be empty"),
        (line(speech=None), "speech must be text"),
        (line(noise="n\0"), "noise must not"),
        (line(id=None), "id must be text"),
        (line(split="tset"), "split must be train, dev, test"),
        (line(split=None), "split must be text"),
        (line(speaker=["a"]), "speaker must be text"),
        (line(snr_db="3"), "snr_db must be a number"),
        (line(snr_db=None), "snr_db is missing"),
        (line(snr_db=True), "snr_db must be a number"),
        (line(snr_db=float("nan")), "snr_db must be -100 to 100"),
        (line(snr_db=float("-inf")), "snr_db must be -100 to 100"),
        (line(snr_db=101), "snr_db must be -100 to 100"),
        (line(noise_start=1.5), "noise_start must be 0 to 1"),
        (line(noise_start=None), "noise_start must be a number"),
        (line(seconds=-1), "seconds must be 0"),
        (line(seconds=float("inf")), "seconds must be 0"),
        (line(noisy="m.wav"), "exactly one of noise and noisy"),
        (line(id="a"), "id .*a.* line 1"),
        ("\n" + line(), "table"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_key(tmp_path: Path, bad: str, words: str) -> None:
    write_manifest(tmp_path / "m.jsonl", [MIX])
    good = (tmp_path / "m.jsonl").read_text()
    with pytest.raises(DeepnmfError, match=rf"manifest\.jsonl:2: .*{words}") as caught:
        read_manifest(written(tmp_path, good + bad + "\n"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "\n  \n\t\n"])
def test_blank_lines_at_the_end_and_other_ways_of_ending_lines_are_taken(tmp_path: Path, end: str) -> None:
    entries = read_manifest(written(tmp_path, "\ufeff" + line(id="a") + "\r\n" + line(id="b\u2028") + end))
    assert [(entry.id, entry.snr_db) for entry in entries] == [("a", 3.0), ("b\u2028", 3.0)]


def test_two_mixtures_of_one_id_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="2 mixtures have the id 'a'"):
        write_manifest(tmp_path / "m.jsonl", [MIX, PAIR, MIX])
    assert not (tmp_path / "m.jsonl").exists()


def test_a_missing_empty_or_binary_manifest_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"cannot read the manifest.*deepnmf prepare"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(DeepnmfError, match="no mixtures"):
        read_manifest(written(tmp_path, ""))
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DeepnmfError, match=r"cannot read the manifest.*not text"):
        read_manifest(tmp_path / "b.jsonl")


def test_a_prepared_manifest_that_was_changed_is_refused(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    prepare(tmp_path, tiny_corpus.speech, tiny_corpus.noise)
    path = tmp_path / "manifest.jsonl"
    rows = read_manifest(path)
    for changed in (path.read_text().replace("0.", "1.", 1), path.read_text().rpartition("{")[0]):
        path.write_text(changed)
        with pytest.raises(DeepnmfError, match=r"manifest\.jsonl: damaged, or changed"):
            read_manifest(path)
        path.rename(tmp_path / "mine.jsonl")
        assert read_manifest(tmp_path / "mine.jsonl") != rows


def test_odd_names_come_back(tmp_path: Path) -> None:
    rows = [
        MixtureEntry(f"{n}", "test", name, "n.wav", snr_db=0.0) for n, name in enumerate(["a\u2028b", "\udce9", "c\nd"])
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    assert [row.speech for row in read_manifest(tmp_path / "m.jsonl")] == [str(tmp_path / row.speech) for row in rows]
