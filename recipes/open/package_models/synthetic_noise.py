"""Synthetic noise: functions of a random generator, one clip per call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from deepnmf.data import synthetic_sounds

RATE_HZ = 16000

Speakers = dict[str, list[Path]]
"""Recordings of each speaker that babble is mixed from."""
Maker = Callable[[np.random.Generator, int, Speakers], np.ndarray]
"""From a random generator, a number of samples, and speakers, to that many samples, at any level."""


def coloured(rng: np.random.Generator, samples: int, slope_db: float | None = None) -> np.ndarray:
    """Return stationary noise that falls by `slope_db` an octave; drawn from 0 to 9 dB by default."""
    return synthetic_sounds.coloured(rng, samples, RATE_HZ, rng.uniform(0, 9) if slope_db is None else slope_db)


def envelope(rng: np.random.Generator, samples: int, hertz: float, depth_db: float) -> np.ndarray:
    """Return a slow random gain that changes about `hertz` times a second with a standard deviation of `depth_db`."""
    return synthetic_sounds.slow_gain(rng, samples, RATE_HZ, hertz, depth_db)


def reverberant(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """Return a sound at a distance in a room: mostly its diffuse field, with less treble than the source."""
    decay_s = rng.uniform(0.3, 1.2)
    t = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    room = coloured(rng, len(t), rng.uniform(1, 3)) * 10 ** (-3 * t / decay_s)
    direct = rng.uniform(0, 1)
    return direct * unit(sound) + unit(fftconvolve(sound, room)[: len(sound)])


def modulated(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return noise whose level fluctuates, from once in a few seconds to several times a second."""
    noise = coloured(rng, samples) * envelope(rng, samples, 10 ** rng.uniform(-0.5, 1), rng.uniform(3, 8))
    return noise + 0.3 * coloured(rng, samples)


