"""Random excerpts of the recordings of a manifest, speech and noise apart."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from ..audio.files import duration_seconds, read_mono, resample
from ..audio.formats import AudioReader
from ..errors import DeepnmfError
from .manifest import MixtureEntry
from .mixing import without_silence

LONGEST_HELD_SECONDS = 60.0
"""Longer recordings are read in part, each time; shorter ones are decoded once and held, as far as memory allows."""
HELD_BYTES = 2**30
"""Memory for the recordings that are held, in 16-bit floats: 9 hours at 16 kHz."""
WEIGHT_SECONDS = 40.0
"""A recording of speech is drawn by its length, but as if none were longer than this."""

Files: TypeAlias = tuple[str, ...]
"""A recording: a file, or a noisy file and its clean one, whose difference it is."""
Member = TypeVar("Member", str, Files)


class Excerpts:
    """Draw excerpts of speech and of noise.

    Parameters
    ----------
    rows : list of MixtureEntry
        Mixtures; of a recorded pair, the noise is the difference.
    rate_hz : int
        Sampling rate of the excerpts.

    Raises
    ------
    DeepnmfError
        If no speech can be read; in drawing, if the recordings that were drawn are unreadable or silent.
    """

    def __init__(self, rows: list[MixtureEntry], rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._held: dict[Files, np.ndarray] = {}
        self._held_bytes = 0
        self._speaker = {row.speech: row.speaker or row.speech for row in rows}
        self._of_speaker = _grouped(self._speaker)
        self._speech = sorted(self._speaker)
        self._speech_odds = _odds(self._speech)
        self._of_type = _grouped({_noise_files(row): row.noise_type for row in rows})
        self._types = sorted(self._of_type)

    def speech(self, samples: int, longest_pause: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of one speaker: an excerpt of an utterance, or several with pauses between."""
        path = self._speech[rng.choice(len(self._speech), p=self._speech_odds)]
        others = self._of_speaker[self._speaker[path]]
        parts = [self._excerpt((path,), samples, rng)]
        while (missing := samples - sum(map(len, parts))) > 0:
            pause = np.zeros(rng.integers(longest_pause), np.float32)
            parts += [pause, self._excerpt((others[rng.integers(len(others))],), missing, rng)]
        return np.concatenate(parts)[:samples]

    def noise(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of a recording of noise, all types as likely; a short one goes round and round."""
        recordings = self._of_type[self._types[rng.integers(len(self._types))]]
        files = recordings[rng.integers(len(recordings))]
        found = without_silence(self._excerpt(files, samples, rng), self._rate_hz)
        if not len(found):
            raise DeepnmfError(f"{files[0]}: the noise is silent")
        return np.take(found, np.arange(samples), mode="wrap")

    def _excerpt(self, files: Files, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return up to `samples` from somewhere in a recording."""
        share = rng.random()
        if files not in self._held and _seconds(files) > LONGEST_HELD_SECONDS:
            return _difference([_part(Path(file), share, samples, self._rate_hz) for file in files])
        whole = self._whole(files)
        start = int(share * max(0, len(whole) - samples + 1))
        return np.asarray(whole[start : start + samples], np.float32)

    def _whole(self, files: Files) -> np.ndarray:
        if files in self._held:
            return self._held[files]
        whole = _difference([read_mono(Path(file), self._rate_hz) for file in files]).astype(np.float16)
        if self._held_bytes + whole.nbytes <= HELD_BYTES:
            self._held[files] = whole
            self._held_bytes += whole.nbytes
        return whole


def _noise_files(row: MixtureEntry) -> Files:
    return (row.noise,) if row.noise else (str(row.noisy), row.speech)


def _grouped(groups: dict[Member, str]) -> dict[str, list[Member]]:
    """Return the members of each group, sorted, from the group of each member."""
    members: dict[str, list[Member]] = {}
    for member in sorted(groups):
        members.setdefault(groups[member], []).append(member)
    return members


def _odds(paths: list[str]) -> np.ndarray:
    """Return how likely each recording is to be drawn; those that cannot be read are not."""
    weights = np.zeros(len(paths))
    for index, path in enumerate(paths):
        with contextlib.suppress(DeepnmfError):
            weights[index] = min(duration_seconds(Path(path)), WEIGHT_SECONDS)
    if not weights.any():
        raise DeepnmfError(f"{paths[0]}: cannot be read, nor can any other recording of speech")
    return weights / weights.sum()


def _seconds(files: Files) -> float:
    """Return the length of a recording."""
    lengths = [duration_seconds(Path(file)) for file in files]
    if len(set(lengths)) > 1:
        raise DeepnmfError(f"{files[0]}: not as long as its clean file {files[1]}")
    return lengths[0]


def _difference(signals: list[np.ndarray]) -> np.ndarray:
    length = min(map(len, signals))  # resampled from different rates, they may differ by a sample
    return signals[0][:length] - signals[1][:length] if len(signals) > 1 else signals[0]


def _part(path: Path, share: float, samples: int, rate_hz: int) -> np.ndarray:
    """Return up to `samples` at `rate_hz` of a recording, mono, from `share` of where they can start."""
    with AudioReader(path) as reader:
        frames, found_hz = reader.encoding.frames or 0, reader.encoding.rate_hz
        wanted = -(-samples * found_hz // rate_hz)
        start = int(share * max(0, frames - wanted))
        part = np.concatenate(list(reader.blocks(start=start, stop=start + wanted)), axis=1)
    return resample(part.mean(axis=0), found_hz, rate_hz)[:samples]
