"""The page that enhances in the browser, and an example before and after: made when the site is built."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

import soundfile
from mkdocs.structure.files import File

from deepnmf.enhancement.files import FileOptions, enhance_file
from deepnmf.model import load_model
from deepnmf.page.build import build_page

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build"
NOISY = ROOT / "examples/noisy.wav"
PAGE, EXAMPLE = "try", "example"
"""Folders of the site."""


def on_files(files: Any, *, config: Any) -> Any:
    """Add the page and the example to the site (an event of MkDocs)."""
    made()
    for folder in (PAGE, EXAMPLE):
        for path in sorted((BUILT / folder).rglob("*")):
            if path.is_file():
                files.append(File.generated(config, path.relative_to(BUILT).as_posix(), abs_src_path=str(path)))
    return files


@functools.cache
def made() -> None:
    """Build both, once in a process: ``mkdocs serve`` builds the site again at every change."""
    logging.getLogger("mkdocs.hooks").info("exporting the models for the browser")
    build_page(BUILT / PAGE, example=NOISY, documentation="../index.html")
    (BUILT / EXAMPLE).mkdir(exist_ok=True)
    samples, rate_hz = soundfile.read(NOISY, dtype="int16")
    soundfile.write(BUILT / EXAMPLE / "before.wav", samples, rate_hz)
    picture = FileOptions(picture=BUILT / EXAMPLE / "spectrograms.png")
    enhance_file(BUILT / EXAMPLE / "before.wav", BUILT / EXAMPLE / "after.wav", load_model(), picture)
