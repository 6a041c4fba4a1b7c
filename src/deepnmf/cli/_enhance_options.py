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
    str | None, typer.Option("--files-from", help="List of inputs, one per line or NUL-separated; - for stdin.")
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Keep outputs already made from the same input, model and options."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the output of each input, and write nothing.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        help="A bundled model (default, snmf), a model file or an experiment folder. "
        "[default: default; snmf with --noise-profile or --adapt]"
    ),
]
MaxAttenuationDb = Annotated[
    float | None,
    typer.Option(help="Maximum attenuation; 6 is gentle. [default: no limit]", min=0),
]
ChannelMode = Annotated[
    Channels, typer.Option(help="One mask for all channels, which preserves the stereo image, or one per channel.")
]
NoiseProfile = Annotated[
    str | None,
    typer.Option(help="Noise profile: a FILE, or START:END seconds of each input.", metavar="PROFILE"),
]
ProfileUse = Annotated[ProfileMode, typer.Option(help="Add the profile to the model's noise atoms, or replace them.")]
Adapt = Annotated[bool, typer.Option("--adapt", help="Adapt to the noise in the pauses of each recording.")]
OutputNoise = Annotated[Path | None, typer.Option(help="Also write the removed signal; one input only.")]
OutputMask = Annotated[Path | None, typer.Option(help="Also write the gains as .npy; one input only.")]
Plot = Annotated[Path | None, typer.Option(help="Also plot spectrograms before and after, and gains; one input only.")]
OutputFormat = Annotated[str | None, typer.Option(help="Format of the outputs, such as flac. [default: the input's]")]
OutputSubtype = Annotated[
    str | None, typer.Option(help="Sample format, such as PCM_24 or FLOAT. [default: the input's]")
]
RawFormatName = Annotated[
    str | None, typer.Option(help="stdin and stdout are raw: s16le, f32le, s16be, u8, mulaw, alaw and others.")
]
RawRateHz = Annotated[int, typer.Option(help="Sampling rate of raw samples.")]
RawChannels = Annotated[int, typer.Option(help="Channels of raw samples.", min=1)]
Device = Annotated[str, typer.Option(help="cpu uses NumPy, fast for single recordings; cuda and others use torch.")]
Jobs = Annotated[int, typer.Option("-j", "--jobs", help="Number of parallel files; 0 is one per core.", min=0)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Name each input, and each file that is left out.")]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print a JSON object per file: input, output, status, reason, warnings."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of unexpected errors.")]
Salvage = Annotated[
    bool,
    typer.Option("--salvage", help="Process the readable part of truncated or damaged recordings."),
]
