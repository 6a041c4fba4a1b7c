"""Messages of the library name parameters and commands, not options: a caller of a function has no options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import ROOT

SOURCES = ROOT / "src" / "deepnmf"
COMMAND_LINE = re.compile(r"\b(deepnmf|pip|torchrun|curl|sbatch) [^;]*")
OPTION = re.compile(r"(?:^|[\s(])--?[a-z][\w-]*")


def named_options(source: str) -> list[str]:
    """Return the options that texts of a module name outside complete command lines; docstrings do not count."""
    found = []
    for text in texts(ast.parse(source)):
        if not re.fullmatch(r"--?[\w-]+", text):  # an argument for another program
            found += OPTION.findall(COMMAND_LINE.sub("", text))
    return found


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        else:
            yield from texts(node)


MODULES = sorted(path.relative_to(SOURCES) for path in SOURCES.rglob("*.py") if path.parts[-2] != "cli")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_message_of_the_library_names_an_option_of_the_command_line(module: Path) -> None:
    assert named_options((SOURCES / module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ('raise E("give --speech")', 1),
        ('raise E(f"--workers: a {x}, " "or -o FILE")', 2),
        ('raise E(f"make it: deepnmf report {x} --scores S; or choose another")', 0),
        ('run(["npm", "--silent"])', 0),
        ('def f():\n    """Of `--shard`."""', 0),
    ],
)
def test_options_are_found_in_messages_only(line: str, options: int) -> None:
    assert len(named_options(line)) == options
