"""The command line: one module a command, each a thin shell over the Python function of the same name."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated

import typer

from .._version import __version__
from ..errors import DeepnmfError, MissingExtra

app = typer.Typer(
    name="deepnmf",
    help="Speech enhancement with deep unfolded non-negative matrix factorisation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _module in ("enhance", "live", "export", "train", "evaluate", "report", "show"):
    importlib.import_module(f"{__name__}.{_module}").register(app)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"deepnmf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


def _import_failure(error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if package == "deepnmf":
        raise error
    if isinstance(error, ModuleNotFoundError) and package:
        return str(MissingExtra("this command", package))
    return f"a package that this command needs cannot be imported ({error}); install it again"


def main() -> None:
    """Run the command line; bad input gives one line on stderr and exit code 1."""
    try:
        app()
    except DeepnmfError as error:
        sys.exit(f"deepnmf: {error}")
    except ImportError as error:
        sys.exit(f"deepnmf: {_import_failure(error)}")
    except KeyboardInterrupt:
        print("deepnmf: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet
        sys.exit(0)
