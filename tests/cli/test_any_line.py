"""Any options and values of any command: a result, or one line that names what is wrong, and nothing half-written."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from helpers.command_lines import WORKING, Ended, contents, copy_of, lines, run, write_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="an alarm, links and names of POSIX"),
]
INTERRUPTED = 130


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.mark.parametrize("name", WORKING)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_line_works_or_is_refused_and_leaves_nothing(files: Path, tmp_path: Path, name: str, data: Any) -> None:
    line = data.draw(lines(name))
    folder = copy_of(files, tmp_path / "files")
    before = contents(folder)
    ended = run(line, folder)
    event(f"exit code {ended.code}")
    assert wrong_messages(ended) == []
    assert wrong_files(ended, before, contents(folder)) == []


def wrong_messages(ended: Ended) -> list[str]:
    """Return what is wrong with the exit code and the messages of a command."""
    printed = [line for line in ended.errors.splitlines() if line]
    found = [line for line in printed if re.search(r"Traceback|unexpected \w+ \(|Warning: ", line)]
    if ended.code not in {0, 1, 2, INTERRUPTED}:
        found.append(f"exit code {ended.code}")
    if ended.code == 1 and not (printed and printed[-1].startswith("deepnmf: ")):
        found.append("no line with the reason")
    if ended.code == 2 and not (printed and printed[-1].startswith("Error: ")):
        found.append("no line about the usage")
    return found


def wrong_files(ended: Ended, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return files that a command has lost, changed without being asked, or left behind."""
    found = [f"lost: {name}" for name in before.keys() - after.keys()]
    changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    found += [f"changed: {name}" for name in changed if ended.code or not is_named(name, ended.line)]
    new = after.keys() - before.keys()
    temporary = re.compile(r"\.part(?!ial)|\.deepnmf-lock$")  # partial scores are kept for the next run
    found += [f"left: {name}" for name in new if temporary.search(name)]
    found += [
        f"empty: {name}" for name in new if after[name] is None and not any(o.startswith(f"{name}/") for o in new)
    ]
    if ended.code == 2:
        found += [f"written in spite of wrong usage: {name}" for name in new]
    return found


def is_named(name: str, line: list[str]) -> bool:
    """Return whether a line names a file, or a folder above it."""
    path = Path(name)
    return any(Path(word) in {path, *path.parents} for word in line[1:] if word)
