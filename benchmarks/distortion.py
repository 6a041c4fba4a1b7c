"""Distortion of clean speech, and attenuation of noise alone.

Usage: python benchmarks/distortion.py MANIFEST [--split test] [--models default small framewise snmf]

Prints for each model mean and minimum of SI-SDR and PESQ for the clean recordings of a split after enhancement, and
the attenuation of each of its noises (power of the complete recording, 30 s of it at most). "Clean" recordings
have mains hum and rumble, which models remove: SI-SDR is also given with both signals high-pass filtered at 120 Hz.
"""

import argparse
from pathlib import Path

import numpy as np

from deepnmf import Model, enhance, load_model
from deepnmf.audio.files import read_mono
from deepnmf.data.manifest import read_manifest
from deepnmf.evaluation.metrics import METRICS

RATE_HZ = 16000
RUMBLE_HZ = 120
NOISE_SECONDS = 30


def main() -> None:
    """Measure each model and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--models", nargs="*", default=["default", "small", "framewise", "snmf"])
    options = parser.parse_args()
    rows = read_manifest(options.manifest, options.split)
    speech = [read_mono(Path(path), RATE_HZ) for path in sorted({row.speech for row in rows})]
    paths = {row.noise_type: row.noise for row in rows if row.noise}
    noises = {kind: read_mono(Path(path), RATE_HZ)[: NOISE_SECONDS * RATE_HZ] for kind, path in sorted(paths.items())}
    models = {name: load_model(name) for name in options.models}
    print("| model | SI-SDR, dB: mean / minimum | above 120 Hz | PESQ-WB |\n|---|---|---|---|")
    for name, model in models.items():
        print(f"| {name} | {' | '.join(clean_scores(model, speech))} |")
    print(f"\n| noise, attenuation in dB | {' | '.join(models)} |\n|---|" + "---|" * len(models))
    for kind, noise in noises.items():
        print(f"| {kind} | {' | '.join(f'{attenuation_db(model, noise):.1f}' for model in models.values())} |")


def clean_scores(model: Model, speech: list[np.ndarray]) -> list[str]:
    """Return mean and minimum of SI-SDR, SI-SDR above the rumble, and PESQ of clean recordings ``(samples,)``."""
    pairs = [(clean, enhance(clean, RATE_HZ, model)) for clean in speech]
    above = [(without_rumble(clean), without_rumble(enhanced)) for clean, enhanced in pairs]
    scores = [
        [METRICS[metric].score(clean, enhanced, RATE_HZ) for clean, enhanced in chosen]
        for metric, chosen in (("si_sdr", pairs), ("si_sdr", above), ("pesq_wb", pairs))
    ]
    return [f"{np.mean(found):.2f} / {min(found):.2f}" for found in scores]


def without_rumble(samples: np.ndarray) -> np.ndarray:
    """Return samples ``(samples,)``, high-pass filtered at `RUMBLE_HZ`."""
    spectrum = np.fft.rfft(samples)
    spectrum[: int(RUMBLE_HZ * len(samples) / RATE_HZ)] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def attenuation_db(model: Model, noise: np.ndarray) -> float:
    """Return the attenuation of noise ``(samples,)``."""
    powers = [np.square(samples, dtype=np.float64).mean() for samples in (noise, enhance(noise, RATE_HZ, model))]
    return float(10 * np.log10(powers[0] / max(powers[1], 1e-20)))


if __name__ == "__main__":
    main()
