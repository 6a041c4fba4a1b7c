"""Random excerpts of the recordings of a manifest, speech and noise apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import DeepnmfError
from .decoded import MAP_BYTES, DecodedRecordings
from .decoding import Files
from .manifest import MixtureEntry
from .recordings import without_silence


class ExcerptSampler:
    """Draw excerpts of speech and of noise.

    A speaker is drawn first and then an utterance, a type of noise first and then a recording. Speakers and types are
    drawn in proportion to the square root of their duration, a compromise between variety and balance: by duration
    alone, the small ones would hardly occur.

    Parameters
    ----------
    rows : list of MixtureEntry
        Mixtures; of a recorded pair, the noise is the difference.
    rate_hz : int
        Sampling rate of the excerpts.
    folder : Path
        Folder of the decoded recordings.
    map_bytes : int
        Most bytes that they take there.

    Raises
    ------
    DeepnmfError
        If no speech or no noise can be read.
    """

    def __init__(self, rows: list[MixtureEntry], rate_hz: int, folder: Path, map_bytes: int = MAP_BYTES) -> None:
        self._rate_hz = rate_hz
        speakers: dict[Files, str] = {(row.speech,): row.speaker or row.speech for row in rows}
        types: dict[Files, str] = {_noise_files(row): row.noise_type for row in rows}
        self._decoded = DecodedRecordings([*speakers, *types], rate_hz, folder, map_bytes)
        self._speech = _Groups(speakers, self._decoded, "speech")
        self._noise = _Groups(types, self._decoded, "noise")

    @property
    def speakers(self) -> int:
        """Number of speakers; an utterance without a speaker is one by itself."""
        return len(self._speech)

    def speech(self, samples: int, longest_pause: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of one speaker: an excerpt of an utterance, or several with pauses between."""
        utterances = self._speech.draw(rng)
        parts = [self._excerpt(utterances.by_length(rng), samples, rng)]
        while (missing := samples - sum(map(len, parts))) > 0:
            pause = np.zeros(rng.integers(longest_pause), np.float32)
            parts += [pause, self._excerpt(utterances.any(rng), missing, rng)]
        return np.concatenate(parts)[:samples]

    def noise(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return at most ``(samples,)`` of a recording of noise, without its silence; less of a short recording.

        Raises
        ------
        DeepnmfError
            If it is silent.
        """
        files = self._noise.draw(rng).any(rng)
        found = without_silence(self._excerpt(files, samples, rng), self._rate_hz)[:samples]  # it pads blocks
        if not len(found):
            raise DeepnmfError(f"{files[0]}: the noise is silent")
        return found

    def _excerpt(self, files: Files, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return up to `samples` from a random place in a recording."""
        start = int(rng.random() * max(0, self._decoded.length(files) - samples + 1))
        return self._decoded.excerpt(files, start, samples)


class _Group:
    """The recordings of a speaker or of a type of noise."""

    def __init__(self, members: Sequence[Files], lengths: Sequence[int]) -> None:
        self._members = members
        self._odds = np.array(lengths) / sum(lengths)

    def any(self, rng: np.random.Generator) -> Files:
        """Return one of the recordings, uniformly."""
        return self._members[int(rng.integers(len(self._members)))]

    def by_length(self, rng: np.random.Generator) -> Files:
        """Return one of the recordings, in proportion to length."""
        return self._members[int(rng.choice(len(self._members), p=self._odds))]


class _Groups:
    """Recordings that can be read, by their group, which is the speaker or the type of noise."""

    def __init__(self, group_of: Mapping[Files, str], decoded: DecodedRecordings, kind: str) -> None:
        members: dict[str, list[Files]] = {}
        for files in sorted(group_of):
            if decoded.length(files):
                members.setdefault(group_of[files], []).append(files)
        if not members:
            raise DeepnmfError(f"no {kind} can be read: {decoded.error(min(group_of))}")
        lengths = {name: list(map(decoded.length, members[name])) for name in sorted(members)}
        self._groups = [_Group(members[name], lengths[name]) for name in lengths]
        roots = np.sqrt([sum(of_group) for of_group in lengths.values()])
        self._odds = roots / roots.sum()

    def __len__(self) -> int:
        return len(self._groups)

    def draw(self, rng: np.random.Generator) -> _Group:
        """Return one of the groups, in proportion to the square root of its length."""
        return self._groups[int(rng.choice(len(self._groups), p=self._odds))]


def _noise_files(row: MixtureEntry) -> Files:
    return (row.noise,) if row.noise else (str(row.noisy), row.speech)
