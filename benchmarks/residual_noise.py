"""What DNSMOS rates in the output of a model: the noise floor of speech, and how steady the residual noise is.

Usage: python benchmarks/residual_noise.py MANIFEST [--split dev] [--every 3] [--model default]

Prints the means of DNSMOS, PESQ and SI-SDR of the model and of RNNoise, of clean speech as it is and enhanced, of the
model's own output, without the further attenuation in pauses that enhancement has, of that changed afterwards (lower
masks, smoothed ones), and of the model with other gains in pauses. The changes are an analysis, not part of the
product; "all three" look ahead and find pauses by the clean speech, those of small masks do neither.
"""

import argparse
import copy
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from baselines import peer
from scipy.ndimage import maximum_filter1d, uniform_filter, uniform_filter1d
from scipy.signal import lfilter

from deepnmf import Model, enhance, load_model
from deepnmf.config import StftSpec
from deepnmf.data.manifest import read_manifest
from deepnmf.data.mixing import mixture_blocks
from deepnmf.dsp.stft import istft, stft
from deepnmf.evaluation.dnsmos import PARTS, dnsmos
from deepnmf.evaluation.metrics import METRICS, si_sdr

RATE_HZ, SPEC = 16000, StftSpec()
LEAST = 1e-6
FRAMES = 9
"""Over which masks are averaged; in speech, the geometric mean of that and the mask itself is taken."""
PAUSE_BELOW_DB, PAUSE_AROUND, PAUSE_BOX = -20.0, 10, (33, 7)
"""Frames of clean speech this far below the loud ones, as all around them; bins and frames that are averaged there."""
SMALL, SMALL_DECAY, FURTHER = 0.1, 0.8, 0.5
"""Masks that count as small, the decay per frame of the energies that they are taken of, and their own attenuation."""

PAUSE_GAINS = 0.1, 0.5

Change = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From the spectra of mixture and output, and the pauses, to another output."""


def lower(mixture: np.ndarray, output: np.ndarray, _: np.ndarray, exponent: float = 1.4) -> np.ndarray:
    """Return the output of a mask to a power."""
    return output * mask(mixture, output) ** (exponent - 1)


def steadier(mixture: np.ndarray, output: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Return the output of a mask that is smoothed over time."""
    present = mask(mixture, output)
    return output * np.sqrt((uniform_filter(present, (1, FRAMES)) + LEAST) / (present + 1e-3))


