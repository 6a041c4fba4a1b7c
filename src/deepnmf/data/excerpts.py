"""Random excerpts of the recordings of a manifest, speech and noise apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..audio.tar_members import container, hold
from ..errors import DeepnmfError
from .decoded import MAP_BYTES, DecodedRecordings
from .decoding import Files
from .manifest import MixtureEntry
from .recordings import without_silence
from .tars import MembersInOrder

BUFFERED = 1024
"""Recordings of the shuffle buffer, which moves on by a quarter of itself."""


class ExcerptSampler:
    """Draw excerpts of speech and of noise.

    A speaker is drawn first and then an utterance, a type of noise first and then a recording. Speakers and types are
    drawn in proportion to the square root of their duration, a compromise between variety and balance: by duration
    alone, the small ones would hardly occur.

    Of a corpus in tar files, they are drawn from a shuffle buffer: the next `BUFFERED` recordings, the tar files being
    in another order in each pass. It moves on by a recording for each segment, see :meth:`move_to`.

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
        self._speech = _Supply(speakers, self._decoded, "speech")
        self._noise = _Supply(types, self._decoded, "noise")

    def move_to(self, segment: int) -> None:
        """Go to the place of a segment, counted from the first one of a training: it determines the candidates."""
        if self._speech.move_to(segment) | self._noise.move_to(segment):
            hold(self._speech.members.held | self._noise.members.held)

    @property
    def speakers(self) -> int:
        """Number of speakers; an utterance without a speaker is one by itself."""
        return len(self._speech.groups)

    def speech(self, samples: int, longest_pause: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of one speaker: an excerpt of an utterance, or several with pauses between."""
        return self._utterances(self._speech.groups.draw(rng), samples, longest_pause, rng)

    def voices(self, lengths: Sequence[int], longest_pause: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return :meth:`speech` of as many different speakers as there are lengths.

        Raises
        ------
        DeepnmfError
            If there are fewer speakers.
        """
        if len(lengths) > self.speakers:
            raise DeepnmfError(f"{len(lengths)} voices at once need as many speakers; there are {self.speakers}")
        speakers = self._speech.groups.draw_several(len(lengths), rng)
        return [self._utterances(s, n, longest_pause, rng) for s, n in zip(speakers, lengths, strict=True)]

    def _utterances(self, speaker: _Group, samples: int, longest_pause: int, rng: np.random.Generator) -> np.ndarray:
        parts = [self._excerpt(speaker.by_length(rng), samples, rng)]
        while (missing := samples - sum(map(len, parts))) > 0:
            pause = np.zeros(rng.integers(longest_pause), np.float32)
            parts += [pause, self._excerpt(speaker.any(rng), missing, rng)]
        return np.concatenate(parts)[:samples]

    def noise(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return at most ``(samples,)`` of a recording of noise, without its silence; less of a short recording.

        Raises
        ------
        DeepnmfError
            If it is silent.
        """
        files = self._noise.groups.draw(rng).any(rng)
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
    """Recordings by their group, which is the speaker or the type of noise."""

    def __init__(self, recordings: Sequence[Files], group_of: Mapping[Files, str], decoded: DecodedRecordings) -> None:
        members: dict[str, list[Files]] = {}
        for files in sorted(recordings):
            members.setdefault(group_of[files], []).append(files)
        lengths = {name: list(map(decoded.length, members[name])) for name in sorted(members)}
        self._groups = [_Group(members[name], lengths[name]) for name in lengths]
        roots = np.sqrt([sum(of_group) for of_group in lengths.values()])
        self._odds = roots / roots.sum()

    def __len__(self) -> int:
        return len(self._groups)

    def draw(self, rng: np.random.Generator) -> _Group:
        """Return one of the groups, in proportion to the square root of its length."""
        return self._groups[int(rng.choice(len(self._groups), p=self._odds))]

    def draw_several(self, count: int, rng: np.random.Generator) -> list[_Group]:
        """Return different groups, in proportion to the square root of their length."""
        return [self._groups[index] for index in rng.choice(len(self._groups), count, replace=False, p=self._odds)]


class _Supply:
    """All that can be read of speech or of noise, and the part of it that is drawn from at the moment."""

    def __init__(self, group_of: Mapping[Files, str], decoded: DecodedRecordings, kind: str) -> None:
        usable = [files for files in sorted(group_of) if decoded.length(files)]
        if not usable:
            raise DeepnmfError(f"no {kind} can be read: {decoded.error(min(group_of))}")
        self._group_of, self._decoded = group_of, decoded
        tar_of = functools.cache(container)
        by_tar = itertools.groupby(usable, lambda files: tar_of(Path(files[0]).with_name("x")))  # one look per folder
        parts = [(tar, list(recordings)) for tar, recordings in by_tar]
        self._loose = [files for tar, recordings in parts if tar is None for files in recordings]
        self._tars = [recordings for tar, recordings in parts if tar is not None]
        self._total = sum(map(len, self._tars))
        self._step: int | None = None
        self.members = MembersInOrder()
        self.groups = _Groups(usable, group_of, decoded)

    def move_to(self, segment: int) -> bool:
        """Return whether other recordings are drawn from than before."""
        step = segment // (BUFFERED // 4) if self._total > BUFFERED else 0
        if step == self._step:
            return False
        self._step = step
        buffered = list(self._in_order(step * (BUFFERED // 4), min(BUFFERED, self._total)))
        self.groups = _Groups([*self._loose, *buffered], self._group_of, self._decoded)
        self.members.load([name for files in buffered for name in files if self._decoded.needs_files(files)])
        return True

    def _in_order(self, start: int, count: int) -> Iterator[Files]:
        """Yield recordings from `start` on: all of each tar, the tars in another order in each pass."""
        number, skipped = divmod(start, self._total or 1)
        while count:
            for index in np.random.default_rng([number]).permutation(len(self._tars)):
                part = self._tars[index][skipped : skipped + count]
                skipped = max(0, skipped - len(self._tars[index]))
                count -= len(part)
                yield from part
            number += 1


def _noise_files(row: MixtureEntry) -> Files:
    return (row.noise,) if row.noise else (str(row.noisy), row.speech)
