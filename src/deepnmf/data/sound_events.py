"""Synthetic sound events: objects that are struck, creaks, calls, crackle, rumbles, alarms, rubbing, bubbles.

Parameters are drawn far beyond the realistic range: an enhancer should remove unfamiliar sounds, too. A source draws
its material once; its events then differ as two strokes on one dish do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .rooms import convolved
from .synthetic_sounds import coloured, damped_modes, harmonics, slow_gain
from .waveforms import at_level, faded, log_uniform

Event = Callable[[], np.ndarray]
"""Returns an event ``(samples,)`` at any level."""
Source = Callable[[int, np.random.Generator], Event]
"""From a sampling rate and a random generator to the events of one thing or creature."""

VARIANTS, MOST_SOURCES = 4, 3
"""Different events in a segment, which recur, and the most sources of one kind that give them."""
GAP_SECONDS = (0.02, 1.2)
"""Bounds of the mean gap between events."""
REGULAR_SHARE, REGULAR_JITTER = 0.3, 0.08
"""Share of segments with equal gaps, as of ticks and bells, and the standard deviation of these gaps."""
CLUSTERING = 0.6
"""Exponent of the Weibull distribution of other gaps; below 1, events come in clusters with pauses between."""
SPREAD_DB = (0.0, 12.0)
"""Bounds of the spread of the levels of a segment's events."""
FADE_SECONDS = 0.003
TOP = 0.45
"""Highest fundamental, relative to the sampling rate."""
LATEST_START = 0.5
"""Latest start of the first event, in segments."""
BLOCK_SECONDS = 0.02
"""Length of the blocks whose loudest gets unit power."""


