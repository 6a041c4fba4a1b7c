"""`--plot`: a picture with the recording's name, a mel axis, and labelled colour bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.enhancement.plot import MOST_COLUMNS, Picture

pytest.importorskip("matplotlib")
pytest.importorskip("librosa")


def pushed(path: Path, frames: int, name: str = "x.wav", level: float = 1.0) -> Picture:
    rng = np.random.default_rng(0)
    picture = Picture(path, 16000, 0.01, name)
    for start in range(0, frames, 500):
        count = min(500, frames - start)
        spectrum = level * rng.normal(size=(2, 33, count)) * (1 + 1j)
        gains = rng.random((1, 33, count))
        picture.push(spectrum, gains, gains * spectrum)
    return picture


def test_axes_and_colour_bars_are_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    picture = pushed(tmp_path / "p.png", 300, "talk.wav")
    new_figure = picture._new_figure

    def keep(*arguments: Any, **options: Any) -> Any:
        figures.append(new_figure(*arguments, **options))
        return figures[-1]

    monkeypatch.setattr(picture, "_new_figure", keep)
    picture.draw(tmp_path / "p.png")
    panels, bars = figures[0].axes[:3], figures[0].axes[3:]
    assert figures[0].get_suptitle() == "talk.wav"
    assert [panel.get_title() for panel in panels] == ["before", "after", "gain"]
    assert all("Hz" in panel.get_ylabel() for panel in panels)
    assert panels[-1].get_xlabel() == "time (s)"
    assert panels[0].get_yscale() == "symlog"
    assert panels[0].get_ylim()[1] >= 8000
    assert [bar.get_ylabel().split(" ")[0].strip(",") for bar in bars] == ["dB", "dB", "gain"]


@pytest.mark.parametrize(
    "name", ["$x^", "a_b^{$\\frac$}.wav", "日本語.wav", "line\nbreak\x1b.wav", "bytes\udcff.wav", "<b>&amp;.wav"]
)
@pytest.mark.filterwarnings("error")
def test_any_name_can_be_the_title(tmp_path: Path, name: str) -> None:
    with pushed(tmp_path / "p.svg", 20, name):
        pass
    assert b"<svg" in (tmp_path / "p.svg").read_bytes()


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e10])
@pytest.mark.parametrize("frames", [1, 3, 3 * MOST_COLUMNS])
@pytest.mark.filterwarnings("error")
def test_any_length_and_level_can_be_drawn(tmp_path: Path, frames: int, level: float) -> None:
    picture = pushed(tmp_path / "p.png", frames, level=level)
    assert len(picture._columns) < MOST_COLUMNS
    with picture:
        pass
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
