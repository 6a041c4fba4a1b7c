"""What `enhance` prints: results on stdout, everything else on stderr, as lines or as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeepnmfError, printable
from ._process import print_line

if TYPE_CHECKING:
    from ..enhancement.outcome import Outcome
    from ..enhancement.plan import Plan
    from ..enhancement.record import Records


class Console:
    """Reports the outcome of each file, and counts them.

    Parameters
    ----------
    quiet : bool
        Errors only.
    verbose : bool
        Also each input, and each file left out.
    as_json : bool
        One JSON object per file on stdout: input, output, status, reason, warnings.
    debug : bool
        Also the traceback of an error that was not expected.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False, as_json: bool = False, debug: bool = False) -> None:
        self.quiet, self._verbose, self._json, self._debug = quiet, verbose, as_json, debug
        self._counts: Counter[str] = Counter()
        self._errors: list[tuple[DeepnmfError, str]] = []

    def planned(self, plan: Plan) -> None:
        """Report the outputs of a dry run."""
        for job in plan.jobs:
            self._counts["planned"] += 1
            self._result(f"{job.source} -> {job.target}", job.source, job.target, "planned")

    def not_planned(self, plan: Plan) -> None:
        """Report the inputs that fail, and those left out."""
        for source, fault in plan.faults:
            self._fail(source, None, fault)
        for path, reason in plan.left_out:
            if self._json:
                self._out(_record(path, None, "left out", reason))
            elif self._verbose:
                self._note(f"left out: {path} ({reason})")
        if plan.left_out and not self._verbose:
            counts = Counter(reason for _, reason in plan.left_out)
            reasons = ", ".join(f"{count:,} ({reason})" for reason, count in counts.items())
            self._note(f"left out: {reasons}; -v lists them")

    def outcome(self, outcome: Outcome) -> None:
        """Report the outcome of a job."""
        job = outcome.job
        if outcome.error is not None:
            self._fail(job.source, job.target, outcome.error, outcome.details)
            return
        self._counts[outcome.status] += 1
        for line in outcome.warnings:
            self.warn(line)
        if self._verbose:
            self._note(f"{outcome.status}: {job.source} -> {job.target}")
        if self._json or outcome.status == "enhanced":
            self._result(str(job.target), job.source, job.target, outcome.status, outcome.warnings)

    def records(self, records: Records) -> None:
        """Report folders whose record cannot be kept."""
        for line in records.faults():
            self.warn(line)

    def warn(self, line: str) -> None:
        """Print a warning."""
        self._note(f"warning: {line}")

    def finish(self) -> int:
        """Print the count and the errors; return the exit code."""
        done, skipped = self._counts["enhanced"], self._counts["skipped"]
        if skipped or (done + len(self._errors) > 1 and not self._counts["planned"]):
            self._note(f"{done:,} enhanced, {skipped:,} skipped, {len(self._errors):,} failed")
        for error, details in self._errors:
            hint = "; --debug shows where" if details and not self._debug else ""
            self._err(f"deepnmf: {error}{hint}")
            if self._debug and details:
                self._err(details, one_line=False)
        return 1 if self._errors else 0

    def _fail(self, source: Path, target: Path | None, error: DeepnmfError, details: str = "") -> None:
        self._errors.append((error, details))
        if self._json:
            self._out(_record(source, target, "failed", str(error)))

    def _result(self, line: str, source: Path, target: Path, status: str, warnings: tuple[str, ...] = ()) -> None:
        if self._json:
            self._out(_record(source, target, status, None, warnings))
        elif not self.quiet:
            self._out(printable(line))

    def _note(self, line: str) -> None:
        if not self.quiet:
            self._err(f"deepnmf: {line}")

    def _out(self, line: str) -> None:
        with _no_bar():
            print_line(line)

    def _err(self, text: str, one_line: bool = True) -> None:
        with contextlib.suppress(OSError, ValueError), _no_bar():
            print(printable(text) if one_line else text, file=sys.stderr)


def _record(source: Path, target: Path | None, status: str, reason: str | None, warnings: tuple[str, ...] = ()) -> str:
    names = {"input": str(source), "output": target and str(target)}
    return json.dumps({**names, "status": status, "reason": reason, "warnings": list(warnings)})


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    """Hide the progress bar, if there is one, while something is printed."""
    tqdm: Any = getattr(sys.modules.get("tqdm"), "tqdm", None)
    with tqdm.external_write_mode() if tqdm is not None else contextlib.nullcontext():
        yield
