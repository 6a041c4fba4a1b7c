"""Running `deepnmf` in tests: in this process where that is enough, as a program where signals and pipes matter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepnmf import cli


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


def leftovers(folder: Path) -> list[Path]:
    """Return half-written files under `folder`."""
    return [path for path in folder.rglob("*") if ".part" in path.name]
