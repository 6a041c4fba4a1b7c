"""The command line's reference, written from the typer application when the site is built."""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer

from deepnmf.cli import app
from deepnmf.cli._help import EXAMPLES, panels

MARK = "<!-- commands -->"
"""A page that has this line gets the commands in its place."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands in the place of `MARK` (an event of MkDocs)."""
    return markdown.replace(MARK, commands()) if MARK in markdown else markdown


def commands() -> str:
    """Return a section of Markdown for each command, in the order of ``deepnmf --help``."""
    group: Any = typer.main.get_command(app)
    return "\n".join(_section(name, command) for name, command in group.commands.items())


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=f"deepnmf {name}")
    usage = command.get_usage(context).removeprefix("Usage: ")
    examples = inspect.cleandoc(command.epilog.removeprefix(EXAMPLES).replace("\n  ", "\n"))
    tables = [_table(title, members, context) for title, members in panels(command.get_params(context)).items()]
    parts = [f"## deepnmf {name}", command.help, f"```text\n{usage}\n```", *tables, f"```bash\n{examples}\n```"]
    return "\n\n".join([*parts, ""])


def _table(title: str, members: list[Any], context: Any) -> str:
    records = filter(None, (member.get_help_record(context) for member in members))
    rows = [f"| `{names.replace('|', ' or ')}` | {_cell(text)} |" for names, text in records]
    return "\n".join([f"| {title} | effect |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return re.sub(r"([|\[])", r"\\\1", " ".join(text.split()))
