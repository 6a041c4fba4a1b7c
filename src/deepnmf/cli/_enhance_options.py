"""The options of `deepnmf enhance`, with their help texts."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ._completion import complete_model, completion
from ._help import DEVICE, IN_OUT, NOISE, SCRIPTING, STRENGTH


class Channels(str, Enum):
    """Whether channels share one mask or have one each."""

    SHARED = "shared"
    INDEPENDENT = "independent"


class ProfileMode(str, Enum):
    """Whether learned noise atoms are added to the model's or replace them."""

    ADD = "add"
    REPLACE = "replace"


RAW_FORMATS = ("s16le", "f32le", "s16be", "u8", "mulaw", "alaw")

Inputs = Annotated[
    list[str] | None,
    typer.Argument(help="Audio files, folders, patterns, or - for stdin.", show_default=False, metavar="INPUTS"),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="A file if the name has a suffix, else a folder (or end it in a slash); - for stdout.",
        show_default="NAME_enhanced beside the input",
        rich_help_panel=IN_OUT,
    ),
]
OutputFormat = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Format of the outputs, such as flac.",
        show_default="the input's",
        rich_help_panel=IN_OUT,
    ),
]
OutputSubtype = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Sample format, such as PCM_24 or FLOAT.",
        show_default="the input's",
        rich_help_panel=IN_OUT,
    ),
]
OutputNoise = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write the removed signal; one input only.", rich_help_panel=IN_OUT),
]
OutputMask = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write the gains as .npy; one input only.", rich_help_panel=IN_OUT),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Also plot spectrograms before and after, and gains; one input only.",
        rich_help_panel=IN_OUT,
    ),
]
Salvage = Annotated[
    bool,
    typer.Option(
        "--salvage", help="Process the readable part of truncated or damaged recordings.", rich_help_panel=IN_OUT
    ),
]
AudioTrack = Annotated[
    int,
    typer.Option(
        "--audio-track", metavar="N", help="Audio track of a video to enhance, from 1.", min=1, rich_help_panel=IN_OUT
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="A bundled model (see `deepnmf models`), a model file or an experiment folder.",
        show_default="default",
        autocompletion=complete_model,
        rich_help_panel=STRENGTH,
    ),
]
MaxAttenuationDb = Annotated[
    float | None,
    typer.Option(
        metavar="DB",
        help="Maximum attenuation: 6 is gentle, 12 moderate.",
        min=0,
        show_default="no limit",
        rich_help_panel=STRENGTH,
    ),
]
ChannelMode = Annotated[
    Channels,
    typer.Option(
        help="One mask for all channels, which preserves the stereo image, or one per channel.",
        rich_help_panel=STRENGTH,
    ),
]
NoiseProfile = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        help="Noise profile: a FILE of noise or of `deepnmf profile`, or START:END seconds of each input.",
        rich_help_panel=NOISE,
    ),
]
ProfileUse = Annotated[
    ProfileMode,
    typer.Option(help="Add the profile to the model's noise atoms, or replace them.", rich_help_panel=NOISE),
]
Adapt = Annotated[
    bool,
    typer.Option("--adapt", help="Adapt to the noise in the pauses of each recording.", rich_help_panel=NOISE),
]
VoiceProfile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Profile of the wanted voice, 5 to 10 s: a FILE of it alone or of `deepnmf profile`.",
        rich_help_panel=NOISE,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="cpu uses NumPy, fast for single recordings; cuda and others use torch.",
        autocompletion=completion(("cpu", "cuda", "mps")),
        rich_help_panel=DEVICE,
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        help="Number of parallel files, each in a process of its own; 0 is one per core.",
        min=0,
        rich_help_panel=DEVICE,
    ),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        metavar="FILE",
        help="List of inputs, one per line or NUL-separated; - for stdin.",
        rich_help_panel=SCRIPTING,
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Keep outputs already made from the same input, model and options.",
        rich_help_panel=SCRIPTING,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the output of each input, and write nothing.", rich_help_panel=SCRIPTING),
]
RawFormatName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"stdin and stdout are raw samples: {', '.join(RAW_FORMATS)} and others.",
        autocompletion=completion(RAW_FORMATS),
        rich_help_panel=SCRIPTING,
    ),
]
RawRateHz = Annotated[int, typer.Option(metavar="HZ", help="Sampling rate of raw samples.", rich_help_panel=SCRIPTING)]
RawChannels = Annotated[
    int, typer.Option(metavar="N", help="Channels of raw samples.", min=1, rich_help_panel=SCRIPTING)
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print a JSON object per file: input, output, status, reason, warnings.",
        rich_help_panel=SCRIPTING,
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=SCRIPTING)]
Verbose = Annotated[
    bool,
    typer.Option("-v", "--verbose", help="Name each input, and each file that is left out.", rich_help_panel=SCRIPTING),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Print the traceback of unexpected errors.", rich_help_panel=SCRIPTING)
]
