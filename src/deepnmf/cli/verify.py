"""`deepnmf verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, printable
from ._help import EVALUATE, add
from ._process import print_line


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, EVALUATE, "deepnmf verify exp", "deepnmf verify exp/best.safetensors")(verify)


def verify(
    folder: Annotated[Path, typer.Argument(help="An experiment, a folder of features or scores, or one artifact.")],
) -> None:
    """Check the checksums and contents of all artifacts below a folder; exit with 1 if one is damaged."""
    from ..training.verify import verify

    found = verify(folder)
    for problem in found.problems:
        print_line(printable(problem))
    if found.problems:
        raise InputError(f"{folder}: {len(found.problems)} of {len(found.checked)} artifacts are damaged, listed above")
    print_line(f"{folder}: {len(found.checked)} artifacts, none damaged")