def sound_events(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return events of one kind ``(samples,)``, float32, whose loudest 20 ms have unit power; silence between."""
    source = SOURCES[int(rng.integers(len(SOURCES)))]
    events = [source(rate_hz, rng) for _ in range(int(rng.integers(1, MOST_SOURCES + 1)))]
    variants = [faded(events[number % len(events)](), int(FADE_SECONDS * rate_hz)) for number in range(VARIANTS)]
    gap_seconds, spread_db = log_uniform(GAP_SECONDS, rng), rng.uniform(*SPREAD_DB)
    regular, held = rng.random() < REGULAR_SHARE, rng.random()
    out = np.zeros(samples)
    at = int(rng.uniform(-0.5 * len(variants[0]), LATEST_START * samples))
    while at < samples:
        chosen = variants[int(rng.integers(VARIANTS))]
        begin = max(at, 0)
        part = chosen[begin - at :][: samples - begin]
        out[begin : begin + len(part)] += at_level(part, -rng.uniform(0, spread_db))
        gap = max(0, rng.normal(1, REGULAR_JITTER)) if regular else rng.weibull(CLUSTERING)
        at += int(held * len(chosen) + gap * gap_seconds * rate_hz) + 1
    return _at_loudest(out, int(BLOCK_SECONDS * rate_hz))


def _at_loudest(samples: np.ndarray, block: int) -> np.ndarray:
    powers = np.add.reduceat(np.square(samples), np.arange(0, len(samples), block)) / block
    return (samples / np.sqrt(max(powers.max(), np.finfo(np.float32).tiny))).astype(np.float32)


def struck(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return blows on an object, from wood to bells: inharmonic modes and the noise of the contact."""
    count = int(rng.integers(3, 30))
    ratios = np.concatenate([[1], np.exp(rng.uniform(0, np.log(12), count - 1))])
    hertz = _hertz(60, 4000, rate_hz, rng) * ratios
    decays = log_uniform((0.008, 0.6), rng) * ratios ** -rng.uniform(0, 1.2)
    contact = log_uniform((0.0001, 0.004), rng)
    body = rng.exponential(size=count) * ratios ** -rng.uniform(0, 1.5) * np.exp(-hertz * contact)
    length, click = _whole(min(1.5, 5 * decays[0] + 0.02) * rate_hz), rng.uniform(0, 1)

    def blow() -> np.ndarray:
        ring = damped_modes(hertz, decays, body * _phasors(count, rng), length, rate_hz)
        seconds = np.arange(length) / rate_hz
        noise = rng.standard_normal(length) * np.exp(-seconds / contact) * np.abs(ring).max()
        return (ring + click * noise) * np.minimum(1, seconds / contact)

    return blow


def creak(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return creaks of doors, ships and chairs: pulses of stick and slip, at a rate that glides, through modes."""
    count = int(rng.integers(3, 14))
    hertz, decays = _spread_hertz(150, 5000, count, rate_hz, rng), rng.uniform(0.001, 0.02, count)
    response = damped_modes(hertz, decays, _phasors(count, rng), _whole(0.08 * rate_hz), rate_hz)
    pulses_hz, jitter, uneven = log_uniform((8, 250), rng), rng.uniform(0, 0.3), rng.uniform(0, 0.8)

    def creaking() -> np.ndarray:
        samples = _whole(rng.uniform(0.15, 1.5) * rate_hz)
        glide = slow_gain(rng, samples, rate_hz, rng.uniform(1, 6), 4) * np.exp(np.linspace(0, rng.normal(), samples))
        turns = np.cumsum(pulses_hz * glide) / rate_hz
        at = np.flatnonzero(np.diff(np.floor(turns), prepend=-1))
        at = (at + jitter * rate_hz / pulses_hz * rng.standard_normal(len(at))).astype(int).clip(0, samples - 1)
        pulses = np.zeros(samples)
        pulses[at] = np.exp(uneven * rng.standard_normal(len(at)))
        return convolved(pulses * _arch(samples, rng), response)

    return creaking


def call(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return calls of owls, birds, dogs: a harmonic tone that sweeps and trills, breathy or rough."""
    hertz, seconds = _hertz(180, 5500, rate_hz, rng), log_uniform((0.05, 1.0), rng)
    weights = _phasors(12, rng) * rng.uniform(0, 1, 12) * np.arange(1, 13) ** -rng.uniform(0, 3)
    arch, slide = rng.normal(0, 0.4, 2)
    trill_hz, trill = log_uniform((4, 45), rng), rng.choice([0, log_uniform((0.01, 0.3), rng)])
    rough_hz, rough = log_uniform((20, 120), rng), rng.choice([0, 0, rng.uniform(0, 1)])
    breath = log_uniform((0.003, 0.5), rng)

    def calling() -> np.ndarray:
        samples = _whole(seconds * rng.uniform(0.7, 1.3) * rate_hz)
        place, turns = np.linspace(0, 1, samples), np.arange(samples) / rate_hz
        bend = arch * np.sin(np.pi * place) + slide * place + trill * np.sin(2 * np.pi * trill_hz * turns)
        tone = harmonics(hertz * rng.uniform(0.93, 1.07) * np.exp(bend), weights, rate_hz)
        tone *= 1 - rough * (0.5 + 0.5 * np.sin(2 * np.pi * rough_hz * turns))
        return (tone + breath * tone.std() * rng.standard_normal(samples)) * _arch(samples, rng)

    return calling


def crackle(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return snaps of fire, foil and rain on plastic: short resonances of very uneven level at random times."""
    hertz, decays = _spread_hertz(300, 7000, 6, rate_hz, rng), rng.uniform(0.0003, 0.006, 6)
    response = damped_modes(hertz, decays, _phasors(6, rng), _whole(0.03 * rate_hz), rate_hz)
    snaps_hz, uneven = log_uniform((3, 150), rng), rng.uniform(0.5, 1.8)

    def crackling() -> np.ndarray:
        samples = _whole(rng.uniform(0.3, 2) * rate_hz)
        snaps = np.zeros(samples)
        at = rng.integers(samples, size=1 + rng.poisson(snaps_hz * samples / rate_hz))
        snaps[at] = rng.choice([-1, 1], len(at)) * np.exp(uneven * rng.standard_normal(len(at)))
        return convolved(snaps, response)

    return crackling


def rumble(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return thunder and thuds: bursts of low noise, sudden or slow, with a long decay."""
    slope_db, attack, decay = rng.uniform(5, 16), log_uniform((0.002, 0.4), rng), log_uniform((0.08, 1.2), rng)
    depth_db = rng.uniform(0, 8)

    def rumbling() -> np.ndarray:
        samples = _whole(min(2, attack + 4 * decay) * rate_hz)
        seconds = np.arange(samples) / rate_hz
        swell = (1 - np.exp(-seconds / attack)) * np.exp(-seconds / decay)
        return coloured(rng, samples, rate_hz, slope_db) * swell * slow_gain(rng, samples, rate_hz, 8, depth_db)

    return rumbling


def alarm(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return sirens, beeps and ring tones: a tone that alternates or sweeps, on and off."""
    hertz, interval = _hertz(250, 3500, rate_hz, rng), rng.choice([0, rng.uniform(0, 1)])
    weights = _phasors(10, rng) * np.arange(1, 11) ** -rng.uniform(0.5, 4)
    weights[1::2] *= rng.choice([0, 1])  # without even harmonics, a square wave
    sweeps_hz, steep = log_uniform((0.15, 15), rng), log_uniform((0.5, 30), rng)
    beeps_hz, held = log_uniform((0.5, 20), rng), rng.choice([-1, rng.uniform(-0.8, 0.5)])
    seconds = rng.uniform(0.1, 2)

    def sounding() -> np.ndarray:
        turns = np.arange(_whole(seconds * rate_hz)) / rate_hz
        sweep = np.tanh(steep * np.sin(2 * np.pi * sweeps_hz * turns))
        beeps = 1 / (1 + np.exp(-40 * (np.cos(2 * np.pi * beeps_hz * turns) - held)))
        return harmonics(hertz * np.exp(interval * sweep / 2), weights, rate_hz) * beeps

    return sounding


def rubbing(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return strokes of brushes, cloth, paper and sandpaper: noise with a grain, in swells."""
    slope_db, seconds = rng.uniform(-5, 5), log_uniform((0.05, 0.9), rng)
    grain_hz, depth_db = log_uniform((5, 300), rng), rng.uniform(0, 10)

    def stroke() -> np.ndarray:
        samples = _whole(seconds * rng.uniform(0.6, 1.4) * rate_hz)
        grain = slow_gain(rng, samples, rate_hz, grain_hz, depth_db)
        return coloured(rng, samples, rate_hz, slope_db) * grain * _arch(samples, rng)

    return stroke


def bubble(rate_hz: int, rng: np.random.Generator) -> Event:
    """Return drops and bubbles: damped tones that rise."""
    hertz, decay, rise = _hertz(200, 5000, rate_hz, rng), log_uniform((0.003, 0.06), rng), rng.exponential(0.3)

    def drop() -> np.ndarray:
        seconds = np.arange(_whole(6 * decay * rate_hz)) / rate_hz
        pitch = hertz * np.exp(rng.normal(0, 0.3)) * (1 + rise * seconds / decay)
        return harmonics(pitch, np.ones(1), rate_hz) * np.exp(-seconds / decay)

    return drop


SOURCES: tuple[Source, ...] = (struck, creak, call, crackle, rumble, alarm, rubbing, bubble)
"""All kinds of sources, equally likely."""


def _whole(samples: float) -> int:
    """Return a length as a multiple of 128, at least that: transforms of other lengths can take ten times as long."""
    return 128 * max(1, round(samples / 128))


def _hertz(low: float, high: float, rate_hz: int, rng: np.random.Generator) -> float:
    """Return a frequency between two, or lower where the sampling rate is low."""
    return log_uniform((min(low, TOP * rate_hz / 4), min(high, TOP * rate_hz)), rng)


def _spread_hertz(low: float, high: float, count: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return several such frequencies ``(count,)``."""
    return np.array([_hertz(low, high, rate_hz, rng) for _ in range(count)])


def _phasors(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return complex amplitudes ``(count,)`` with random phases and levels."""
    return rng.exponential(size=count) * np.exp(2j * np.pi * rng.random(count))


def _arch(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return gains ``(samples,)`` that rise from 0 and fall to 0, with a random place of the top."""
    place = np.linspace(0, 1, samples)
    return np.asarray(place ** rng.uniform(0.2, 2) * (1 - place) ** rng.uniform(0.2, 2))
