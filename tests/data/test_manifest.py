"""The manifest: what is written comes back, and a bad line is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deepnmf.data.manifest import MixtureEntry, read_manifest, write_manifest
from deepnmf.errors import DeepnmfError

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
    with pytest.raises(DeepnmfError, match="no rows in split dev"):
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
        ({"noise": "n"}, "needs snr_db"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_by_its_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(DeepnmfError, match=f"row odd: .*{words}"):
        MixtureEntry(id="odd", split="train", speech="s", **values)


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[1]",
        "3",
        '{"id": "a"}',
        '{"id": "a", "split": "train", "speech": "s", "noisy": "m", "colour": 1}',
        '{"id": "a", "split": "train", "speech": 3, "noisy": "m"}',
        "",
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    write_manifest(tmp_path / "m.jsonl", [MIX])
    good = (tmp_path / "m.jsonl").read_text()
    with pytest.raises(DeepnmfError, match=r"manifest\.jsonl:2: not a manifest row") as caught:
        read_manifest(written(tmp_path, good + line + "\n"))
    assert "\n" not in str(caught.value)


def test_a_missing_empty_or_binary_manifest_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"cannot read the manifest.*deepnmf prepare"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(DeepnmfError, match="no rows"):
        read_manifest(written(tmp_path, ""))
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DeepnmfError, match="cannot read the manifest"):
        read_manifest(tmp_path / "b.jsonl")


def test_a_split_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match=r"split.*tset"):
        read_manifest(written(tmp_path, '{"id": "a", "split": "tset", "speech": "s", "noisy": "m"}\n'))
