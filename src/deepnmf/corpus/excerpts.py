"""Random excerpts of the recordings of a manifest, speech and noise apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..audio import duration_seconds, read_mono, resample
from ..audio_streams import unreadable
from ..errors import DeepnmfError
from .manifest import Row
from .mixing import without_silence

LONGEST_HELD_SECONDS = 60.0
"""Longer recordings are read in part, each time; shorter ones are decoded once and held, as far as memory allows."""
HELD_BYTES = 2**30
WEIGHT_SECONDS = 40.0
"""A recording is drawn by its length, but as if none were longer than this."""


class Excerpts:
    """Draw excerpts of speech and of noise.

    Parameters
    ----------
    rows : list of Row
        Mixtures; of a recorded pair, the noise is the difference.
    rate_hz : int
        Sampling rate of the excerpts.
    """

    def __init__(self, rows: list[Row], rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._held: dict[tuple[str, ...], np.ndarray] = {}
        self._held_bytes = 0
        speakers = {row.speech: row.speaker for row in rows}
        self._speech = sorted(speakers)
        self._of_speaker: dict[str, list[str]] = {}
        for path in self._speech:
            self._of_speaker.setdefault(speakers[path] or path, []).append(path)
        self._speaker = {path: speakers[path] or path for path in self._speech}
        self._speech_odds = _odds(self._speech)
        noises = {(row.noise,) if row.noise else (str(row.noisy), row.speech): row.noise_type for row in rows}
        self._of_type: dict[str, list[tuple[str, ...]]] = {}
        for files in sorted(noises):
            self._of_type.setdefault(noises[files], []).append(files)
        self._types = sorted(self._of_type)

    def speech(self, samples: int, longest_pause: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of one speaker: an excerpt of an utterance, or several with pauses between."""
        path = self._speech[rng.choice(len(self._speech), p=self._speech_odds)]
        parts = [self._excerpt((path,), samples, rng)]
        while (missing := samples - sum(map(len, parts))) > 0:
            others = self._of_speaker[self._speaker[path]]
            pause = np.zeros(rng.integers(longest_pause), np.float32)
            parts += [pause, self._excerpt((others[rng.integers(len(others))],), missing, rng)]
        return np.concatenate(parts)[:samples]

    def noise(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of a recording of noise, all types being as likely; a short one goes round and round."""
        recordings = self._of_type[self._types[rng.integers(len(self._types))]]
        files = recordings[rng.integers(len(recordings))]
        found = without_silence(self._excerpt(files, samples, rng), self._rate_hz)
        if not len(found):
            raise DeepnmfError(f"{files[0]}: the noise is silent")
        return np.take(found, np.arange(samples), mode="wrap")

    def _excerpt(self, files: tuple[str, ...], samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return up to `samples` from somewhere in a recording, or in the difference of two."""
        share = rng.random()
        if files not in self._held and duration_seconds(Path(files[0])) > LONGEST_HELD_SECONDS:
            return _difference([_read_part(Path(file), share, samples, self._rate_hz) for file in files])
        whole = self._whole(files)
        start = int(share * max(0, len(whole) - samples + 1))
        return np.asarray(whole[start : start + samples], np.float32)

    def _whole(self, files: tuple[str, ...]) -> np.ndarray:
        if files not in self._held:
            whole = _difference([read_mono(Path(file), self._rate_hz) for file in files]).astype(np.float16)
            if self._held_bytes + whole.nbytes > HELD_BYTES:
                return whole
            self._held[files] = whole
            self._held_bytes += whole.nbytes
        return self._held[files]


def _odds(paths: list[str]) -> np.ndarray:
    """Return how likely each recording is to be drawn."""
    weights = np.array([min(duration_seconds(Path(path)), WEIGHT_SECONDS) for path in paths])
    return weights / weights.sum()


def _difference(signals: list[np.ndarray]) -> np.ndarray:
    if len({len(signal) for signal in signals}) > 1:
        raise DeepnmfError("a noisy recording and its clean one differ in length")
    return signals[0] - signals[1] if len(signals) > 1 else signals[0]


def _read_part(path: Path, share: float, samples: int, rate_hz: int) -> np.ndarray:
    """Return up to `samples` at `rate_hz` of a recording, mono, from `share` of where they can start."""
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            wanted = -(-samples * file.samplerate // rate_hz)
            file.seek(int(share * max(0, file.frames - wanted)))
            found = file.read(wanted, dtype="float32", always_2d=True)
            return resample(found.mean(axis=1), file.samplerate, rate_hz)[:samples]
    except (soundfile.SoundFileError, OSError) as error:
        raise unreadable(path, error) from None
