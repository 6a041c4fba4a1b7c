"""Help: options in panels and examples, drawn by rich where stdout is a terminal, as plain text elsewhere."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ._numbers import describe_numbers

IN_OUT, STRENGTH, NOISE, DEVICE, SCRIPTING = "Input and output", "Strength", "Noise", "Device", "Scripting"
MODEL, NETWORK, SETTINGS, SCORES, HELP = "Model", "Network", "Settings", "Scores", "Help"
USE, TRAIN, EVALUATE = "Use a model", "Train a model", "Evaluate and inspect"


EXAMPLES = "\b\nExamples:\n"
"""Start of an epilog; the backspace keeps the lines of plain help from being joined."""


class PanelCommand(TyperCommand):
    """A command with its options in panels; rich is imported only to draw them on a terminal."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for parameter in self.params:
            describe_numbers(parameter)

    def get_help_option(self, ctx: Any) -> Any:
        """Return `--help`, in the last panel, as an option without panel would come first."""
        option: Any = super().get_help_option(ctx)
        if option is not None:
            option.rich_help_panel = HELP
        return option

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; errors stay plain lines on any terminal."""
        with _drawn_on_terminal(self, ctx):
            super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the panels as sections of plain text."""
        write_sections(self.get_params(ctx), ctx, formatter)


class PanelGroup(TyperGroup):
    """The commands in panels, each with its full summary."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, by rich on a terminal."""
        with _drawn_on_terminal(self, ctx):
            super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options and commands as sections of plain text."""
        write_sections(self.get_params(ctx), ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands of each panel."""
        commands = [self.commands[name] for name in self.list_commands(ctx)]
        width = max(len(str(command.name)) for command in commands)
        for title, members in _by_panel(commands, "Commands").items():
            with formatter.section(title):
                formatter.write_dl([(f"{member.name:{width}}", summary(member)) for member in members])


def add(
    app: typer.Typer, panel: str, *examples: str, cls: type[PanelCommand] = PanelCommand
) -> Callable[[Callable[..., None]], None]:
    """Return a decorator that adds a function to `app` as a command of `panel`, with examples after its help."""

    def register(function: Callable[..., None]) -> None:
        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)  # rich keeps the source's lines
        app.command(cls=cls, help=text, epilog=example_lines(*examples), rich_help_panel=panel)(function)

    return register


def example_lines(*examples: str) -> str:
    """Return the epilog of a help with lines of examples."""
    return EXAMPLES + "\n".join(f"  {line}" for line in examples)


def summary(command: Any) -> str:
    """Return the first paragraph of a command's help."""
    return str(command.help or "").partition("\n\n")[0]


def panels(parameters: list[Any]) -> dict[str, list[Any]]:
    """Return arguments and options by panel, in the order in which rich draws them."""
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    return {**_by_panel(arguments, "Arguments"), **_by_panel(options, "Options")}


def write_sections(parameters: list[Any], ctx: Any, formatter: Any) -> None:
    """Write a section of plain text for each panel."""
    for title, members in panels(parameters).items():
        records = [record for member in members if (record := member.get_help_record(ctx)) is not None]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _by_panel(members: list[Any], default: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for member in members:
        found.setdefault(getattr(member, "rich_help_panel", None) or default, []).append(member)
    return found


@contextlib.contextmanager
def _drawn_on_terminal(command: Any, ctx: Any) -> Iterator[None]:
    """Let rich draw the help on a terminal, without the type of flags; the lines of the examples stay as they are."""
    if sys.stdout is None or not sys.stdout.isatty():
        yield
        return
    for parameter in command.get_params(ctx):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    command.rich_markup_mode, examples, command.epilog = "rich", command.epilog, None
    yield
    command.rich_markup_mode, command.epilog = None, examples
    typer.echo(f"\n{examples}".replace("\b\n", "").replace("\n", "\n "))
