"""The command line's reference, written from the typer application when the site is built."""

from __future__ import annotations

import re
from typing import Any

import typer

from deepnmf.cli import app

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
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [f"| `{names.replace('|', ' or ')}` | {_cell(text)} |" for names, text in filter(None, records)]
    usage = command.get_usage(context).removeprefix("Usage: ")
    table = "\n".join(["| argument or option | what it does |", "|---|---|", *rows])
    return f"## deepnmf {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n{table}\n"


def _cell(text: str) -> str:
    return re.sub(r"([|\[])", r"\\\1", " ".join(text.split()))
