"""Scoring by several processes, called from a script, stdin, a command line or a notebook, with or without a guard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deepnmf.errors import InputError
from deepnmf.evaluation.workers import score_each

CALL = "print(dict(score_each({0: 2, 1: 5}, 3, 2, mul, abs)))\n"
IMPORT = "from deepnmf.evaluation.workers import score_each\nfrom deepnmf.errors import DeepnmfError\n"
LIBRARY = IMPORT + "from operator import mul\n" + CALL
OWN = IMPORT + "def mul(item, config): return item * config\n"
UNGUARDED = OWN + f"try: {CALL}except DeepnmfError as error: print(error)"
GUARDED = OWN + f"if __name__ == '__main__':\n    try: {CALL}    except DeepnmfError as error: print(error)"


def run(how: str, script: str, folder: Path) -> str:
    """Run a script from a file, as a module, from stdin or on the command line; return its last line."""
    (folder / "script.py").write_text(script)
    arguments = {"file": ["script.py"], "module": ["-m", "script"], "stdin": ["-"], "line": ["-c", script]}[how]
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, input=script, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("how", ["file", "module", "stdin", "line"])
def test_what_is_defined_in_a_module_needs_no_guard(how: str, tmp_path: Path) -> None:
    assert run(how, LIBRARY, tmp_path) == "{0: 6, 1: 15}"


@pytest.mark.parametrize("how", ["file", "module"])
def test_what_is_defined_in_the_script_needs_a_guard_which_is_named(how: str, tmp_path: Path) -> None:
    assert run(how, GUARDED, tmp_path) == "{0: 6, 1: 15}"
    found = run(how, UNGUARDED, tmp_path)
    assert "__name__" in found
    assert "memory" not in found


@pytest.mark.parametrize("how", ["stdin", "line"])
def test_what_is_defined_where_it_cannot_be_imported_is_refused(how: str, tmp_path: Path) -> None:
    assert "define it in a module" in run(how, GUARDED, tmp_path)


def test_what_cannot_be_pickled_is_refused() -> None:
    with pytest.raises(InputError, match="top level of a module"):
        list(score_each({0: "a", 1: "b"}, None, 2, lambda *_: None, abs))  # type: ignore[arg-type, dict-item, return-value]


def test_a_signal_that_meets_a_destructor_prints_no_traceback(tmp_path: Path) -> None:
    script = (
        "from deepnmf.evaluation.workers import _end\n"
        "class Held:\n    def __del__(self): _end()\n"
        "held = Held()\ndel held\nprint('goes on')\n"
    )
    assert run("file", script, tmp_path) == "goes on"  # `run` asserts that stderr is empty
