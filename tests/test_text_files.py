"""Text files in whose place a pipe or a device stands: refused, or read to its end or a bound, and never for ever."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deepnmf.text_files
from deepnmf.artifacts import read_csv, read_json
from deepnmf.config import read_toml
from deepnmf.data.manifest import read_manifest
from deepnmf.enhancement.inputs import read_file_list
from deepnmf.errors import DeepnmfError
from deepnmf.evaluation.folder import check_text
from deepnmf.evaluation.partial_scores import read_partial_scores

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs and devices of POSIX")


@pytest.mark.parametrize(
    "read", [read_json, read_csv, read_manifest, read_partial_scores, lambda path: check_text(path, "", "s")]
)
def test_what_is_read_again_or_was_written_here_is_no_pipe_or_device(
    read: Callable[[Path], Any], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")  # that nobody writes to
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DeepnmfError, match=f"{path}: cannot read.*pipe or device"):
            read(path)


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (read_toml, "\ufeff[train]\nepochs = 1\n", {"train": {"epochs": 1}}),
        (lambda path: read_file_list(str(path)), "a.wav\nb.wav\n", ["a.wav", "b.wav"]),
    ],
)
def test_what_is_read_once_may_be_a_pipe_and_has_an_end(
    read: Callable[[Path], Any], text: str, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,))
    writer.start()
    assert read(tmp_path / "pipe") == expected
    writer.join()
    monkeypatch.setattr(deepnmf.text_files, "LARGEST", 1 << 20)
    with pytest.raises(DeepnmfError, match=r"/dev/zero: cannot read.*longer than 1 MB"):
        read(Path("/dev/zero"))
