"""What becomes of speech and noise above the model's band, with one gain for all of it and with the tracked gains.

    apt-get download alsa-utils && dpkg -x alsa-utils_*.deb alsa  # recorded speech at 48 kHz
    python benchmarks/upper_band.py alsa/usr/share/sounds/alsa [--model default] [--plot upper_band.png]

The folder holds clean 48 kHz speech. It is mixed with six noises made here, at 0 and 8 dB. From 8.5 to 20 kHz, a table
gives the SDR of the output (against the clean speech, without rescaling), its log-spectral distance, how much noise
and speech are attenuated when the gains are applied to each alone, and how much the gain in dB jumps from frame to
frame in pauses: the streaks. The last row of a method is clean speech.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from deepnmf import Enhancer, load_model
from deepnmf.dsp.stft import stft

RATE_HZ = 48000
BAND = slice(272, 640)
"""Bins from 8.5 to 20 kHz."""
TOP = slice(154, 241)
"""Bins of the model whose mask is carried upwards."""
SNRS_DB = (0.0, 8.0)


@dataclass(frozen=True)
class Case:
    """Spectra ``(F, N)`` of a mixture and of its speech, and the gains of the enhancer."""

    name: str
    mixture: np.ndarray
    speech: np.ndarray
    gains: np.ndarray

    def with_one_gain(self) -> np.ndarray:
        """Return the gains above the model's band as they were: the weighted mean of the mask below."""
        weights = np.abs(self.mixture[TOP]) + 1e-12
        mean = (self.gains[TOP] * weights).sum(axis=0) / weights.sum(axis=0)
        return np.concatenate([self.gains[: TOP.stop], np.tile(mean, (len(self.gains) - TOP.stop, 1))])


