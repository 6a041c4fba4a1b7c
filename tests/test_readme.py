"""The README's commands work as printed: blocks after ``<!-- ci: run -->`` are run, in order, in one folder.

The folder holds ``examples/``, ``speech/`` and ``noise/`` (the tiny corpus) and ``noisy.wav``. ``.ci/run`` runs the
blocks marked ``install`` and ``test``; a block that cannot run anywhere says ``<!-- ci: skip -->``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import TinyCorpus

ROOT = Path(__file__).resolve().parents[1]
MARKS = ("install", "test", "run", "skip")


@dataclass(frozen=True)
class Block:
    """One fenced block of shell commands."""

    mark: str
    line: int
    commands: str


def blocks(text: str) -> list[Block]:
    """Return the ``bash``, ``sh`` and ``console`` blocks with the mark on the line before, if any.

    Examples
    --------
    >>> blocks("<!-- ci: run -->\\n```bash\\ndeepnmf --help\\n```\\n")
    [Block(mark='run', line=2, commands='deepnmf --help\\n')]
    """
    pattern = re.compile(r"(?:^<!-- ci: (\w+) -->\n)?^```(?:bash|sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [Block(found[1] or "", text[: found.start(2)].count("\n"), found[2]) for found in pattern.finditer(text)]


README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks(README)


@pytest.fixture
def folder(tmp_path: Path, tiny_corpus: TinyCorpus) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(tiny_corpus.speech, tmp_path / "speech")
    shutil.copytree(tiny_corpus.noise, tmp_path / "noise")
    shutil.copy(ROOT / "examples" / "noisy.wav", tmp_path / "noisy.wav")
    return tmp_path


def test_marked_commands_run_as_printed(folder: Path) -> None:
    runnable = [block for block in BLOCKS if block.mark == "run"]
    if not runnable:
        pytest.skip("the README marks no block as runnable")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in runnable:
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.commands],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert result.returncode == 0, f"README.md:{block.line}\n{block.commands}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line {block.line}")
def test_every_block_with_a_command_of_ours_is_marked(block: Block) -> None:
    if re.search(r"\b(deepnmf|pytest)\b", block.commands):
        assert block.mark in MARKS, f"README.md:{block.line}: say <!-- ci: run --> or another of {MARKS} above it"


@pytest.mark.parametrize("document", ["README.md", "examples/README.md", "data/README.md"])
def test_local_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    if not path.exists():
        pytest.skip(f"no {document}")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert not missing
