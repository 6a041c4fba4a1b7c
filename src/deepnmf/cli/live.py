"""`deepnmf live`."""

from __future__ import annotations

from typing import Annotated

import typer

from ._enhance_options import MaxAttenuationDb
from ._help import DEVICE, USE, add
from ._model_option import ModelName
from ._process import one_thread_per_worker, print_line

InputDevice = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Microphone, by number or name.", show_default="the system's", rich_help_panel=DEVICE
    ),
]
OutputDevice = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Output, by number or name.", show_default="the system's", rich_help_panel=DEVICE
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, USE, "deepnmf live --max-attenuation-db 12", "deepnmf live --list-devices")(live)


def live(
    model: ModelName = "default",
    rate_hz: Annotated[
        int, typer.Option(help="Sampling rate of the devices.", metavar="HZ", rich_help_panel=DEVICE)
    ] = 48000,
    channels: Annotated[
        int, typer.Option(help="Channels of both devices.", metavar="N", min=1, rich_help_panel=DEVICE)
    ] = 1,
    block_ms: Annotated[
        float, typer.Option(help="Block length of the devices.", metavar="MS", min=1, rich_help_panel=DEVICE)
    ] = 10.0,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    max_attenuation_db: MaxAttenuationDb = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the devices and exit.", rich_help_panel=DEVICE)
    ] = False,
) -> None:
    """Enhance the microphone signal in real time; w toggles between enhanced and dry, q quits."""
    one_thread_per_worker()
    from ..enhancement.live import list_audio_devices, run_live
    from ..model import load_model

    if list_devices:
        print_line(list_audio_devices())
        return
    devices = (_device(input_device), _device(output_device))
    run_live(
        load_model(model),
        rate_hz=rate_hz,
        channels=channels,
        block_ms=block_ms,
        device=devices,
        max_attenuation_db=max_attenuation_db,
    )


def _device(name: str | None) -> str | int | None:
    return int(name) if name is not None and name.isdigit() else name