def recordings(folder: Path) -> np.ndarray:
    """Return all mono 48 kHz recordings of a folder but noise, with pauses, ``(samples,)``."""
    parts = [np.zeros(RATE_HZ // 2)]
    for path in sorted(folder.glob("*.wav")):
        samples, rate_hz = soundfile.read(path)
        if rate_hz == RATE_HZ and samples.ndim == 1 and path.stem != "Noise":
            parts += [0.4 * samples / np.abs(samples).max(), np.zeros(RATE_HZ // 4)]
    return np.concatenate(parts)


def noises(samples: int) -> dict[str, np.ndarray]:
    """Return noises of unit power by name, ``(samples,)``."""
    rng, seconds = np.random.default_rng(5), np.arange(samples) / RATE_HZ

    def coloured(db_per_octave: float) -> np.ndarray:
        hz = np.maximum(100, np.fft.rfftfreq(samples, 1 / RATE_HZ))
        return np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * (hz / 100) ** (db_per_octave / 6.02), samples)

    def bursts(count: int, length: int, decay: int) -> np.ndarray:
        noise, envelope = np.zeros(samples), np.exp(-np.arange(length) / decay)
        for at in rng.integers(0, samples - length, count):
            noise[at : at + length] += rng.standard_normal(length) * envelope * rng.exponential()
        return noise

    made = {
        "white": coloured(0),
        "pink": coloured(-3),
        "fan": coloured(-6) * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * seconds)),
        "rain": bursts(3000, 200, 40) + 0.02 * coloured(0),
        "typing": bursts(40, 2000, 300) + 0.02 * coloured(-3),
        "surf": coloured(-1.5) * (1 + 0.9 * np.sin(2 * np.pi * 0.35 * seconds)) ** 2,
    }
    return {name: noise / noise.std() for name, noise in made.items()}


def cases(speech: np.ndarray, model: str) -> Iterator[Case]:
    """Yield the mixtures, then clean speech."""
    level = speech[np.abs(speech) > 1e-3].std()
    for name, noise in noises(len(speech)).items():
        for snr_db in SNRS_DB:
            yield case(f"{name}, {snr_db:g} dB", speech, level / 10 ** (snr_db / 20) * noise, model)
    yield case("clean", speech, np.zeros_like(speech), model)


def case(name: str, speech: np.ndarray, noise: np.ndarray, model: str) -> Case:
    """Enhance one mixture."""
    found: list[np.ndarray] = []
    enhancer = Enhancer(load_model(model), RATE_HZ, observer=lambda _, gains, __: found.append(gains[0]))
    mixture = (speech + noise)[None].astype(np.float32)
    enhancer.process(mixture)
    enhancer.flush()
    spectra = (stft(samples, enhancer.spec)[0] for samples in (mixture, speech[None]))
    gains = np.concatenate(found, axis=1)
    mixture, clean = (spectrum[:, : gains.shape[1]] for spectrum in spectra)
    return Case(name, mixture, clean, gains)


def scores(case: Case, gains: np.ndarray) -> tuple[float, ...]:
    """Return SDR, log-spectral distance, attenuation of noise and of speech in dB, and jumps of the gain in dB."""
    speech, gain = case.speech[BAND], gains[BAND]
    noise, output = case.mixture[BAND] - speech, case.mixture[BAND] * gain
    energy = np.square(np.abs(speech)).sum(axis=0)
    quiet = energy < 1e-4 * energy.max()
    distance = np.sqrt(np.square(log_power(output) - log_power(speech)).mean(axis=0)).mean()
    jumps = np.abs(np.diff(20 * np.log10(gain.mean(axis=0) + 1e-3)))[quiet[1:] & quiet[:-1]].mean()
    return (
        ratio_db(speech, output - speech),
        float(distance),
        ratio_db(noise * gain, noise),
        ratio_db(speech * gain, speech),
        float(jumps),
    )


def log_power(spectrum: np.ndarray) -> np.ndarray:
    """Return power in dB above a floor far below hearing."""
    return 10 * np.log10(np.square(np.abs(spectrum)) + 1e-4)


def ratio_db(one: np.ndarray, other: np.ndarray) -> float:
    """Return the ratio of two energies in dB; 0 for two zeros."""
    return float(10 * np.log10((np.square(np.abs(one)).sum() + 1e-9) / (np.square(np.abs(other)).sum() + 1e-9)))


def plot(case: Case, path: Path) -> None:
    """Draw the spectrograms of mixture, both outputs and clean speech."""
    import matplotlib.pyplot as plt

    shown = {
        f"mixture ({case.name})": case.mixture,
        "one gain": case.mixture * case.with_one_gain(),
        "tracked gains": case.mixture * case.gains,
        "clean": case.speech,
    }
    figure, axes = plt.subplots(len(shown), sharex=True, figsize=(10, 12), layout="constrained")
    for axis, (title, spectrum) in zip(axes, shown.items(), strict=True):
        extent = (0, spectrum.shape[1] / 100, 0, RATE_HZ / 2000)
        axis.imshow(log_power(spectrum), origin="lower", aspect="auto", extent=extent, vmin=-40, vmax=30)
        axis.set(title=title, ylabel="kHz")
    axes[-1].set_xlabel("s")
    figure.savefig(path, dpi=80)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--plot", type=Path, help="also draw the first mixture of pink noise at 8 dB")
    options = parser.parse_args()
    found = list(cases(recordings(options.folder), options.model))
    print("| above 8.5 kHz | SDR, dB | LSD, dB | noise, dB | speech, dB | jumps, dB |\n|" + "---|" * 6)
    for method, gains_of in (("one gain", Case.with_one_gain), ("tracked gains", lambda case: case.gains)):
        print_rows(method, found, gains_of)
    if options.plot:
        plot(next(case for case in found if case.name == "pink, 8 dB"), options.plot)


def print_rows(method: str, found: list[Case], gains_of: Callable[[Case], np.ndarray]) -> None:
    """Print the mean of a method over the mixtures, and its row of clean speech."""
    rows = np.array([scores(case, gains_of(case)) for case in found])
    for name, row in (("12 mixtures", rows[:-1].mean(axis=0)), ("clean speech", rows[-1])):
        print(f"| {method}, {name} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    main()
