"""Babble: several training voices at once, near and far, most often in a room."""

from __future__ import annotations

import numpy as np

from .excerpts import ExcerptSampler
from .rooms import Rooms, convolved
from .waveforms import at_level, at_some_speed, log_uniform, unit_power

VOICES = (3, 17)
"""Bounds of the number of voices; its logarithm is uniform."""
PAUSE_SECONDS = 0.5
SPEED_SHARE, VOICE_SPEED = 0.4, (0.8, 1.25)
"""Share of voices at another speed, and the bounds of the factor."""
LEVEL_SPREAD_DB = 5.0
"""Standard deviation of the level of a voice."""
ROOM_SHARE, DIRECT_DB = 0.7, (-15.0, 0.0)
"""Share of babble in rooms, and the attenuation of the direct sound, as the voices are far."""
LEAST_SPEAKERS = 20
"""With fewer speakers in the corpus there is no babble: it would be of the wanted voice itself."""


class Babble:
    """Draw babble from the speech of a corpus.

    Parameters
    ----------
    excerpts : ExcerptSampler
        Recordings of speech.
    rooms : Rooms
        Where the voices are.
    samples : int
        Length of a segment.
    rate_hz : int
        Sampling rate.
    """

    def __init__(self, excerpts: ExcerptSampler, rooms: Rooms, samples: int, rate_hz: int) -> None:
        self._excerpts = excerpts
        self._rooms = rooms
        self._samples = samples
        self._rate_hz = rate_hz

    @property
    def possible(self) -> bool:
        """Whether there are speakers enough."""
        return self._excerpts.speakers >= LEAST_SPEAKERS

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return babble ``(samples,)`` at unit power."""
        count = int(log_uniform(VOICES, rng))
        voices = [at_level(self._voice(rng), rng.normal(0, LEVEL_SPREAD_DB)) for _ in range(count)]
        babble = np.stack(voices).sum(axis=0)
        return unit_power(self._in_room(babble, rng) if rng.random() < ROOM_SHARE else babble)

    def _voice(self, rng: np.random.Generator) -> np.ndarray:
        longest_pause = int(PAUSE_SECONDS * self._rate_hz)
        voice = at_some_speed(
            lambda n: self._excerpts.speech(n, longest_pause, rng),
            self._samples,
            self._rate_hz,
            SPEED_SHARE,
            VOICE_SPEED,
            rng,
        )
        return unit_power(np.pad(voice, (0, max(0, self._samples - len(voice))))[: self._samples])

    def _in_room(self, babble: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        room = self._rooms.draw(rng)
        response = room.late.copy()
        response[: len(room.early)] += at_level(room.early, rng.uniform(*DIRECT_DB))[: len(response)]
        return convolved(babble, response)
