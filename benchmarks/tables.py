"""Tables of Markdown whose rows are printed as they are measured, for a file, too."""

from __future__ import annotations

import os
from pathlib import Path


class Tables:
    """Lines of Markdown, printed at once and kept.

    Parameters
    ----------
    output : Path or None
        A file that :meth:`finish` writes.
    """

    def __init__(self, output: Path | None) -> None:
        self._output = output
        self._lines: list[str] = []

    def start(self, *heads: str) -> None:
        """Begin a table with these heads."""
        if self._lines:
            self.add("")
        self.add(f"| {' | '.join(heads)} |")
        self.add("|---" * len(heads) + "|")

    def add(self, line: str) -> None:
        """Print a row, or another line."""
        self._lines.append(line)
        print(line, flush=True)

    def finish(self, note: str = "") -> None:
        """Print a note and the load of the machine, and write the file."""
        self.add(f"\n{note}{'; load' if note else 'Load'} {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.")
        if self._output:
            self._output.write_text("\n".join(self._lines) + "\n", encoding="utf-8")
