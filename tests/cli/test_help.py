"""Help: panels by rich on a terminal, plain text in a pipe, examples that parse, and completion in the shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from deepnmf.cli import app
from deepnmf.cli._help import panels, summary
from deepnmf.model_cards import package_models

GROUP: Any = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)
BORDERS = "╭│╰"


def on_terminal(*arguments: str, columns: int = 80, **environment: str) -> str:
    """Return what `deepnmf` prints on a terminal of so many columns."""
    pty = pytest.importorskip("pty")
    fcntl, struct, termios = (pytest.importorskip(name) for name in ("fcntl", "struct", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = [sys.executable, "-m", "deepnmf", *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**variables, "TERM": "xterm", **environment})
    os.close(theirs)
    found = b""
    while chunk := _read(ours):
        found += chunk
    os.close(ours)
    process.wait()
    return re.sub(r"\x1b\[[0-9;]*m", "", found.decode().replace("\r\n", "\n"))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux reports that the other end is closed
        return b""


def piped(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deepnmf", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["enhance", "train", "evaluate"])
def test_panels_fit_the_terminal(name: str, columns: int) -> None:
    shown = on_terminal(name, "--help", columns=columns)
    titles = panels(GROUP.commands[name].params)
    assert len(titles) >= 3
    assert all(f"╭─ {title} ─" in shown for title in titles)
    assert {len(line) for line in shown.splitlines() if line[:1] in BORDERS and line} == {columns}
    assert "Examples:\n" in re.sub(" +\n", "\n", shown)


@pytest.mark.parametrize("arguments", [["--help"], ["enhance", "-h"], ["models", "--help"]])
def test_a_pipe_gets_plain_text_with_the_same_sections(arguments: list[str]) -> None:
    shown = piped(*arguments).stdout
    assert shown.startswith("Usage: deepnmf")
    shown.encode("ascii")
    command = GROUP.commands.get(arguments[0], GROUP)
    assert all(f"\n{title}:\n" in shown for title in panels(command.params))
    assert "\n  Examples:\n" in shown


def test_errors_on_a_terminal_are_plain() -> None:
    shown = on_terminal("enhance", "--no-such-option")
    assert "No such option" in shown
    assert not set(BORDERS) & set(shown)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_summary_of_one_sentence_and_two_examples_that_parse(name: str) -> None:
    command = GROUP.commands[name]
    assert re.fullmatch(r"[A-Z][^.]*\.", summary(command))
    lines = [line.strip().partition(" |")[0] for line in command.epilog.splitlines() if line.startswith("  ")]
    assert len(lines) == 2
    assert max(map(len, lines)) <= 77  # indented by three, on 80 columns
    for line in lines:
        program, subcommand, *arguments = shlex.split(line)
        assert (program, subcommand) == ("deepnmf", name)
        command.make_context(name, arguments)


def test_no_help_text_has_brackets_that_rich_would_take_for_markup() -> None:
    for command in (GROUP, *GROUP.commands.values()):
        texts = [command.help, command.epilog, *(getattr(parameter, "help", "") for parameter in command.params)]
        assert [text for text in texts if "[" in (text or "")] == []


def completions(*words: str) -> list[str]:
    """Return what bash gets when the tabulator key is pressed in the last of `words`."""
    line = " ".join(("deepnmf", *words))
    variables = {"_DEEPNMF_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    return piped(**variables).stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("mod",), {"models"}),
        (("enhance", "--output-m"), {"--output-mask"}),
        (("enhance", "--model", ""), set(package_models())),
        (("enhance", "--model", "sm"), {"small"}),
        (("enhance", "--model", "exp/b"), set()),
        (("show", "s"), {"small", "snmf"}),
        (("export", "--model", "fr"), {"framewise"}),
        (("train", "--network", "gr"), {"gru"}),
        (("evaluate", "--metric", "st"), {"stoi"}),
    ],
)
def test_the_shell_completes(words: tuple[str, ...], expected: set[str]) -> None:
    assert set(completions(*words)) == expected


def test_completion_of_models_imports_nothing_heavy() -> None:
    code = (
        "import sys; from deepnmf.cli._completion import complete_model; complete_model('')\n"
        "print([name for name in ('numpy', 'torch', 'rich') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="shells of POSIX")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_and_names_the_program(tmp_path: Path, shell: str) -> None:
    environment = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = piped("--show-completion", shell, **environment)
    assert script.returncode == 0
    assert "_DEEPNMF_COMPLETE=complete_" in script.stdout
    assert piped("--install-completion", shell, **environment).returncode == 0
    assert any("_DEEPNMF_COMPLETE" in path.read_text() for path in tmp_path.rglob("*") if path.is_file())
