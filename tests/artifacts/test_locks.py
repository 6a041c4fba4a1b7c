"""One run at a time in a folder: the second is refused, the lock of a dead one counts for nothing, none is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepnmf.artifacts.locks import LOCK, only_run
from deepnmf.errors import DeepnmfError

HOLD = """
import sys
from pathlib import Path
from deepnmf.artifacts.locks import only_run
with only_run(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read(1)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_run_is_refused_until_the_first_has_ended_or_died(tmp_path: Path) -> None:
    folder = tmp_path / "exp"
    for end in (lambda process: process.communicate("x"), lambda process: process.kill()):
        process = holder(folder)
        with pytest.raises(DeepnmfError, match="another run"), only_run(folder):
            pass
        end(process)
        process.wait()
        with only_run(folder):
            assert (folder / LOCK).exists()
        assert not (folder / LOCK).exists()


def test_a_folder_that_another_run_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plain = tmp_path / "exp", os.open

    def open_late(path: Path, *arguments: int) -> int:
        monkeypatch.setattr(os, "open", plain)
        folder.rmdir()
        return plain(path, *arguments)

    monkeypatch.setattr(os, "open", open_late)
    with only_run(folder):
        assert (folder / LOCK).exists()
    assert not folder.exists()


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), only_run(tmp_path / "a" / "b"):
        raise KeyError
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DeepnmfError, match="file"), only_run(tmp_path / "file"):
        pass
