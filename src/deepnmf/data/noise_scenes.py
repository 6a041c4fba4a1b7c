"""Noise of a training segment: stationary sounds, several at once, babble, and bursts at their own level.

Recordings of noise are few, so some sounds are new ones: two recordings crossed, synthetic events, random resonances
and fluctuations.
"""

from __future__ import annotations

import numpy as np

from .babble import Babble
from .channels import resonances
from .cross_synthesis import crossed
from .excerpts import ExcerptSampler
from .sound_events import sound_events
from .synthetic_sounds import slow_gain
from .waveforms import at_level, at_some_speed, faded, log_uniform, unit_power

SPEED_SHARE, NOISE_SPEED = 0.4, (0.6, 1.7)
"""Share of recordings played at another speed, and the bounds of the factor: varies the size of the source."""
REVERSED_SHARE = 0.25
"""Share of recordings that are time-reversed, which gives other onsets and decays."""
SECOND_NOISE_SHARE, SECOND_NOISE_DB = 0.3, (-12.0, 0.0)
EVENTS_SHARE, EVENTS_DB = 0.25, (0.0, 20.0)
"""Share of segments with bursts over the noise, and the level of a burst above the noise."""
BABBLE_SHARE = 0.1
"""Share of babble among the sounds."""
CROSSED_SHARE = 0.15
"""Share of sounds with the texture of one recording and the envelope of another sound."""
RESONANT_SHARE = 0.25
"""Share of sounds with random resonances."""
FLUCTUATING_SHARE, FLUCTUATIONS_HZ, FLUCTUATIONS_DB = 0.15, (0.3, 12.0), (2.0, 8.0)
"""Share of sounds whose level fluctuates at random, the bounds of the rate, and of the standard deviation."""
SYNTHETIC_SHARE, SYNTHETIC_BURSTS_SHARE = 0.05, 0.25
"""Share of synthetic events over a stationary sound among the sounds, and that among the bursts over the noise."""
LOOPED_SHARE = 0.3
"""Share of the recordings shorter than a segment that are looped; others are bursts over a stationary sound."""
BED_DB = (-35.0, 0.0)
"""Level of the stationary sound under a burst."""
STEADY_SEGMENTS = 0.9
"""A recording at least this long, in segments, counts as stationary."""
BED_ATTEMPTS = 10
ALREADY_SOUNDING_SHARE = 0.3
"""Share of bursts that began before the segment."""
GAP_SECONDS = (0.1, 1.5)
"""Bounds of the mean gap between the bursts of a segment."""
BURST_DB = (-6.0, 0.0)
"""Spread of the burst levels in a segment."""
BURST_SHARE = (0.1, 0.5)
"""Length of a burst cut from a longer recording, in segments."""
FADE_SECONDS = 0.01


class NoiseScenes:
    """Draw the noise of segments.

    Parameters
    ----------
    excerpts : ExcerptSampler
        Recordings of noise.
    babble : Babble
        Babble of the training speakers.
    samples : int
        Length of a segment.
    rate_hz : int
        Sampling rate.
    """

    def __init__(self, excerpts: ExcerptSampler, babble: Babble, samples: int, rate_hz: int) -> None:
        self._excerpts = excerpts
        self._babble = babble
        self._samples = samples
        self._rate_hz = rate_hz

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return the noise ``(samples,)`` of a segment at unit power.

        Raises
        ------
        DeepnmfError
            If the recording that was drawn is silent or cannot be read.
        """
        noise = self._sound(rng)
        if rng.random() < SECOND_NOISE_SHARE:
            noise = noise + at_level(self._sound(rng), rng.uniform(*SECOND_NOISE_DB))
        if rng.random() < EVENTS_SHARE:
            noise = noise + at_level(self._events(rng), rng.uniform(*EVENTS_DB))
        return unit_power(noise)

    def _events(self, rng: np.random.Generator) -> np.ndarray:
        """Return bursts ``(samples,)`` of a recording or synthetic ones, with silence between."""
        if rng.random() < SYNTHETIC_BURSTS_SHARE:
            return sound_events(self._samples, self._rate_hz, rng)
        return self._bursts(unit_power(self._recording(rng)), rng)

    def _recording(self, rng: np.random.Generator) -> np.ndarray:
        """Return up to a segment of one recording."""
        found = at_some_speed(
            lambda n: self._excerpts.noise(n, rng), self._samples, self._rate_hz, SPEED_SHARE, NOISE_SPEED, rng
        )
        found = found[: self._samples]
        return found[::-1] if rng.random() < REVERSED_SHARE else found

    def _sound(self, rng: np.random.Generator) -> np.ndarray:
        """Return one sound ``(samples,)``, as it is, or crossed, with resonances, or fluctuating."""
        sound = self._plain(rng)
        if rng.random() < CROSSED_SHARE:
            sound = crossed(self._looped(self._recording(rng)), sound, self._rate_hz, rng)
        if rng.random() < RESONANT_SHARE:
            sound = resonances(sound, self._rate_hz, rng)
        if rng.random() < FLUCTUATING_SHARE:
            hertz, decibels = log_uniform(FLUCTUATIONS_HZ, rng), rng.uniform(*FLUCTUATIONS_DB)
            sound = sound * slow_gain(rng, self._samples, self._rate_hz, hertz, decibels).astype(np.float32)
        return sound

    def _plain(self, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of babble, a stationary or looped recording, or events over a stationary one."""
        if rng.random() < BABBLE_SHARE and self._babble.possible:
            return self._babble.draw(rng)
        if rng.random() < SYNTHETIC_SHARE:
            return sound_events(self._samples, self._rate_hz, rng) + at_level(self._bed(rng), rng.uniform(*BED_DB))
        found = self._recording(rng)
        if self._is_steady(found) or rng.random() < LOOPED_SHARE:
            return self._looped(found)
        return self._bursts(unit_power(found), rng) + at_level(self._bed(rng), rng.uniform(*BED_DB))

    def _is_steady(self, found: np.ndarray) -> bool:
        return len(found) >= STEADY_SEGMENTS * self._samples

    def _looped(self, found: np.ndarray) -> np.ndarray:
        return unit_power(np.take(found, np.arange(self._samples), mode="wrap"))

    def _bed(self, rng: np.random.Generator) -> np.ndarray:
        """Return a background for bursts, a stationary sound if a few draws find one."""
        found = self._recording(rng)
        for _ in range(BED_ATTEMPTS):
            if self._is_steady(found):
                break
            found = self._recording(rng)
        return self._looped(found)

    def _bursts(self, burst: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return ``(samples,)`` of silence with a burst, once or repeated after gaps."""
        burst = self._shortened(burst, rng)
        out = np.zeros(self._samples, np.float32)
        sounding = rng.random() < ALREADY_SOUNDING_SHARE
        at = -int(rng.uniform(0, 0.5) * len(burst)) if sounding else int(rng.random() * self._samples)
        gap = rng.uniform(*GAP_SECONDS) * self._rate_hz
        while at < self._samples:
            begin = max(at, 0)
            part = burst[begin - at :][: self._samples - begin]
            out[begin : begin + len(part)] += at_level(part, rng.uniform(*BURST_DB))
            at += len(burst) + int(rng.exponential(gap)) + 1
        return out

    def _shortened(self, burst: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a burst unchanged, or a piece of a longer recording, faded in and out."""
        if len(burst) <= BURST_SHARE[1] * self._samples:
            return burst
        length = max(1, int(rng.uniform(*BURST_SHARE) * self._samples))
        start = rng.integers(len(burst) - length + 1)
        return faded(burst[start : start + length], int(FADE_SECONDS * self._rate_hz))
