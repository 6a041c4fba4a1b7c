"""Audio files written block by block; every failed write raises with its cause."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from ..errors import DeepnmfError
from .formats import LAYOUTS, WAV_LIKE, AudioFormat, Tags, library_reason, too_long
from .full_scale import Metered
from .samples import encoded


class AudioWriter(Metered):
    """An audio file written in blocks; use it on the temporary name of :func:`deepnmf.artifacts.atomic_path`.

    Samples above full scale are clipped, and counted in `clipped`, unless the subtype holds them. PCM is rounded to
    the nearest step: libsndfile truncates, which would shift every sample of an unchanged recording by half a step.

    Parameters
    ----------
    path : Path
        File to write.
    encoding : AudioFormat
        Encoding; `frames` is ignored.
    tags : Tags, optional
        Title, artist and the like, and WAV's chunks.
    shown : Path, optional
        Name to give in errors.

    Attributes
    ----------
    notes : list of str
        One line for metadata that the format cannot store.
    """

    def __init__(self, path: Path, encoding: AudioFormat, tags: Tags | None = None, shown: Path | None = None) -> None:
        import soundfile

        self.encoding = encoding
        self.notes: list[str] = []
        self._path, self._shown, self._written = path, shown or path, 0
        self._tags = tags or Tags()
        with self._faults_named():
            self._file = soundfile.SoundFile(
                library_path(path),
                "w",
                samplerate=encoding.rate_hz,
                channels=encoding.channels,
                format=encoding.container,
                subtype=encoding.subtype,
                endian=encoding.endian,
            )
        cover = ["the cover"] if self._tags.cover else []
        self._lost(self._set_text() + self._foreign_chunks() + self._foreign_layout() + cover)

    def write(self, block: np.ndarray) -> None:
        """Append ``(channels, n)``."""
        if not block.shape[1]:
            return
        self.measure(block, self._shown)
        frames = self._written + block.shape[1]
        if too_long(dataclasses.replace(self.encoding, frames=frames)):
            raise DeepnmfError(f"{self._shown}: more than 4 GB do not fit into WAV; choose .w64, .caf or .flac")
        with self._faults_named():
            self._file.write(encoded(block, self.encoding.subtype).T)
        self._written = frames

    def _set_text(self) -> list[str]:
        import soundfile

        refused = []
        for name, value in self._tags.text.items():
            try:
                setattr(self._file, name, value)
            except soundfile.SoundFileError:  # not every format has every tag
                refused.append(name)
        return [name for name in refused if name != "software"]  # no longer true of this file

    @property
    def _takes_chunks(self) -> bool:
        return self.encoding.container in ("WAV", "WAVEX", "RF64") and self.encoding.endian != "BIG"

    def _foreign_chunks(self) -> list[str]:
        names = [name.decode("ascii", "replace").strip() for name, _ in self._tags.chunks]
        return [] if self._takes_chunks else names

    def _foreign_layout(self) -> list[str]:
        """Return the channel layout if readers would assume another."""
        mask, channels = self.encoding.channel_mask, self.encoding.channels
        kept = WAV_LIKE.get(self.encoding.container) is not None or mask in LAYOUTS.get(channels, ())
        return [f"channel layout {mask:#x}"] if mask and not kept else []

    def _lost(self, names: list[str]) -> None:
        if names:
            self.notes.append(f"{self._shown}: not copied: {', '.join(names)}")

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(Exception):  # the first error is the one to report
                self._file.close()
            return
        import soundfile

        with self._faults_named():
            self._file.close()
            # libsndfile does not report every failed write, and the last ones occur on closing.
            if soundfile.info(library_path(self._path)).frames < self._written:
                raise OSError("samples are missing; is the disk full?")
            if self._takes_chunks and (self._tags.chunks or self.encoding.channel_mask):
                with self._path.open("r+b") as file:
                    _set_channel_mask(file, self.encoding.channel_mask)
                    _append_chunks(file, self._tags.chunks)

    @contextlib.contextmanager
    def _faults_named(self) -> Iterator[None]:
        import soundfile

        try:
            yield
        except AssertionError:  # raised by soundfile on a short write
            raise DeepnmfError(f"{self._shown}: cannot write (samples are missing; is the disk full?)") from None
        except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
            reason = library_reason(error)  # libsndfile's "System error" on writing is mostly a full disk
            reason = "a failed write; is the disk full?" if reason == "System error" else reason
            raise DeepnmfError(f"{self._shown}: cannot write ({reason})") from None


def library_path(path: Path) -> str | bytes:
    """Return a path for libsndfile, which takes names that are not valid text as bytes."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def _set_channel_mask(file: BinaryIO, mask: int) -> None:
    """Write the speakers into the header of a WAV file, where libsndfile derives them from the number of channels."""
    head = file.read(256)
    at = head.find(b"fmt ") + 8
    if mask and at >= 8 and head[at : at + 2] == b"\xfe\xff":
        file.seek(at + 20)
        file.write(struct.pack("<I", mask))


def _append_chunks(file: BinaryIO, chunks: tuple[tuple[bytes, bytes], ...]) -> None:
    """Append chunks to a WAV or RF64 file, which libsndfile's Python interface cannot write."""
    size = file.seek(0, 2)
    file.write(bytes(size % 2))
    for name, body in chunks:
        file.write(name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2))
    size = file.tell() - 8
    file.seek(0)
    if file.read(4) == b"RF64":
        file.seek(20)
        file.write(struct.pack("<Q", size))
    elif size < 2**32:
        file.write(struct.pack("<I", size))
