"""The command line: one module per command, each a thin shell over the Python function of the same name."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from .._version import __version__
from ..errors import DeepnmfError, MissingExtra, printable
from ..interrupts import received, stop_on_signals
from ._help import example_lines
from ._process import (
    is_first_process,
    occupy_closed_descriptors,
    open_streams,
    plot_into_files,
    print_line,
    stdout_failure,
)
from ._suggestions import Group

COMMANDS = (
    "enhance", "profile", "live", "serve", "models", "export", "train", "evaluate", "report", "show", "verify",
)  # fmt: skip
"""Modules of commands, in the order of the help."""
UsageError: Any = typer.BadParameter.__base__
"""Of click, or of typer's own copy of it."""
TRAINING = ("prepare", "features", "pretrain")
"""Further commands of the module `train`."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""
COMPLETION = "_DEEPNMF_COMPLETE"
"""Environment variable by which a shell asks for completions."""


def application(modules: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with the commands of some modules."""
    app = typer.Typer(
        name="deepnmf",
        help="Speech enhancement with deep unfolded non-negative matrix factorisation.",
        epilog=example_lines("deepnmf enhance noisy.wav -o clean.wav", "deepnmf models", "deepnmf enhance --help"),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # errors are plain; `Group` switches rich on for the help
        cls=Group,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for module in modules:
        importlib.import_module(f"{__name__}.{module}").register(app)
    return app


def _needed(arguments: list[str]) -> typer.Typer:
    """Return the part of the command line that the arguments need: typer takes 3 ms to set up a command's options."""
    if arguments in ([], ["-h"], ["--help"]) and COMPLETION not in os.environ:
        app = application()
        for command in app.registered_commands:
            command.callback = _without_options(command.callback)
        return app
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    module = "train" if name in TRAINING else name
    return application([module] if module in COMMANDS else COMMANDS)


def _without_options(callback: Callable[..., Any] | None) -> Callable[[], None]:
    """Return a function of the same name, and so a command of the same name, without options."""

    def listed() -> None:
        pass

    listed.__name__ = getattr(callback, "__name__", "")
    return listed


def __getattr__(name: str) -> typer.Typer:
    """Return the complete command line as `app`, set up when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return application()


def _print_version(value: bool) -> None:
    if value:
        print_line(f"deepnmf {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of unexpected errors.")] = False,
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
    occupy_closed_descriptors()
    open_streams()
    plot_into_files()
    with stop_on_signals():
        _main()


def _main() -> NoReturn:
    try:
        try:
            # By this name also under `python -m`: completion scripts name the command.
            code = _needed(sys.argv[1:])(prog_name="deepnmf", standalone_mode=False)
        except UsageError as error:
            if is_first_process():
                error.show()
            code = error.exit_code
        except SystemExit as end:  # of the completion, which has printed something
            code = end.code
        finally:
            gc.freeze()  # at exit, Python would go through all objects for garbage that the system frees anyway
        if failure := stdout_failure():
            _end(failure)
        sys.exit(code)
    except DeepnmfError as error:
        _end(str(error))
    except ImportError as error:
        _end(_import_failure(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        _end(f"{error.filename}: {error.strerror or error}" if error.filename else _unnamed(error))
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        _end(f"unexpected {type(error).__name__} ({error}); deepnmf --debug COMMAND shows where")


def _unnamed(error: OSError) -> str:
    """Return what an error of the system is about that names no file."""
    try:
        Path.cwd()
    except OSError:
        return f"the working folder is gone; change into another: {error.strerror or error}"
    return f"cannot write: {error.strerror or error}"


def _end(line: str) -> NoReturn:
    """End with an error, and another one if what it refers to could not be printed."""
    if (number := received()) is not None:
        sys.exit(128 + number)
    for text in dict.fromkeys([line, stdout_failure() or line]):
        if sys.stderr is not None:
            with contextlib.suppress(OSError):
                print(f"deepnmf: {printable(text)}", file=sys.stderr)
    sys.exit(1)
