"""Artifacts: whole or absent, equal for equal content, and damage is noticed wherever it is."""

from __future__ import annotations

import contextlib
import csv
import errno
import math
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from deepnmf.artifacts import (
    atomic_path,
    checked_line,
    load_tensors,
    read_checked_line,
    read_csv,
    read_json,
    save_tensors,
    write_csv,
    write_json,
    write_text,
)
from deepnmf.artifacts.schema import ArraySpec
from deepnmf.errors import DeepnmfError

TENSORS = {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b": np.ones(2)}
METADATA: dict[str, Any] = {"beta": 1.0, "history": [3, 2.5], "note": "μ = ½", "nested": {"seed": 7}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, "model", METADATA)
    return path


def test_what_is_saved_comes_back(saved: Path) -> None:
    tensors, metadata = load_tensors(saved, "model")
    assert {name: value.dtype for name, value in tensors.items()} == {"w": np.float32, "b": np.float64}
    assert all(np.array_equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert {key: metadata[key] for key in METADATA} == METADATA


def test_equal_content_gives_equal_bytes_in_any_order(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "b.safetensors"
    save_tensors(again, dict(reversed(TENSORS.items())), "model", dict(reversed(METADATA.items())))
    assert again.read_bytes() == saved.read_bytes()


def test_what_was_loaded_can_be_saved_again(saved: Path, tmp_path: Path) -> None:
    tensors, metadata = load_tensors(saved, "model")
    save_tensors(tmp_path / "b", {**tensors, "more": np.zeros(1)}, "model", metadata)
    assert load_tensors(tmp_path / "b", "model")[1]["nested"] == METADATA["nested"]


def test_a_view_is_saved_as_its_contents(tmp_path: Path) -> None:
    base = np.arange(12.0).reshape(3, 4)
    save_tensors(tmp_path / "v", {"x": base.T[::2]}, "k", {})
    assert np.array_equal(load_tensors(tmp_path / "v", "k")[0]["x"], base.T[::2])


def test_metadata_with_integer_keys_and_tuples_survive_the_checksum(tmp_path: Path) -> None:
    save_tensors(tmp_path / "v", TENSORS, "k", {"by_layer": {10: 1, 2: 2}, "t": (1, 2)})
    assert load_tensors(tmp_path / "v", "k")[1]["by_layer"] == {"10": 1, "2": 2}


@pytest.mark.parametrize("bit", [0, 2, 6])
def test_a_damaged_bit_anywhere_is_refused(saved: Path, bit: int) -> None:
    whole = saved.read_bytes()
    for index in range(len(whole)):
        damaged = bytearray(whole)
        damaged[index] ^= 1 << bit
        saved.write_bytes(damaged)
        with pytest.raises(DeepnmfError, match=r"a\.safetensors"):
            load_tensors(saved, "model")


def test_a_damaged_weight_is_a_checksum_mismatch(saved: Path) -> None:
    damaged = bytearray(saved.read_bytes())
    damaged[-1] ^= 1
    saved.write_bytes(damaged)
    with pytest.raises(DeepnmfError, match="checksum mismatch"):
        load_tensors(saved, "model")


@pytest.mark.parametrize("keep", [0, 1, 8, 100, -1])
def test_a_truncated_file_is_refused(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(DeepnmfError, match="not a readable safetensors file"):
        load_tensors(saved, "model")


def test_another_kind_is_refused_by_name(saved: Path) -> None:
    with pytest.raises(DeepnmfError, match="this is a model file; a dictionary file is needed"):
        load_tensors(saved, "dictionary")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"w": np.ones(2)}, tmp_path / "f.safetensors", metadata)
    with pytest.raises(DeepnmfError, match="not one that deepnmf wrote"):
        load_tensors(tmp_path / "f.safetensors", "model")


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '"x"'])
def test_foreign_metadata_under_our_key_is_refused(tmp_path: Path, text: str) -> None:
    save_file({"w": np.ones(2)}, tmp_path / "f.safetensors", {"deepnmf": text})
    with pytest.raises(DeepnmfError, match="checksum"):
        load_tensors(tmp_path / "f.safetensors", "model")


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("deepnmf.artifacts.tensor_file.FORMAT_VERSION", 2)
        save_tensors(tmp_path / "f", TENSORS, "model", {})
    with pytest.raises(DeepnmfError, match="upgrade deepnmf"):
        load_tensors(tmp_path / "f", "model")


def test_a_missing_file_or_a_folder_is_one_clear_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DeepnmfError, match="no such model file") as caught:
            load_tensors(path, "model")
        assert "\n" not in str(caught.value)


def test_what_the_system_refuses_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(DeepnmfError, match=r"cannot read the model file \((?!.*again)"):
            load_tensors(path, "model")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_crash_mid_write_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_path(tmp_path / "new" / "a.txt") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_device_or_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(DeepnmfError, match=f"{path}: a device or pipe"):
            write_text(path, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_crash_mid_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_keeps_the_suffix_and_the_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.flac") as temporary:
        assert (temporary.suffix, temporary.parent) == (".flac", tmp_path)


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "a." + "s" * 253, "x" * 251 + ".wav"])
def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_system_that_refuses_permissions_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    for name in ("chmod", "fchmod", "chown"):
        monkeypatch.setattr(os, name, refuse)
    write_text(tmp_path / "a", "whole")
    assert (tmp_path / "a").read_text() == "whole"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EBUSY, errno.ENOSYS, errno.ENOTSUP, errno.EPERM])
