"""Running `deepnmf` in tests: in this process where that is enough, as a program where signals and pipes matter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepnmf import cli
from deepnmf.audio.formats import AudioFormat
from deepnmf.audio.pipes import wav_header


def run(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["deepnmf", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)
    return 0


def program(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
    """Start `deepnmf` as a program of its own."""
    command = [sys.executable, "-m", "deepnmf", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def write_endless(path: Path) -> None:
    """Write a recording of 23 minutes of silence that takes no room on disk; no test waits for its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(wav_header(AudioFormat(48000, 2, None, "WAV", "PCM_16")))
        file.truncate(2**28)


def leftovers(folder: Path) -> list[Path]:
    """Return half-written files under `folder`."""
    return [path for path in folder.rglob("*") if ".part" in path.name]
