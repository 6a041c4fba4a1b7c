"""Recordings decoded once, into a memory map of 16-bit integers that excerpts are cut from.

Seeking in compressed files is too slow for training segments; a memory map reads a page or two, whatever the size of
the corpus.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from ..artifacts import atomic_path, file_hash, read_json, write_json
from ..audio.files import duration_seconds, read_mono, resample
from ..audio.reader import AudioReader
from ..errors import DeepnmfError
from ..progress import Progress

FORMAT = 1
FULL_SCALE = 32767
MAP_BYTES = 2**34
"""Largest memory map, 149 hours at 16 kHz. Further recordings are read from their files, in part, at every draw."""

Files: TypeAlias = tuple[str, ...]
"""A recording: a file, or the difference of a noisy file and its clean one."""


@dataclass(frozen=True)
class Entry:
    """Location of a recording in the map."""

    samples: int = 0
    """Length; 0 if it cannot be read."""
    offset: int | None = None
    """First sample in the map; None for a recording that is not in it."""
    peak: float = 1.0
    """Magnitude of full scale."""
    error: str = ""
    """Why it cannot be read."""


class DecodedRecordings:
    """The recordings of a corpus as samples at one rate, by their files.

    Parameters
    ----------
    recordings : iterable of Files
        What to decode.
    rate_hz : int
        Sampling rate of the samples.
    folder : Path
        Folder of the map, which is written atomically, and again when the length or the time of a file changes.
    """

    def __init__(self, recordings: Iterable[Files], rate_hz: int, folder: Path) -> None:
        recordings = sorted(set(recordings))
        data, index = (Path(folder) / f"{_key(recordings, rate_hz)}.{suffix}" for suffix in ("int16", "json"))
        if not (data.exists() and index.exists()):
            with atomic_path(data) as temporary, temporary.open("wb") as file:
                entries = _decode_all(recordings, rate_hz, file)
            write_json(index, {"recordings": [asdict(entry) for entry in entries], "samples": file_hash(data)})
        entries = read_index(index)
        if len(entries) != len(recordings):
            raise DeepnmfError(f"{index}: not the index of these {len(recordings)} recordings; {_ANEW}")
        self._entries = dict(zip(recordings, entries, strict=True))
        self._rate_hz = rate_hz
        self._map = np.memmap(data, np.int16, "r") if data.stat().st_size else np.zeros(0, np.int16)

    def length(self, recording: Files) -> int:
        """Return the samples of a recording, 0 if it cannot be read."""
        return self._entries[recording].samples

    def error(self, recording: Files) -> str:
        """Return why a recording cannot be read, or nothing."""
        return self._entries[recording].error

    def excerpt(self, recording: Files, start: int, samples: int) -> np.ndarray:
        """Return up to `samples` of a recording from `start` on, ``(samples,)``, float32.

        Raises
        ------
        DeepnmfError
            If it cannot be read.
        """
        entry = self._entries[recording]
        if entry.error:
            raise DeepnmfError(entry.error)
        if entry.offset is None:
            return _difference([_part(Path(name), start, samples, self._rate_hz) for name in recording])
        stop = entry.offset + min(entry.samples, start + samples)
        return np.multiply(self._map[entry.offset + start : stop], entry.peak / FULL_SCALE, dtype=np.float32)


def read_index(index: Path) -> list[Entry]:
    """Return the locations of recordings in the map beside an index, after comparing its checksum.

    Raises
    ------
    DeepnmfError
        If one of the two is missing or damaged.
    """
    record, data = read_json(index), index.with_suffix(".int16")
    if record.get("samples") != file_hash(data):
        raise DeepnmfError(f"{data}: checksum mismatch, the file is damaged; {_ANEW}")
    values, held = record.get("recordings"), data.stat().st_size // 2
    if not isinstance(values, list) or not all(_is_entry(value, held) for value in values):
        raise DeepnmfError(f"{index}: not the index of {data.name}; {_ANEW}")
    return [Entry(**value) for value in values]


def _is_entry(value: Any, held: int) -> bool:
    """Return whether a JSON value is an :class:`Entry` of a map that holds so many samples."""
    if not isinstance(value, dict) or value.keys() != {item.name for item in fields(Entry)}:
        return False
    samples, offset, peak = value["samples"], value["offset"], value["peak"]
    if not isinstance(value["error"], str) or type(samples) is not int or samples < 0:
        return False
    if type(peak) not in {int, float} or not math.isfinite(peak):
        return False
    return offset is None or (type(offset) is int and 0 <= offset <= held - samples)


_ANEW = "delete it and train again"


def _key(recordings: list[Files], rate_hz: int) -> str:
    """Return a hash that changes with any of the files."""
    digest = hashlib.sha256(f"{FORMAT} {rate_hz} {MAP_BYTES}".encode())
    for files in recordings:
        digest.update(json.dumps([(name, *_stamp(Path(name))) for name in files]).encode())
    return digest.hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int]:
    """Return the size and the time of a file, zeros if there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _decode_all(recordings: list[Files], rate_hz: int, file: BinaryIO) -> list[Entry]:
    """Write the samples of the recordings consecutively and return their locations."""
    entries = []
    with Progress("decode", len(recordings), "recordings") as progress:
        for files in recordings:
            try:
                entries.append(_decode(files, rate_hz, file))
            except DeepnmfError as error:
                entries.append(Entry(error=str(error)))
            progress.update()
    return entries


def _decode(files: Files, rate_hz: int, file: BinaryIO) -> Entry:
    """Append the samples of a recording to the map, if they fit, and return its location."""
    offset, samples = file.tell() // 2, _samples(files, rate_hz)
    if 2 * (offset + samples) > MAP_BYTES:
        return Entry(samples)
    signal = _difference([read_mono(Path(name), rate_hz) for name in files])
    peak = float(np.abs(signal).max()) or 1.0
    file.write(np.round(signal * (FULL_SCALE / peak)).astype(np.int16).tobytes())
    return Entry(len(signal), offset, peak)


def _samples(files: Files, rate_hz: int) -> int:
    """Return the length of a recording at `rate_hz`, from the headers of its files."""
    lengths = [duration_seconds(Path(name)) for name in files]
    if len(set(lengths)) > 1:
        raise DeepnmfError(f"{files[0]}: its length differs from that of its clean file {files[1]}")
    if not lengths[0]:
        raise DeepnmfError(f"{files[0]}: no samples in it")
    return int(lengths[0] * rate_hz)


def _difference(signals: list[np.ndarray]) -> np.ndarray:
    length = min(map(len, signals))  # resampled from different rates, they may differ by a sample
    return signals[0][:length] - signals[1][:length] if len(signals) > 1 else signals[0]


def _part(path: Path, start: int, samples: int, rate_hz: int) -> np.ndarray:
    """Return up to `samples` of a recording from `start` on, mono, all at `rate_hz`, decoding no more than those."""
    with AudioReader(path) as reader:
        found_hz = reader.encoding.rate_hz
        first, count = start * found_hz // rate_hz, -(-samples * found_hz // rate_hz)
        part = np.concatenate(list(reader.blocks(start=first, stop=first + count)), axis=1)
    return resample(part.mean(axis=0), found_hz, rate_hz)[:samples]
