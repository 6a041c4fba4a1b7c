"""The commands of the README and of the pages in ``docs/`` work as printed, and so do their Python examples.

Blocks after ``<!-- ci: run -->`` are run in the order of their document, in a folder of its own, which holds
``examples/``, ``speech/`` and ``noise/`` (the tiny corpus) and ``noisy.wav``. ``.ci/run`` runs the README's blocks
marked ``install``, ``light`` and ``test``; a block that cannot run anywhere is marked ``skip``.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS

MARKS = ("install", "light", "test", "run", "skip")


@dataclass(frozen=True)
class Block:
    """One fenced block of shell commands of a document."""

    document: str
    mark: str
    line: int
    commands: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(document: str, text: str) -> list[Block]:
    """Return the ``bash``, ``sh`` and ``console`` blocks with the mark on the line before, if any.

    Examples
    --------
    >>> blocks("a.md", "<!-- ci: run -->\\n```bash\\ndeepnmf --help\\n```\\n")
    [Block(document='a.md', mark='run', line=2, commands='deepnmf --help\\n')]
    """
    pattern = re.compile(r"(?:^<!-- ci: (\w+) -->\n)?^```(?:bash|sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = pattern.finditer(text)
    return [Block(document, block[1] or "", text[: block.start(2)].count("\n"), block[2]) for block in found]


PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [block for page, text in TEXTS.items() for block in blocks(page, text)]
RUNNABLE = sorted({block.document for block in BLOCKS if block.mark == "run"})


@pytest.fixture
def folder(tmp_path: Path, tiny_corpus: TinyCorpus) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(tiny_corpus.speech, tmp_path / "speech")
    shutil.copytree(tiny_corpus.noise, tmp_path / "noise")
    shutil.copy(ROOT / "examples" / "noisy.wav", tmp_path / "noisy.wav")
    return tmp_path


def test_something_is_run() -> None:
    assert {"README.md", "docs/tutorial.md"} <= set(RUNNABLE)


@pytest.mark.slow
@pytest.mark.parametrize("document", RUNNABLE)
def test_marked_commands_run_as_printed(document: str, folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in BLOCKS:
        if (block.document, block.mark) != (document, "run"):
            continue
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.commands],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert result.returncode == 0, f"{block}\n{block.commands}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_with_a_command_of_ours_is_marked(block: Block) -> None:
    if re.search(r"\b(deepnmf|pytest)\b", block.commands):
        assert block.mark in MARKS, f"{block}: put <!-- ci: run --> or another of {MARKS} above it"


@pytest.mark.parametrize("document", [page for page, text in TEXTS.items() if ">>> " in text])
def test_python_examples_give_what_they_show(document: str) -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(ROOT / document), module_relative=False, optionflags=flags, encoding="utf-8")
    assert result.attempted
    assert not result.failed
