"""`deepnmf export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DeepnmfError
from ._completion import complete_model
from ._help import MODEL, USE, add


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, USE, "deepnmf export default.onnx", "deepnmf export mine.onnx --model exp/best.safetensors")(export)


def export(
    output: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    model: Annotated[
        str,
        typer.Option(
            help="A bundled model, a model file or an experiment.",
            metavar="MODEL",
            autocompletion=complete_model,
            rich_help_panel=MODEL,
        ),
    ] = "default",
) -> None:
    """Export a model as a streaming ONNX graph: one hop of samples in and out, with explicit states."""
    if output.suffix.lower() != ".onnx":
        raise DeepnmfError(f"{output}: models are exported as ONNX; give a name that ends in .onnx")
    from ..export.onnx import delay, export_onnx, state_shapes
    from ..model import load_model

    loaded = load_model(model)
    export_onnx(loaded, output)
    spec = loaded.features.stft
    typer.echo(f"{output}: {spec.hop} samples a call at {spec.rate_hz} Hz, delayed by {delay(spec)}; states that start")
    shapes = (f"{name} {list(shape)}" for name, shape in state_shapes(loaded).items())
    typer.echo(f"as zeros and come back as NAME_next: {', '.join(shapes)}")
