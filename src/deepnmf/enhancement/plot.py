"""A picture of what enhancement did: the recording before, after, and the gains between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts import atomic_path
from ..errors import DeepnmfError, require

MOST_COLUMNS = 2000
"""Columns that are kept; when they are full, neighbours are merged, so that memory stays bounded."""
RANGE_DB = 80


class Picture:
    """Collect spectra and gains of a stream of any length, and draw them at the end.

    Parameters
    ----------
    path : Path
        Image to write; any format that matplotlib knows.
    rate_hz : int
        Sampling rate.
    frame_seconds : float
        Hop.

    Raises
    ------
    DeepnmfError
        If matplotlib is missing.
    """

    def __init__(self, path: Path, rate_hz: int, frame_seconds: float) -> None:
        require("a plot", "matplotlib")
        import matplotlib.figure

        self._new_figure = matplotlib.figure.Figure
        if path.suffix[1:].lower() not in self._new_figure().canvas.get_supported_filetypes():
            raise DeepnmfError(f"{path}: not a picture format that matplotlib knows; choose .png, .pdf or .svg")
        self._path = path
        self._rate_hz = rate_hz
        self._frame_seconds = frame_seconds
        self._per_column = 1
        self._frames = 0
        self._columns: list[np.ndarray] = []  # (3, F): power before, power after, gain
        self._part: list[np.ndarray] = []

    def push(self, spectrum: np.ndarray, gains: np.ndarray) -> None:
        """Take a spectrum ``(channels, F, N)`` and its gains; an observer of the enhancer."""
        before = np.square(np.abs(spectrum)).mean(axis=0)
        after = np.square(np.abs(spectrum * gains)).mean(axis=0)
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
        """Write the picture."""
        columns = self._columns or [np.mean(self._part, axis=0)]
        before, after, gain = np.stack(columns, axis=2)
        top_db = 10 * np.log10(before.max() + 1e-12)
        figure = self._new_figure(figsize=(12, 8), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True)
        for ax, power, title in ((axes[0], before, "before"), (axes[1], after, "after")):
            self._panel(figure, ax, 10 * np.log10(power + 1e-12), (top_db - RANGE_DB, top_db), f"{title}, dB")
        self._panel(figure, axes[2], gain, (0, 1), "gain")
        axes[2].set_xlabel("seconds")
        figure.savefig(path, dpi=120)

    def _panel(self, figure: Any, ax: Any, values: np.ndarray, limits: tuple[float, float], title: str) -> None:
        extent = (0, self._frames * self._frame_seconds, 0, self._rate_hz / 2000)
        image = ax.imshow(
            values, origin="lower", aspect="auto", extent=extent, vmin=limits[0], vmax=limits[1], cmap="magma"
        )
        ax.set_ylabel("kHz")
        ax.set_title(title, loc="left")
        figure.colorbar(image, ax=ax)

    def __enter__(self) -> Picture:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            with atomic_path(self._path) as temporary:
                self.draw(temporary)
