"""A plot of the spectrograms before and after enhancement, and of the gains."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts import atomic_path
from ..errors import DeepnmfError, require

MOST_COLUMNS = 1200
"""Most columns; when exceeded, neighbours are merged, so that memory stays bounded."""
RANGE_DB = 80


class Picture:
    """Collect spectra and gains of a stream of any length, and draw them at the end.

    Parameters
    ----------
    path : Path
        Image to write; any format that matplotlib supports.
    rate_hz : int
        Sampling rate.
    frame_seconds : float
        Hop.
    name : str
        Title, such as the name of the recording.

    Raises
    ------
    DeepnmfError
        If matplotlib or librosa is missing, or matplotlib does not support the format.
    """

    def __init__(self, path: Path, rate_hz: int, frame_seconds: float, name: str = "") -> None:
        require("a plot", "matplotlib", "librosa")
        import matplotlib.figure

        self._new_figure = matplotlib.figure.Figure
        if path.suffix[1:].lower() not in self._new_figure().canvas.get_supported_filetypes():
            raise DeepnmfError(f"{path}: not an image format that matplotlib supports; choose .png, .pdf or .svg")
        self._path = path
        self._rate_hz = rate_hz
        self._frame_seconds = frame_seconds
        self._name = name
        self._per_column = 1
        self._frames = 0
        self._columns: list[np.ndarray] = []  # (3, F): power before, power after, gain
        self._part: list[np.ndarray] = []

    def push(self, spectrum: np.ndarray, gains: np.ndarray, enhanced: np.ndarray) -> None:
        """Add a spectrum ``(channels, F, N)``, its gains and that of the output; an observer of the enhancer."""
        before = np.square(np.abs(spectrum)).mean(axis=0)
        after = np.square(np.abs(enhanced)).mean(axis=0)
        self._frames += before.shape[1]
        for frame in np.stack([before, after, gains.mean(axis=0)]).transpose(2, 0, 1):
            self._part.append(frame)
            if len(self._part) == self._per_column:
                self._columns.append(np.mean(self._part, axis=0))
                self._part = []
            if len(self._columns) == MOST_COLUMNS:
                self._columns = [(a + b) / 2 for a, b in zip(self._columns[::2], self._columns[1::2], strict=True)]
                self._per_column *= 2

    def draw(self, path: Path) -> None:
        """Write the image."""
        columns = self._columns or [np.mean(self._part, axis=0)]
        before, after, gain = np.stack(columns, axis=2)
        figure = self._new_figure(figsize=(12, 9), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True, sharey=True)
        top = max(float(before.max()), 1e-12)
        for ax, power, name in ((axes[0], before, "before"), (axes[1], after, "after")):
            level_db = 10 * np.log10(np.maximum(power / top, 10 ** (-RANGE_DB / 10)))
            image = self._panel(ax, level_db, (-RANGE_DB, 0), name)
            figure.colorbar(image, ax=ax, label="dB relative to the peak before")
        figure.colorbar(self._panel(axes[2], gain, (0, 1), "gain"), ax=axes[2], label="gain, ratio of amplitudes")
        axes[2].set_xlabel("time (s)")
        title = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self._name)
        figure.suptitle(title, parse_math=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a glyph of the name missing from the font
            figure.savefig(path, dpi=120)

    def _panel(self, ax: Any, values: np.ndarray, limits: tuple[float, float], title: str) -> Any:
        from librosa.display import specshow

        bins, columns = values.shape
        image = specshow(
            values,
            x_coords=np.linspace(0, self._frames * self._frame_seconds, columns),
            y_coords=np.linspace(0, self._rate_hz / 2, bins),
            sr=self._rate_hz,
            x_axis="s",
            y_axis="mel",
            vmin=limits[0],
            vmax=limits[1],
            cmap="magma",
            ax=ax,
        )
        ax.set(title=title, ylabel="frequency (Hz)")
        ax.label_outer()
        return image

    def __enter__(self) -> Picture:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            with atomic_path(self._path) as temporary:
                self.draw(temporary)
