"""The options of `deepnmf enhance`, with the words that `--help` shows."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Channels(str, Enum):
    """Whether channels have one mask together or each its own."""

    SHARED = "shared"
    INDEPENDENT = "independent"


class ProfileMode(str, Enum):
    """What noise atoms that are learnt do to the model's."""

    ADD = "add"
    REPLACE = "replace"


Inputs = Annotated[
    list[str] | None, typer.Argument(help="Audio files, folders, patterns, or - for stdin.", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        help="A file if the name has a suffix, else a folder (or end it in a slash); - for stdout. "
        "[default: NAME_enhanced beside the input]",
    ),
]
FilesFrom = Annotated[
    str | None, typer.Option("--files-from", help="List of inputs, one a line or separated by zero bytes; - for stdin.")
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing", help="Leave outputs alone that are on record as made from this input, model and options."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print which output each input would get, and end.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        help="A model of the package (default, snmf), a model file or an experiment's folder. "
        "[default: default; snmf with --noise-profile or --adapt]"
    ),
]
MaxAttenuationDb = Annotated[
    float | None,
    typer.Option(help="Turn nothing down by more than this; 6 is gentle. [default: no limit]", min=0),
]
ChannelMode = Annotated[
    Channels, typer.Option(help="One mask for all channels, which keeps the stereo image, or one for each.")
]
NoiseProfile = Annotated[
    str | None,
    typer.Option(help="Learn the noise from this FILE, or from START:END seconds of each input.", metavar="PROFILE"),
]
ProfileUse = Annotated[ProfileMode, typer.Option(help="Add the learnt noise to the model's, or put it in its place.")]
Adapt = Annotated[bool, typer.Option("--adapt", help="Learn the noise from each recording itself.")]
OutputNoise = Annotated[Path | None, typer.Option(help="Also write what was removed; one input only.")]
MaskOut = Annotated[Path | None, typer.Option(help="Also write the gains as .npy; one input only.")]
Plot = Annotated[Path | None, typer.Option(help="Also draw before, after and gains; one input only.")]
OutputFormat = Annotated[str | None, typer.Option(help="Format of the outputs, such as flac. [default: the input's]")]
OutputSubtype = Annotated[
    str | None, typer.Option(help="Sample format, such as PCM_24 or FLOAT. [default: the input's]")
]
RawFormatName = Annotated[
    str | None, typer.Option(help="stdin is raw samples, such as s16le, f32le, s16be, u8, mulaw or alaw; so is stdout.")
]
RawRateHz = Annotated[int, typer.Option(help="Sampling rate of raw samples.")]
RawChannels = Annotated[int, typer.Option(help="Channels of raw samples.", min=1)]
Device = Annotated[str, typer.Option(help="cpu is NumPy, which is fast for one recording; cuda and others use torch.")]
Jobs = Annotated[int, typer.Option("-j", "--jobs", help="Files to work on at a time; 0 is one for each core.", min=0)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Name each input, and each file that is left out.")]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print what became of each file as JSON: input, output, status, reason, warnings."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error that was not expected.")]
Salvage = Annotated[
    bool,
    typer.Option("--salvage", help="Take what is there of recordings that are cut short, instead of refusing them."),
]
