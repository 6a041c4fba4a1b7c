"""The option `--shard` of commands whose work can be split over processes and machines."""

from __future__ import annotations

from typing import Annotated

import typer

from ..progress import note
from ..shards import Shard, choose_shard
from ._help import DEVICE

ShardName = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Do one part of the work, such as 2/4; slurm takes that of a task of an array. torchrun splits by rank.",
        show_default="all",
        rich_help_panel=DEVICE,
    ),
]


def chosen_shard(name: str | None, quiet: bool = False) -> Shard:
    """Return the part of the work of this process, with a line on stderr if it is not all of it."""
    shard = choose_shard(name)
    if not (shard.is_whole or quiet):
        note(f"shard {shard}: one of {shard.count} parts of the work")
    return shard
