"""``python -m deepnmf``, and the entry point of the command `deepnmf`."""

import _signal  # of the interpreter; `signal` takes milliseconds to import, in which Ctrl-C prints a traceback
import sys


def main() -> None:
    """Run the command line; Ctrl-C ends the process quietly, at any moment, as it ends a program in C.

    Until the command runs and after it has ended, the system ends the process. A command that Ctrl-C has interrupted
    ends by `KeyboardInterrupt`, by which Python, after it has shut down, ends the process as the signal does: shells
    report 130, and end a loop in which the command stands, which they would not after an exit with 130.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else it is ignored, as in a background job
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from . import cli

    try:
        cli.main()
    except SystemExit as end:
        if end.code != cli.INTERRUPTED:
            raise
    sys.excepthook = lambda *_: None
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
