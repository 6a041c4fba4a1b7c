"""A picture file of a model's atoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..artifacts import atomic_path
from ..errors import DeepnmfError, require
from ..model import Model, kind_of
from .atoms import RANGE_DB, shading, sorted_atoms


def plot_atoms(model: Model, path: Path) -> None:
    """Draw the output dictionary on a mel axis, its atoms sorted by centre frequency.

    Raises
    ------
    DeepnmfError
        If the network has none, matplotlib or librosa is missing or the format is not supported, or the file cannot be
        written.
    """
    network = model.network.with_atoms()
    if network is None:
        raise DeepnmfError(
            f"{path}: a network of the kind {kind_of(model.network)} has no atoms to draw; leave the plot out"
        )
    require("a plot", "matplotlib", "librosa")
    from librosa.display import specshow
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise DeepnmfError(f"{path}: not a picture format that matplotlib supports; choose .png, .pdf or .svg")
    W, speech = network.output, network.speech_atoms
    rate_hz = model.features.stft.rate_hz
    shades = RANGE_DB * (shading(W[:, sorted_atoms(W, speech, rate_hz)]) - 1)
    both = (("speech", shades[:, :speech]), ("noise", shades[:, speech:]))
    halves = [(name, half) for name, half in both if half.size]
    widths = [half.shape[1] for _, half in halves]
    axes = figure.subplots(1, len(halves), sharey=True, width_ratios=widths, squeeze=False)[0]
    for ax, (name, half) in zip(axes, halves, strict=True):
        image = specshow(
            half,
            x_coords=np.arange(1, half.shape[1] + 1),
            y_coords=np.linspace(0, rate_hz / 2, len(half)),
            sr=rate_hz,
            y_axis="mel",
            vmin=-RANGE_DB,
            vmax=0,
            cmap="magma",
            ax=ax,
        )
        ax.set(title=f"{half.shape[1]} {name} atoms", xlabel="number of the atom", ylabel="frequency (Hz)")
        ax.label_outer()
    figure.colorbar(image, ax=axes, label="dB relative to the atom's peak")
    figure.suptitle(model.title(), parse_math=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
