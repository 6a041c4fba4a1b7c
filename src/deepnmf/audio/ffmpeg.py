"""Audio files to enhance, in any format: what libsndfile does not know is decoded by ffmpeg, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import DeepnmfError
from .files import EXTENSIONS
from .formats import AudioReader, Source
from .pipes import PipeReader

DECODED = (".m4a", ".mp4", ".mov", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mkv")
"""Suffixes of telephones' recordings and of videos, whose sound ffmpeg decodes. They are not written."""


def readable() -> tuple[str, ...]:
    """Return the suffixes of the files that can be read here."""
    return EXTENSIONS + DECODED if shutil.which("ffmpeg") else EXTENSIONS


def open_source(path: Path) -> AbstractContextManager[Source]:
    """Return an audio file to read in blocks, as a context.

    Raises
    ------
    DeepnmfError
        If the file is missing, not audio, empty or cut short.
    """
    decoded = Path(path).is_file() and Path(path).suffix.lower() in DECODED and shutil.which("ffmpeg")
    return DecodedReader(path) if decoded else AudioReader(path)


class DecodedReader:
    """The first audio track of a file as ffmpeg decodes it: 16 bits, at its own rate, with all its channels.

    Raises
    ------
    DeepnmfError
        If ffmpeg finds no audio in the file, or, in reading, cannot decode all of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the reader
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", "0:a:0", "-f", "wav", "-"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._messages)
        try:
            self._samples = PipeReader(self._process.stdout)
        except DeepnmfError:
            error = self._fault()
            self._close()
            raise error from None
        self.encoding, self.tags = self._samples.encoding, self._samples.tags

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks ``(channels, n)``, float32."""
        try:
            yield from self._samples.blocks()
        except DeepnmfError:
            raise self._fault() from None
        if self._process.wait():
            raise self._fault()

    def _fault(self) -> DeepnmfError:
        """Return ffmpeg's last word as an error."""
        self._stop()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines() or ["no samples in it"]
        return DeepnmfError(f"{self._path}: not readable as audio (ffmpeg: {lines[-1].removeprefix('Error: ')})")

    def _stop(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()  # ffmpeg ends when nobody listens
        self._process.wait()

    def _close(self) -> None:
        self._process.kill()
        self._stop()
        self._messages.close()

    def __enter__(self) -> DecodedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
