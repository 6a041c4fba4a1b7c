"""Recordings decoded once, into a memory map of 16-bit integers that excerpts are cut from, as far as they fit.

Seeking in compressed files is too slow for training segments; a memory map reads a page or two, whatever the size of
the corpus. What is beyond its size is decoded when it is drawn, and the parts used last are kept in memory. Samples are
the same either way: the size of the map changes the speed of a training, never its result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..artifacts import atomic_path, file_hash, read_json, write_json
from ..errors import DeepnmfError
from ..progress import Progress, note
from .decoding import PART_SECONDS, Files, Part, count_samples, decode_part, decode_parts, parts_of
from .stale_maps import DATA, remove_stale, stamps

FORMAT = 2
MAP_BYTES = 16 * 10**9
"""Default size of the memory map, 139 hours at 16 kHz; that of `train.cache_gb`."""
KEPT_BYTES = 2**28
"""Most bytes in memory of decoded parts that are not in the map."""


@dataclass(frozen=True)
class Entry:
    """Location of a recording in the map."""

    samples: int = 0
    """Length; 0 if it cannot be read."""
    offset: int | None = None
    """First sample in the map; None for a recording that is not in it."""
    peaks: tuple[float, ...] = ()
    """Magnitude of full scale of each part in the map."""
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
        Folder of the map, which is written atomically, and again when the length or the time of a file changes; then
        maps of files that have changed are removed, and a line on stderr has the size of the others.
    map_bytes : int
        Largest size of the map. Recordings that do not fit are decoded in parts when they are drawn.
    """

    def __init__(self, recordings: Iterable[Files], rate_hz: int, folder: Path, map_bytes: int = MAP_BYTES) -> None:
        recordings = sorted(set(recordings))
        data, index = (Path(folder) / f"{_key(recordings, rate_hz, map_bytes)}{suffix}" for suffix in (DATA, ".json"))
        if not (data.exists() and index.exists()):
            files = list(map(stamps, recordings))  # as they were before any was decoded
            with atomic_path(data) as temporary, temporary.open("wb") as file:
                entries = _decode_all(recordings, rate_hz, file, map_bytes)
            located = [asdict(entry) for entry in entries]
            write_json(index, {"recordings": located, "files": files, "samples": file_hash(data)})
            if left := remove_stale(data):
                note(f"{folder}: {left / 1e9:.1f} GB decoded for other corpora or settings; delete unused files")
        entries = read_index(index)
        if len(entries) != len(recordings) or not all(_has_its_parts(entry, rate_hz) for entry in entries):
            raise DeepnmfError(f"{index}: not the index of these {len(recordings)} recordings; {_ANEW}")
        self._entries = dict(zip(recordings, entries, strict=True))
        self._rate_hz, self._step = rate_hz, PART_SECONDS * rate_hz
        self._data, self._map = data, _mapped(data)
        self._kept = _Kept(KEPT_BYTES)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the map's samples, which another process maps itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_map"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, and open the map."""
        self.__dict__.update(state)
        self._map = _mapped(self._data)

    def length(self, recording: Files) -> int:
        """Return the samples of a recording, 0 if it cannot be read."""
        return self._entries[recording].samples

    def error(self, recording: Files) -> str:
        """Return the reason why a recording cannot be read, if any."""
        return self._entries[recording].error

    def needs_files(self, recording: Files) -> bool:
        """Return whether excerpts of a recording are decoded from its files."""
        return self._entries[recording].offset is None

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
        stop, found = min(entry.samples, start + samples), [np.zeros(0, np.float32)]
        for number in range(start // self._step, parts_of(stop, self._rate_hz)):
            first = number * self._step
            found.append(self._part(recording, number).cut(max(0, start - first), stop - first))
        return np.concatenate(found)

    def _part(self, recording: Files, number: int) -> Part:
        entry = self._entries[recording]
        if entry.offset is not None:
            first = number * self._step
            stop = entry.offset + min(entry.samples, first + self._step)
            return Part(self._map[entry.offset + first : stop], entry.peaks[number])
        if (part := self._kept.get(recording, number)) is None:
            part = decode_part(recording, number, entry.samples, self._rate_hz)
            self._kept.put(recording, number, part)
        return part


def _mapped(data: Path) -> np.ndarray:
    return np.memmap(data, np.int16, "r") if data.stat().st_size else np.zeros(0, np.int16)


class _Kept:
    """Parts in memory: those used last, of bounded size."""

    def __init__(self, most_bytes: int) -> None:
        self._parts: OrderedDict[tuple[Files, int], Part] = OrderedDict()
        self._free = most_bytes

    def get(self, recording: Files, number: int) -> Part | None:
        if found := self._parts.get((recording, number)):
            self._parts.move_to_end((recording, number))
        return found

    def put(self, recording: Files, number: int, part: Part) -> None:
        self._parts[recording, number] = part
        self._free -= part.values.nbytes
        while self._free < 0:
            self._free += self._parts.popitem(last=False)[1].values.nbytes


def read_index(index: Path) -> list[Entry]:
    """Return the locations of recordings in the map beside an index, after comparing its checksum.

    Raises
    ------
    DeepnmfError
        If one of the two is missing or damaged.
    """
    record, data = read_json(index), index.with_suffix(DATA)
    if record.get("samples") != file_hash(data):
        raise DeepnmfError(f"{data}: checksum mismatch, the file is damaged; {_ANEW}")
    values, held = record.get("recordings"), data.stat().st_size // 2
    if not isinstance(values, list) or not all(_is_entry(value, held) for value in values):
        raise DeepnmfError(f"{index}: not the index of {data.name}; {_ANEW}")
    return [Entry(**{**value, "peaks": tuple(value["peaks"])}) for value in values]


def _is_entry(value: Any, held: int) -> bool:
    """Return whether a JSON value is an :class:`Entry` of a map that holds so many samples."""
    if not isinstance(value, dict) or value.keys() != {item.name for item in fields(Entry)}:
        return False
    samples, offset, peaks = value["samples"], value["offset"], value["peaks"]
    if not isinstance(value["error"], str) or type(samples) is not int or samples < 0:
        return False
    if not isinstance(peaks, list) or not all(type(p) in {int, float} and math.isfinite(p) for p in peaks):
        return False
    return offset is None or (type(offset) is int and 0 <= offset <= held - samples)


def _has_its_parts(entry: Entry, rate_hz: int) -> bool:
    return entry.offset is None or len(entry.peaks) == parts_of(entry.samples, rate_hz)


_ANEW = "delete it and train again"


def _key(recordings: list[Files], rate_hz: int, map_bytes: int) -> str:
    """Return a hash that changes with any of the files."""
    digest = hashlib.sha256(f"{FORMAT} {rate_hz} {map_bytes}".encode())
    for files in recordings:
        digest.update(json.dumps(stamps(files)).encode())
    return digest.hexdigest()[:16]


def _decode_all(recordings: list[Files], rate_hz: int, file: BinaryIO, map_bytes: int) -> list[Entry]:
    """Write the samples of the recordings consecutively and return their locations."""
    entries = []
    with Progress("decode", len(recordings), "recordings") as progress:
        for files in recordings:
            start = file.tell()
            try:
                entries.append(_decode(files, rate_hz, file, map_bytes))
            except DeepnmfError as error:
                file.seek(start)
                file.truncate()
                entries.append(Entry(error=str(error)))
            progress.update()
    return entries


def _decode(files: Files, rate_hz: int, file: BinaryIO, map_bytes: int) -> Entry:
    """Append the samples of a recording to the map, if they fit, and return its location."""
    offset, samples = file.tell() // 2, count_samples(files, rate_hz)
    if 2 * (offset + samples) > map_bytes:
        return Entry(samples)
    peaks = []
    for part in decode_parts(files, samples, rate_hz):
        file.write(part.values.tobytes())
        peaks.append(part.peak)
    return Entry(samples, offset, tuple(peaks))
