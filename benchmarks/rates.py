"""Whether recordings of other rates are enhanced as well as those of 16 kHz, in the band that both hold.

Usage: python benchmarks/rates.py MANIFEST [--split dev] [--model default] [--rates 8000 11025 44100 48000] [--limit N]

Each mixture is resampled to another rate and enhanced there, and enhanced at 16 kHz. To a higher rate it is resampled
first and back to 16 kHz, so that both hold the same: a resampler attenuates the top of the band, which costs up to 1 dB
in noise that is strong there. Both outputs are scored at the lower of the two rates, against clean speech that is
resampled alike. The table gives the means of both, and of the difference with its 95 % interval.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from deepnmf import Model, enhance, load_model
from deepnmf.audio.files import resample
from deepnmf.data.manifest import read_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.evaluation.metrics import METRICS

RATE_HZ = 16000
SCORED = ("si_sdr", "sdr", "estoi")


def main() -> None:
    """Score each rate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--model", default="default")
    parser.add_argument("--rates", nargs="+", type=int, default=[8000, 11025, 44100, 48000])
    parser.add_argument("--limit", type=int, help="score every n-th mixture, so that about this many are scored")
    options = parser.parse_args()
    rows = read_manifest(options.manifest, options.split)
    rows = rows[:: max(1, len(rows) // options.limit)] if options.limit else rows
    mixtures = [load_mixture(row, RATE_HZ) for row in rows]
    print(row("rate, Hz", [METRICS[name].label for name in SCORED]) + "\n|---|" + "---|" * len(SCORED))
    model = load_model(options.model)
    for rate_hz in options.rates:
        scores = np.array([pair_scores(m.speech, m.noisy, rate_hz, model) for m in mixtures])
        print(row(f"{rate_hz:,}", [cell(name, scores[:, :, k]) for k, name in enumerate(SCORED)]), flush=True)


def pair_scores(clean: np.ndarray, noisy: np.ndarray, rate_hz: int, model: Model) -> list[list[float]]:
    """Return the scores of a mixture ``(samples,)`` that is enhanced at 16 kHz and at another rate, two rows."""
    common = min(rate_hz, RATE_HZ)
    clean_there, noisy_there = (resample(samples, RATE_HZ, rate_hz) for samples in (clean, noisy))
    noisy_usual = resample(noisy_there, rate_hz, RATE_HZ) if rate_hz > RATE_HZ else noisy
    reference = resample(clean_there, rate_hz, common)
    usual = resample(enhance(noisy_usual, RATE_HZ, model), RATE_HZ, common)
    there = resample(enhance(noisy_there, rate_hz, model), rate_hz, common)
    return [scored(reference, output, common) for output in (usual, there)]


def scored(reference: np.ndarray, output: np.ndarray, rate_hz: int) -> list[float]:
    """Return the metrics of an output ``(samples,)``."""
    length = min(len(reference), len(output))  # resampling rounds lengths
    return [METRICS[name].score(reference[:length], output[:length], rate_hz) for name in SCORED]


def cell(name: str, scores: np.ndarray) -> str:
    """Return the text of scores ``(mixtures, 2)``: both means, and the difference with its interval."""
    usual, there = scores.mean(axis=0)
    differences = scores[:, 1] - scores[:, 0]
    interval = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
    places = METRICS[name].decimals
    return f"{usual:.{places}f} → {there:.{places}f} ({differences.mean():+.{places}f} ± {interval:.{places}f})"


def row(head: str, cells: list[str]) -> str:
    """Return a line of the table."""
    return f"| {head} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
