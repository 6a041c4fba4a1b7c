"""Suggestions for commands and options that other programs have under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._help import PanelCommand, PanelGroup

ENHANCE_WORDS = ("clean", "denoise", "filter", "process", "reduce", "remove-noise", "run", "suppress")
STRENGTH = "to limit the attenuation, give --max-attenuation-db DB: 6 is gentle, 12 moderate"
FORCE = "leave it out: a run writes over its own earlier outputs; --skip-existing leaves them"
ENHANCE_OPTIONS = {
    **dict.fromkeys(("--strength", "--amount", "--attenuation", "--aggressiveness", "--reduction"), STRENGTH),
    **dict.fromkeys(("--force", "--overwrite", "-f", "-y"), FORCE),
    **dict.fromkeys(("--recursive", "-r", "-R"), "leave it out: folders are searched with all that is below them"),
    "--mask-out": "its name is --output-mask",
}


class Group(PanelGroup):
    """Commands; a recording in place of one gets the suggestion to enhance it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or fail with a suggestion."""
        name = args[0]
        if name not in self.commands:
            if name.lower() in ENHANCE_WORDS:
                ctx.fail(f"No such command {name!r}. Did you mean 'deepnmf enhance {' '.join(args[1:])}'?")
            if Path(name).suffix or Path(name).exists():
                ctx.fail(f"No such command {name!r}. To enhance a recording: deepnmf enhance {' '.join(args)}")
        return super().resolve_command(ctx, args)


class EnhanceCommand(PanelCommand):
    """Options; those of other programs get the name that they have here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, or fail with a suggestion."""
        for argument in args:
            if argument == "--":
                break
            name = argument.partition("=")[0]
            if name in ENHANCE_OPTIONS:
                ctx.fail(f"No such option: {name}: {ENHANCE_OPTIONS[name]}")
        return super().parse_args(ctx, args)
