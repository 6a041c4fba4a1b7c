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
    folder: Annotated[
        Path, typer.Argument(help="An experiment, a folder of features or scores, or one artifact.", readable=False)
    ],
) -> None:
    """Check the checksums and contents of all artifacts below a folder; exit with 1 if one is damaged."""
    from ..training.verify import verify

    found = verify(folder)
    for problem in found.problems + found.unlisted:
        print_line(printable(problem))
    damaged = f"{len(found.problems)} of {len(found.checked)} artifacts are damaged" if found.problems else ""
    unlisted = f"{len(found.unlisted)} folders cannot be listed" if found.unlisted else ""
    if damaged or unlisted:
        raise InputError(f"{folder}: {' and '.join(filter(None, (damaged, unlisted)))}; the lines above name them")
    print_line(f"{folder}: {len(found.checked)} artifacts, none damaged")
