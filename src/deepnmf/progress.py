"""Progress of a stage: a bar on a terminal, a few lines in a log."""

from __future__ import annotations

import contextlib
import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

LOG_SECONDS = 60.0
"""Least interval between two lines of a log, except those at start and end of a stage."""


class Progress:
    """Progress of one stage on stderr, as a context manager.

    A terminal shows a bar. Anything else gets one line when the stage starts, one when it has ended, with count and
    time, and between them at most one a minute. A stage that fails ends without its line. Errors of stderr itself
    (closed, full) do not disturb the stage.

    Parameters
    ----------
    stage : str
        Its name, such as ``"features train"``.
    total : int or None
        Amount of work, in `unit`; None if unknown.
    unit : str
        Plural noun of the things counted, such as ``"recordings"``.
    done : int
        Amount done by an earlier run.
    scaled : bool
        Show counts as 1.2M instead of 1,234,567.
    brief : bool
        In a log, leave out the lines at start and end: for steps that report their result themselves,
        such as epochs.

    Examples
    --------
    >>> with Progress("features", total=2, unit="mixtures") as progress:
    ...     for _ in range(2):
    ...         progress.update()
    >>> progress.count
    2
    """

    def __init__(
        self, stage: str, total: int | None, unit: str, *, done: int = 0, scaled: bool = False, brief: bool = False
    ) -> None:
        self.count = done
        self._stage, self._total, self._unit = stage, total, unit
        self._first, self._scaled, self._brief = done, scaled, brief
        self._note = ""
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Progress:
        self._started = self._logged = monotonic()
        if _is_terminal():
            self._bar = self._make_bar()
        elif not self._brief:
            already = f", {self._amount(self.count)} done already" if self.count else ""
            of = f" {self._amount(self._total)}" if self._total is not None else ""
            _print(f"{self._stage}:{of} {self._unit}{already}")
        return self

    def update(self, count: int = 1, note: str = "") -> None:
        """Advance by `count`; `note`, such as the current error, replaces the last one."""
        self.count += count
        self._note = note or self._note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif (now := monotonic()) - self._logged >= LOG_SECONDS:
            self._logged = now
            of = f" of {self._amount(self._total)}" if self._total is not None else ""
            self._log(f"{self._amount(self.count)}{of} {self._unit} after")

    def write(self, line: str) -> None:
        """Print a line to stderr without breaking the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            _print(line)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and not self._brief:
            self._log(f"done, {self._amount(self.count - self._first)} {self._unit} in")

    def _make_bar(self) -> tqdm[Any]:
        from tqdm import tqdm

        return tqdm(
            total=self._total,
            initial=self.count,
            desc=self._stage,
            unit=f" {self._unit}",
            unit_scale=self._scaled,
            file=sys.stderr,
        )

    def _log(self, what: str) -> None:
        from tqdm import tqdm

        note = f", {self._note}" if self._note else ""
        _print(f"{self._stage}: {what} {tqdm.format_interval(monotonic() - self._started)}{note}")

    def _amount(self, count: int) -> str:
        from tqdm import tqdm

        return tqdm.format_sizeof(count) if self._scaled else f"{count:,}"


def _is_terminal() -> bool:
    with contextlib.suppress(OSError, ValueError):  # a closed stream
        return sys.stderr is not None and sys.stderr.isatty()
    return False


def note(line: str) -> None:
    """Print a line to stderr as the command line prints an error; errors of stderr are ignored."""
    _print(f"deepnmf: {line}")


def _print(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