def steady_in_pauses(mixture: np.ndarray, output: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """Return the output with attenuated noise in pauses, at the level that the output has there."""
    remaining, observed = (uniform_filter(np.abs(x) ** 2, PAUSE_BOX) for x in (output, mixture))
    return np.where(pauses, mixture * np.sqrt(np.minimum(1, remaining / (observed + LEAST**2))), output)


def steady_where_small(mixture: np.ndarray, output: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Return the output with attenuated noise where masks are small on average, over neighbouring bins and the past."""
    remaining, observed = (
        lfilter([1 - SMALL_DECAY], [1, -SMALL_DECAY], uniform_filter1d(np.abs(x) ** 2, PAUSE_BOX[0], axis=0))
        for x in (output, mixture)
    )
    average = np.sqrt(np.minimum(1, remaining / (observed + LEAST**2)))
    share = np.clip(2 * (1 - average / SMALL), 0, 1)
    return share * FURTHER * average * mixture + (1 - share) * output


CHANGES: dict[str, tuple[Change, ...]] = {
    "masks to the power of 1.4": (lower,),
    "masks smoothed over time": (steadier,),
    "masks smoothed in pauses": (steady_in_pauses,),
    "all three": (lower, steadier, steady_in_pauses),
    "steady where masks are small": (steady_where_small,),
    "the same, with masks to the power of 1.2": (functools.partial(lower, exponent=1.2), steady_where_small),
}


def mask(mixture: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return the mask, up to 1, by which an output follows from the mixture; spectra ``(F, N)``."""
    return np.minimum(1, np.abs(output) / (np.abs(mixture) + LEAST))


def pauses_of(speech: np.ndarray) -> np.ndarray:
    """Return which frames of the spectra ``(F, N)`` of clean speech are pauses."""
    level_db = 10 * np.log10(np.square(np.abs(speech)).sum(axis=0) + LEAST**2)
    return maximum_filter1d(level_db, PAUSE_AROUND) < np.quantile(level_db, 0.95) + PAUSE_BELOW_DB


def changed(
    changes: tuple[Change, ...], enhanced: Callable[[np.ndarray], np.ndarray], noisy: np.ndarray, speech: np.ndarray
) -> np.ndarray:
    """Return the changed output ``(samples,)`` for a mixture and its clean speech."""
    mixture, spectra, clean = (stft(x[None], SPEC)[0] for x in (noisy, enhanced(noisy), speech))
    for change in changes:
        spectra = change(mixture, spectra, pauses_of(clean))
    return istft(spectra[None].astype(np.complex64), SPEC, len(noisy))[0]


def systems(model_name: str) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Return the rows of the table: from noisy and clean speech to what is rated."""
    model, rnnoise = load_model(model_name), peer("RNNoise")
    enhanced, plain = (functools.partial(enhance, rate_hz=RATE_HZ, model=each) for each in (model, as_trained(model)))

    rows: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "clean speech": lambda _, speech: speech,
        f"clean speech, by {model_name}": lambda _, speech: enhanced(speech),
        "clean speech, by RNNoise": lambda _, speech: rnnoise.enhance(speech, RATE_HZ),
        model_name: lambda noisy, _: enhanced(noisy),
        f"{model_name}, as trained": lambda noisy, _: plain(noisy),
        "RNNoise": lambda noisy, _: rnnoise.enhance(noisy, RATE_HZ),
    }
    for name, changes in CHANGES.items():
        rows[f"{model_name} as trained, {name}"] = functools.partial(changed, changes, plain)
    for gain in PAUSE_GAINS:
        rows[f"{model_name}, with a gain of {gain} in pauses"] = functools.partial(with_pause_gain, gain, enhanced)
    return rows


def with_pause_gain(
    gain: float, enhanced: Callable[[np.ndarray], np.ndarray], noisy: np.ndarray, _: np.ndarray
) -> np.ndarray:
    """Return the output with another gain in pauses."""
    with mock.patch("deepnmf.dsp.pauses.PAUSE_GAIN", gain):
        return enhanced(noisy)


def as_trained(model: Model) -> Model:
    """Return the model without further attenuation in pauses."""
    network = copy.copy(model.network)
    object.__setattr__(network, "ATTENUATES_PAUSES", False)
    return dataclasses.replace(model, network=network)


def main() -> None:
    """Rate each row on the same mixtures, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="dev", choices=("train", "dev"), help="not test, on which nothing is chosen")
    parser.add_argument("--every", type=int, default=3, help="take each such mixture")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    entries = read_manifest(options.manifest, options.split)[:: options.every]
    mixtures = [np.concatenate(list(mixture_blocks(entry, RATE_HZ)), axis=1)[:2] for entry in entries]
    print(f"{len(mixtures)} mixtures\n\n| | SIG | BAK | OVRL | P.808 | PESQ-WB | SI-SDR, dB |\n|{'---|' * 7}")
    for name, system in systems(options.model).items():
        print(row(name, [(system(*pair), pair[1]) for pair in mixtures]), flush=True)


def row(name: str, rated: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """Return a line of the table, of outputs and their clean speech."""
    ratings = [dnsmos(output, RATE_HZ) for output, _ in rated]
    means = [f"{np.mean([found[part] for found in ratings]):.2f}" for part in PARTS]
    pesq = np.nanmean([METRICS["pesq_wb"].score(speech, output, RATE_HZ) for output, speech in rated])
    decibels = np.mean([si_sdr(speech, output) for output, speech in rated])
    return f"| {name} | {' | '.join(means)} | {pesq:.2f} | {decibels:.2f} |"


if __name__ == "__main__":
    main()
