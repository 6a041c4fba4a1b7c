"""Build the corpus of the shipped model: the rows of the manifest that may ship, and noise that is made here.

    python recipes/open/ship_corpus.py --data ../shared/data -o exp/ship/corpus

Training noise is what the manifest marks ``ship = yes`` plus babble, coloured, modulated, tonal, impulsive and
wind-like noise by seed. Dev is the shared dev split: it chooses, and nothing is trained on it.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16000
CLIP_SECONDS = 30
PEAK = 0.5

Maker = Callable[[np.random.Generator, int], np.ndarray]
"""From a random generator and a number of samples to that many samples, at any level."""


def coloured(rng: np.random.Generator, samples: int, slope_db: float | None = None) -> np.ndarray:
    """Return stationary noise that falls by `slope_db` an octave above 50 Hz; drawn from 0 to 9 dB by default."""
    slope_db = rng.uniform(0, 9) if slope_db is None else slope_db
    hertz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    gain = (np.maximum(hertz, 50) / 50) ** (-slope_db / (20 * np.log10(2)))
    bumps = sum(rng.uniform(-1, 1) * np.cos(k * np.pi * hertz / hertz[-1] + rng.uniform(0, 6)) for k in range(1, 8))
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * gain * 10 ** (4 * bumps / 20)
    return np.fft.irfft(spectrum, samples)


def envelope(rng: np.random.Generator, samples: int, hertz: float, depth_db: float) -> np.ndarray:
    """Return a slow random gain that changes about `hertz` times a second with a standard deviation of `depth_db`."""
    knots = rng.standard_normal(int(samples / RATE_HZ * hertz * 2) + 3)
    at = np.linspace(0, len(knots) - 1, samples)
    return 10 ** (depth_db * np.interp(at, np.arange(len(knots)), knots) / 20)


def modulated(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return noise whose level comes and goes, from once in a few seconds to several times a second."""
    noise = coloured(rng, samples) * envelope(rng, samples, 10 ** rng.uniform(-0.5, 1), rng.uniform(3, 8))
    return noise + 0.3 * coloured(rng, samples)


def machine(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return noise pulsing at the rate of an engine, with the harmonics of its rotation."""
    t = np.arange(samples) / RATE_HZ
    base = rng.uniform(15, 120) * (1 + 0.03 * np.log(envelope(rng, samples, 0.5, 6)))
    phase = 2 * np.pi * np.cumsum(base) / RATE_HZ
    tones = sum(rng.uniform(0, 1) / k**0.7 * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 25))
    pulses = (0.6 + 0.4 * np.sin(phase / 2)) * coloured(rng, samples, rng.uniform(2, 6))
    return _unit(tones) * rng.uniform(0.2, 1) + _unit(pulses) * (1 + 0.1 * np.sin(0.3 * t))


def hum(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return mains hum with harmonics, a few steady tones and hiss."""
    t = np.arange(samples) / RATE_HZ
    mains = rng.choice([50.0, 60.0])
    tones = sum(
        rng.exponential(1 / k**0.5) * np.sin(2 * np.pi * k * mains * t + rng.uniform(0, 6)) for k in range(1, 20)
    )
    beeps = sum(np.sin(2 * np.pi * rng.uniform(300, 5000) * t) * rng.uniform(0, 0.3) for _ in range(3))
    return _unit(tones + beeps * envelope(rng, samples, 1, 6)) + rng.uniform(0.1, 1) * _unit(coloured(rng, samples))


def impulses(rng: np.random.Generator, samples: int, low_hertz: float, high_hertz: float, decay_s: float) -> np.ndarray:
    """Return decaying resonances at random times, on a bed of faint noise."""
    out = 0.02 * _unit(coloured(rng, samples))
    length = int(6 * decay_s * RATE_HZ)
    t = np.arange(length) / RATE_HZ
    rate = 10 ** rng.uniform(0, 1.1)
    for start in np.flatnonzero(rng.random(samples) < rate / RATE_HZ):
        ring = np.sin(2 * np.pi * rng.uniform(low_hertz, high_hertz) * t) + 0.7 * rng.standard_normal(length)
        hit = ring * np.exp(-t / (decay_s * rng.uniform(0.3, 1.5))) * rng.exponential(1)
        out[start : start + length] += hit[: samples - start]
    return out


def keyboard(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return short bright clicks, as of keys and switches."""
    return impulses(rng, samples, 1500, 6000, 0.006)


def knocks(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return lower, longer blows, as of doors, dishes, steps and hammers."""
    return impulses(rng, samples, 100, 3000, 0.05)


def wind(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return gusts of low rumble."""
    gusts = envelope(rng, samples, 0.7, 7) * envelope(rng, samples, 6, 2)
    return coloured(rng, samples, rng.uniform(8, 14)) * gusts


MAKERS: dict[str, tuple[Maker, int]] = {
    "made-coloured": (coloured, 8),
    "made-modulated": (modulated, 8),
    "made-machine": (machine, 8),
    "made-hum": (hum, 4),
    "made-keyboard": (keyboard, 4),
    "made-knocks": (knocks, 4),
    "made-wind": (wind, 6),
}
"""Noise type: how it is made, and the number of clips."""
BABBLE = {"made-babble-3": (3, 8), "made-babble-5": (5, 8), "made-babble-8": (8, 8)}
"""Noise type: speakers at once, and the number of clips."""


def babble(rng: np.random.Generator, samples: int, speakers: dict[str, list[Path]], voices: int) -> np.ndarray:
    """Return several training speakers talking at once, each at a level and a distance of its own."""
    total = np.zeros(samples)
    for name in rng.choice(sorted(speakers), voices, replace=False):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < samples:
            path = speakers[name][rng.integers(len(speakers[name]))]
            parts.append(soundfile.read(path)[0])
        talk = np.roll(np.concatenate(parts)[:samples], rng.integers(samples))
        total += _unit(talk) * 10 ** (rng.uniform(-8, 0) / 20)
    return total


def _unit(samples: np.ndarray) -> np.ndarray:
    return samples / max(float(np.sqrt(np.square(samples).mean())), 1e-12)


def make_noise(output: Path, speakers: dict[str, list[Path]], seed: int) -> None:
    """Write every made-up clip as FLAC under ``output/<type>/``."""
    plans: dict[str, tuple[Maker, int]] = dict(MAKERS)
    for kind, (voices, clips) in BABBLE.items():
        plans[kind] = (lambda rng, n, voices=voices: babble(rng, n, speakers, voices)), clips
    for number, (kind, (make, clips)) in enumerate(plans.items()):
        (output / kind).mkdir(parents=True, exist_ok=True)
        for clip in range(clips):
            samples = make(np.random.default_rng([seed, number, clip]), CLIP_SECONDS * RATE_HZ)
            path = output / kind / f"{clip:02d}.flac"
            soundfile.write(path, PEAK * samples / np.abs(samples).max(), RATE_HZ, "PCM_16")


def main() -> None:
    """Copy what may ship, then make the rest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-o", "--output", type=Path, default=Path("exp/ship/corpus"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    speakers: dict[str, list[Path]] = {}
    for row in csv.DictReader((options.data / "manifest.csv").open(encoding="utf-8")):
        train = row["split"] == "train" and row["ship"] == "yes"
        if not train and row["split"] != "dev":
            continue
        target = options.output / row["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(options.data / row["path"], target)
        if train and row["kind"] == "speech":
            speakers.setdefault(f"{row['source']}/{target.parent.name}", []).append(target)
    make_noise(options.output / "noise" / "train", speakers, options.seed)


if __name__ == "__main__":
    main()
