"""`deepnmf export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DeepnmfError
from ._enhance_options import MaxAttenuationDb
from ._help import MODEL, STRENGTH, USE, add
from ._model_option import ModelName
from ._process import print_line


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(app, USE, "deepnmf export default.onnx", "deepnmf export studio.onnx --rate-hz 48000 --attenuation-input")(
        export
    )


def export(
    output: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    model: ModelName = "default",
    rate_hz: Annotated[
        int | None,
        typer.Option(
            metavar="HZ",
            help="Sampling rate of the graph, such as 48000; bands above the model's are kept.",
            show_default="the model's",
            rich_help_panel=MODEL,
        ),
    ] = None,
    max_attenuation_db: MaxAttenuationDb = None,
    attenuation_input: Annotated[
        bool,
        typer.Option(
            "--attenuation-input",
            help="Make the maximum attenuation an input of the graph, for a control.",
            rich_help_panel=STRENGTH,
        ),
    ] = False,
) -> None:
    """Export a model as a streaming ONNX graph: one hop of samples in and out, with explicit states."""
    if output.suffix.lower() != ".onnx":
        raise DeepnmfError(f"{output}: models are exported as ONNX; give a name that ends in .onnx")
    from ..artifacts.outputs import check_not_read, check_writable
    from ..export.onnx import ATTENUATION, ExportOptions, delay, export_onnx, state_shapes
    from ..model import BEST, load_model

    check_not_read([output], model, Path(model) / BEST)
    check_writable(output)
    loaded, options = load_model(model), ExportOptions(rate_hz, max_attenuation_db, attenuation_input)
    export_onnx(loaded, output, options)
    spec = options.spec(loaded)
    shapes = (f"{name} {list(shape)}" for name, shape in state_shapes(loaded, options).items())
    print_line(f"{output}: {spec.hop} samples per call at {spec.rate_hz} Hz, delayed by {delay(spec)} samples")
    print_line(f"states, zero at first, then the outputs NAME_next of the last call: {', '.join(shapes)}")
    if attenuation_input:
        print_line(f"input {ATTENUATION} [1]: maximum attenuation, infinity for no limit")
