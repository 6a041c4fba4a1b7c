"""The page as a folder of files that any web server can deliver: its own, a graph of each model, and the runtime."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from .._version import __version__
from ..artifacts import write_text
from ..audio.formats import RATE_RANGE_HZ
from ..config import to_dict
from ..dsp.attenuation_limit import TINY_POWER
from ..dsp.level import LEVEL_FLOOR
from ..dsp.past_frames import LEAST_POWER
from ..dsp.pauses import RULES as PAUSES_RULES
from ..dsp.upper_band import RULES as UPPER_BAND_RULES
from ..enhancement.rates import MISSING_BAND_GAIN, TOP_BAND
from ..enhancement.record import file_digest
from ..enhancement.warm_up import WARM_UP_SECONDS
from ..errors import DeepnmfError, require
from ..model import DEFAULT_MODEL, Model, load_model
from ..model_cards import package_models
from ..networks.unfolded.profile_input import VOICE
from .runtime import BINARY, DIGESTS, LOADER, SCRIPT, runtime_folder

STATIC = Path(str(resources.files("deepnmf.page") / "static"))
DESCRIPTION = "page.json"
"""What the page reads first: models, files with their hashes, and the constants of the enhancer."""

RULES: dict[str, Any] = {
    "rate_range_hz": RATE_RANGE_HZ,
    "level_floor": LEVEL_FLOOR,
    "least_power": LEAST_POWER,
    "top_band": TOP_BAND,
    "upper_band": UPPER_BAND_RULES,
    "pauses": PAUSES_RULES,
    "missing_band_gain": MISSING_BAND_GAIN,
    "tiny_power": TINY_POWER,
    "warm_up_seconds": WARM_UP_SECONDS,
}
"""The constants of the enhancer, for `enhancer.js`."""
PURPOSE, PACKAGES = "the page", ("torch", "onnx", "onnxruntime", "platformdirs")


def build_page(
    folder: Path,
    models: Mapping[str, Model] | None = None,
    *,
    default: str = DEFAULT_MODEL,
    example: Path | None = None,
    documentation: str | None = None,
    cache: Path | None = None,
) -> None:
    """Write the page into a folder.

    Parameters
    ----------
    folder : Path
        Made if needed.
    models : mapping of str to Model, optional
        Models to choose from, by the name to show; by default those of the package that can be exported.
    default : str
        Name of the one that is chosen at first.
    example : Path, optional
        A recording to try, for those who have none at hand.
    documentation : str, optional
        Address of the documentation, relative to the page.
    cache : Path, optional
        Where the runtime is kept (:func:`~deepnmf.page.runtime.runtime_folder`).

    Raises
    ------
    DeepnmfError
        If the extra ``serve`` is missing, the runtime cannot be fetched, or a given model cannot be exported.
    """
    require(PURPOSE, *PACKAGES)
    runtime = runtime_folder(cache)
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    for name in DIGESTS:
        _copy(runtime / name, folder / "runtime" / name)
    if example is not None:
        _copy(example, folder / example.name)
    description = {
        "version": __version__,
        "default": default,
        "example": None if example is None else example.name,
        "documentation": documentation,
        "models": [_described(folder, *entry) for entry in enumerate((models or exportable_models()).items())],
        "runtime": {
            "script": _file(folder, f"runtime/{SCRIPT}"),
            "loader": _file(folder, f"runtime/{LOADER}"),
            "binary": _file(folder, f"runtime/{BINARY}"),
        },
        "rules": RULES,
    }
    write_text(folder / DESCRIPTION, json.dumps(description, indent=1) + "\n")


def exportable_models() -> dict[str, Model]:
    """Return the models of the package that can be exported, the default one first.

    Raises
    ------
    MissingExtra
        If the extra ``serve`` is missing.
    """
    require(PURPOSE, *PACKAGES)
    from ..export.mask_graph import mask_graph

    found = {}
    for name in sorted(package_models(), key=lambda name: (name != DEFAULT_MODEL, name)):
        if VOICE in (model := load_model(name)).network.profile_inputs():
            continue  # the page has no profiles to give, and without one this is another `default`
        try:
            mask_graph(model.network)
        except DeepnmfError:
            continue
        found[name] = model
    return found


def _described(folder: Path, index: int, named: tuple[str, Model]) -> dict[str, Any]:
    from ..export.mask_graph import export_mask

    name, model = named
    path = f"graphs/{index}.onnx"  # names may hold characters that addresses cannot
    export_mask(model, folder / path)
    return {
        "name": name,
        "title": model.title(),
        "weights": model.network.parameters,
        **enhancer_settings(model),
        "graph": _file(folder, path),
    }


def enhancer_settings(model: Model) -> dict[str, Any]:
    """Return what `enhancer.js` needs of a model besides its graph.

    Transform, level, whether pauses are attenuated further, and filter if it has one.
    """
    multi_frame = model.network.multi_frame
    return {
        "stft": to_dict(model.features.stft),
        "level_seconds": model.features.level_seconds,
        "pauses": model.network.ATTENUATES_PAUSES,
        "filter": multi_frame and {"bins": multi_frame.bins, "past_frames": multi_frame.past_frames},
    }


def _file(folder: Path, path: str) -> dict[str, str | None]:
    return {"url": path, "sha256": file_digest(folder / path)}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