def machine(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return noise pulsing at the rate of an engine, with the harmonics of its rotation."""
    t = np.arange(samples) / RATE_HZ
    base = rng.uniform(15, 120) * (1 + 0.03 * np.log(envelope(rng, samples, 0.5, 6)))
    phase = 2 * np.pi * np.cumsum(base) / RATE_HZ
    tones = harmonics(rng, phase, 0.7)
    pulses = (0.6 + 0.4 * np.sin(phase / 2)) * coloured(rng, samples, rng.uniform(2, 6))
    return unit(tones) * rng.uniform(0.2, 1) + unit(pulses) * (1 + 0.1 * np.sin(0.3 * t))


def harmonics(rng: np.random.Generator, phase: np.ndarray, fall: float) -> np.ndarray:
    """Return 24 harmonics at random levels, the k-th about ``k**-fall``, of a fundamental with this phase."""
    return sum(rng.uniform(0, 1) / k**fall * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 25))


def fan(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return the rush of air and the steady whine of dryers, vacuum cleaners and ventilation."""
    base = rng.uniform(60, 450) * (1 + 0.002 * np.log(envelope(rng, samples, 0.3, 6)))
    whine = harmonics(rng, 2 * np.pi * np.cumsum(base) / RATE_HZ, rng.uniform(0.3, 1.2))
    air = coloured(rng, samples, rng.uniform(1, 6)) * envelope(rng, samples, 0.3, 1)
    return unit(air) + unit(whine) * rng.uniform(0, 0.7)


def hum(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return mains hum with harmonics, a few steady tones and hiss."""
    t = np.arange(samples) / RATE_HZ
    mains = rng.choice([50.0, 60.0])
    tones = sum(
        rng.exponential(1 / k**0.5) * np.sin(2 * np.pi * k * mains * t + rng.uniform(0, 6)) for k in range(1, 20)
    )
    beeps = sum(np.sin(2 * np.pi * rng.uniform(300, 5000) * t) * rng.uniform(0, 0.3) for _ in range(3))
    return unit(tones + beeps * envelope(rng, samples, 1, 6)) + rng.uniform(0.1, 1) * unit(coloured(rng, samples))


def impulses(rng: np.random.Generator, samples: int, low_hertz: float, high_hertz: float, decay_s: float) -> np.ndarray:
    """Return decaying resonances at random times, on a bed of faint noise."""
    out = 0.02 * unit(coloured(rng, samples))
    length = int(6 * decay_s * RATE_HZ)
    t = np.arange(length) / RATE_HZ
    rate = 10 ** rng.uniform(0, 1.1)
    for start in np.flatnonzero(rng.random(samples) < rate / RATE_HZ):
        ring = np.sin(2 * np.pi * rng.uniform(low_hertz, high_hertz) * t) + 0.7 * rng.standard_normal(length)
        hit = ring * np.exp(-t / (decay_s * rng.uniform(0.3, 1.5))) * rng.exponential(1)
        out[start : start + length] += hit[: samples - start]
    return out


def keyboard(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return short bright clicks, as of keys and switches."""
    return impulses(rng, samples, 1500, 6000, 0.006)


def knocks(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return lower, longer blows, as of doors, dishes, steps and hammers."""
    return impulses(rng, samples, 100, 3000, 0.05)


def wind(rng: np.random.Generator, samples: int, _: Speakers) -> np.ndarray:
    """Return gusts of low rumble."""
    gusts = envelope(rng, samples, 0.7, 7) * envelope(rng, samples, 6, 2)
    return coloured(rng, samples, rng.uniform(8, 14)) * gusts


def street(rng: np.random.Generator, samples: int, speakers: Speakers) -> np.ndarray:
    """Return traffic: a bed of far vehicles, some that pass by, now and then people."""
    t = np.arange(samples) / RATE_HZ
    out = unit(coloured(rng, samples, rng.uniform(3, 7)) * envelope(rng, samples, 0.3, 3))
    for _ in range(rng.integers(2, 9)):
        passing = rng.uniform(0, 3) / (1 + ((t - rng.uniform(0, t[-1])) / rng.uniform(0.5, 3)) ** 2)
        tyres = unit(coloured(rng, samples, rng.uniform(0, 4)))
        out += passing * (tyres + rng.uniform(0, 1.5) * unit(machine(rng, samples, speakers)))
    return out + rng.uniform(0, 0.4) * unit(crowd(rng, samples, speakers))


def babble(rng: np.random.Generator, samples: int, speakers: Speakers, voices: int) -> np.ndarray:
    """Return several training speakers talking at once, each at a level and a distance of its own."""
    total = np.zeros(samples)
    for name in rng.choice(sorted(speakers), voices, replace=voices > len(speakers)):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < samples:
            path = speakers[name][rng.integers(len(speakers[name]))]
            parts.append(soundfile.read(path)[0])
        talk = np.roll(np.concatenate(parts)[:samples], rng.integers(samples))
        total += unit(talk) * 10 ** (rng.uniform(-8, 0) / 20)
    return total


def crowd(rng: np.random.Generator, samples: int, speakers: Speakers) -> np.ndarray:
    """Return many people in a room or a square, with no one near."""
    groups = [reverberant(rng, babble(rng, samples, speakers, int(rng.integers(4, 14)))) for _ in range(2)]
    return unit(sum(groups)) + rng.uniform(0, 0.4) * unit(coloured(rng, samples, rng.uniform(2, 7)))


def restaurant(rng: np.random.Generator, samples: int, speakers: Speakers) -> np.ndarray:
    """Return guests, dishes and ventilation."""
    dishes = impulses(rng, samples, 1500, 7000, rng.uniform(0.02, 0.1)) + 0.5 * unit(knocks(rng, samples, speakers))
    talk = unit(crowd(rng, samples, speakers)) * envelope(rng, samples, 0.3, 2)
    return talk + rng.uniform(0.1, 0.8) * unit(reverberant(rng, dishes))


def office(rng: np.random.Generator, samples: int, speakers: Speakers) -> np.ndarray:
    """Return ventilation, keys and colleagues far away."""
    air = unit(fan(rng, samples, speakers))
    talk = unit(reverberant(rng, babble(rng, samples, speakers, int(rng.integers(3, 7)))))
    keys = unit(reverberant(rng, keyboard(rng, samples, speakers)))
    return air + rng.uniform(0, 1) * talk + rng.uniform(0, 1) * keys


def unit(samples: np.ndarray) -> np.ndarray:
    """Return samples at unit power, or silence."""
    return samples / max(float(np.sqrt(np.square(samples).mean())), 1e-12)


MAKERS: dict[str, tuple[Maker, int]] = {
    "made-coloured": (lambda rng, samples, _: coloured(rng, samples), 8),
    "made-modulated": (modulated, 8),
    "made-machine": (machine, 8),
    "made-fan": (fan, 16),
    "made-hum": (hum, 4),
    "made-keyboard": (keyboard, 4),
    "made-knocks": (knocks, 4),
    "made-wind": (wind, 6),
    "made-street": (street, 16),
    "made-babble-3": (lambda *given: babble(*given, voices=3), 8),
    "made-babble-5": (lambda *given: babble(*given, voices=5), 8),
    "made-babble-8": (lambda *given: babble(*given, voices=8), 8),
    "made-crowd": (crowd, 24),
    "made-restaurant": (restaurant, 24),
    "made-office": (office, 16),
}
"""Noise type: how it is made, and the number of clips."""
