"""`deepnmf live`."""

from __future__ import annotations

from typing import Annotated

import typer

from ._process import one_thread_per_worker


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(live)


def live(
    model: Annotated[str, typer.Option(help="A bundled model, or a model file.")] = "default",
    rate_hz: Annotated[int, typer.Option(help="Sampling rate of the devices.")] = 48000,
    channels: Annotated[int, typer.Option(help="Channels of both devices.", min=1)] = 1,
    block_ms: Annotated[float, typer.Option(help="Length of the blocks that the device delivers.", min=1)] = 10.0,
    input_device: Annotated[str | None, typer.Option(help="Number or name. [default: the system's]")] = None,
    output_device: Annotated[str | None, typer.Option(help="Number or name. [default: the system's]")] = None,
    max_attenuation_db: Annotated[
        float | None, typer.Option(help="Maximum attenuation. [default: no limit]", min=0)
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="List the devices and exit.")] = False,
) -> None:
    """Enhance the microphone signal in real time; w toggles between enhanced and dry, q quits."""
    one_thread_per_worker()
    from ..enhancement.live import list_audio_devices, run_live
    from ..model import load_model

    if list_devices:
        typer.echo(list_audio_devices())
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