@pytest.mark.parametrize("there", [False, True])
def test_where_renaming_is_refused_the_file_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, there: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    if there:
        (tmp_path / "a").write_text("old")
    monkeypatch.setattr(Path, "replace", refuse)
    if there and number == errno.EPERM:  # a sticky folder, or a file that is open: it is not ours to write over
        with pytest.raises(DeepnmfError, match="cannot write"):
            write_text(tmp_path / "a", "new")
    else:
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == ("old" if there and number == errno.EPERM else "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deepnmf.artifacts import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary: print(temporary, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.wav")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
    dead, living = [Path(process.stdout.readline().strip()) for process in writers if process.stdout is not None]
    writers[0].kill()
    writers[0].wait()
    assert dead.exists()
    write_text(tmp_path / "b.txt", "")
    assert not dead.exists()
    assert living.exists()
    writers[1].kill()
    writers[1].wait()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeepnmfError, match="cannot write"):
        write_text(tmp_path / "file" / "below.txt", "x")


ODD_JSON = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b"5",
    b"{}",
    b'{"a": 1, "a": 1}',
    b"[" * 10**5,
    b'{"a": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("content", ODD_JSON)
def test_damaged_json_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DeepnmfError, match=r"a\.json") as caught:
        read_json(tmp_path / "a.json")
    assert len(str(caught.value)) < 300


JSON = {"b": [1, 2.5, None, True], "a": {"μ": "½ \udcff\n"}, "n": -3, "nan": math.inf}


def test_a_flipped_bit_of_json_is_noticed_unless_it_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, JSON)
    whole = path.read_bytes()
    assert read_json(path) == JSON
    for index in range(len(whole)):
        for bit in (0, 3, 5):
            damaged = bytearray(whole)
            damaged[index] ^= 1 << bit
            path.write_bytes(damaged)
            with contextlib.suppress(DeepnmfError):
                assert read_json(path) == JSON


def test_lines_carry_their_checksum() -> None:
    line = checked_line(JSON).encode()
    assert read_checked_line(line) == JSON
    for damaged in (line[:-9], line.replace(b"2.5", b"2.6"), b"", b"{}", b"[", b"\xff", b'{"sha256": 1}'):
        assert read_checked_line(damaged) is None


CELLS = ["=1+1", "+a", "-b", "@c", "'", "'=x", "\tq", "\rq", 'a,"b"', "two\nlines", "", "plain", "é", "x\ry"]


def test_text_in_csv_is_no_formula_and_comes_back(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"id": cell, "score": -1.5} for cell in CELLS])
    assert read_csv(tmp_path / "a.csv") == [{"id": cell, "score": "-1.5"} for cell in CELLS]
    with (tmp_path / "a.csv").open(newline="") as file:
        assert not any(row["id"].startswith(("=", "+", "-", "@", "\t", "\r")) for row in csv.DictReader(file))


@pytest.mark.parametrize("content", [b"a,b\n1\n", b"a,b\n1,2,3\n", b"a\n\xff\n", b'a,b\n"1,2\n'])
def test_damaged_csv_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DeepnmfError, match=r"a\.csv"):
        read_csv(tmp_path / "a.csv")


def test_metadata_may_quote_names_that_are_not_utf8(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", TENSORS, "k", {"left_out": ["caf\udce9.wav: empty"]})
    assert load_tensors(tmp_path / "a", "k")[1]["left_out"] == ["caf\udce9.wav: empty"]


def test_missing_json_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="run the stage that writes it"):
        read_json(tmp_path / "none.json")


def test_text_artifacts_are_plain_and_ordered(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "μ"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8").startswith('{\n  "a": "μ",\n  "b": 1,\n  "sha256": ')
    write_csv(tmp_path / "a.csv", [{"x": 1, "y": "a,b"}])
    assert (tmp_path / "a.csv").read_text() == 'x,y\n1,"a,b"\n'


def test_the_reader_of_safetensors_agrees(saved: Path) -> None:
    arrays = load_tensors(saved, "model")[0]
    theirs = load_file(saved)
    assert arrays.keys() == theirs.keys()
    assert all(np.array_equal(arrays[name], theirs[name]) for name in theirs)


@given(st.binary(max_size=40), st.integers(0, 400))
def test_what_safetensors_refuses_is_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.safetensors"
    save_tensors(path, TENSORS, "model", METADATA)
    content = path.read_bytes()
    path.write_bytes(content[:at] + junk + content[at + len(junk) :])
    if path.read_bytes() == content:
        return
    with pytest.raises(DeepnmfError):
        load_tensors(path, "model")


def test_equal_files_whatever_the_order_of_arrays_and_types(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3, dtype=np.float16), "b": np.arange(5), "c": np.zeros((2, 0)), "d": np.array(True)}
    for name, order in (("1", arrays), ("2", dict(reversed(arrays.items())))):
        save_tensors(tmp_path / name, order, "k", {})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    loaded = load_tensors(tmp_path / "1", "k")[0]
    assert {name: array.dtype for name, array in loaded.items()} == {name: a.dtype for name, a in arrays.items()}
    assert all(np.array_equal(loaded[name], arrays[name]) for name in arrays)


@given(bits=st.lists(st.one_of(st.integers(0, 2**16 - 1), st.sampled_from([0x7C00, 0xFC00, 0x8000, 0x7BFF]))))
def test_half_precision_is_checked_as_numpy_compares_it(bits: list[int]) -> None:
    array = np.array(bits, np.uint16).view(np.float16)
    wrong = not np.isfinite(array).all() or (array < 0).any()
    with pytest.raises(DeepnmfError, match=r"negative|NaN") if wrong else contextlib.nullcontext():
        ArraySpec((len(bits),), nonnegative=True).check_values("x", array)
