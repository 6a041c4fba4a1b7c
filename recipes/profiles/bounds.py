"""What a noise profile could give at most: a model that is fine-tuned for the noise, or a noise spectrum that is known.

    python recipes/profiles/bounds.py exp/package_models ../shared/data --model default --updates 80

The first 5 s of each noise recording of dev are the profile; the rest is mixed with 12 dev utterances at -6 ... 9 dB.
Prints the gain in dB over the model as it is: SDR and SI-SDR after all weights have been fine-tuned on training speech
in the noise of the profile, and SI-SDR if the model's gains are combined with those of a Wiener filter. That has the
spectrum of the profile, or of the very noise in the mixture, at its true level.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np
import torch

from deepnmf import Model, enhance, load_model
from deepnmf.audio.files import read_mono
from deepnmf.config import PrepareConfig
from deepnmf.data.dynamic_mixing import DynamicMixtures, Sources
from deepnmf.data.mixing import Mixture, mix
from deepnmf.dsp.level import LevelTracker
from deepnmf.dsp.stft import stft
from deepnmf.evaluation.metrics import METRICS
from deepnmf.networks.settings import RecurrentDeepNMFTraining
from deepnmf.training.losses import sequence_loss
from deepnmf.training.modules import RecurrentModule

RATE_HZ, PROFILE_SECONDS, GAP_SECONDS = 16000, 5, 0.5
UTTERANCES, UTTERANCE_SECONDS, SNRS_DB = 12, 6, (-6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
SEGMENT_FRAMES, SEGMENTS, TRAINING_SNR_DB = 200, 4, (-9.0, 12.0)
REVERSED_SHARE = 0.3
DICTIONARY_RATE, WARM_UP, LARGEST_GRADIENT = 3.0, 20, 10.0
COLUMNS = "SDR", "fine-tuned, SDR", "fine-tuned, SI-SDR", "spectrum of the profile, SI-SDR", "own spectrum, SI-SDR"
EXPONENT = 0.25
"""Of the gain of the Wiener filter; that of the model's gain is 1 less it."""


def main() -> None:
    """Print a table of gains, a row for each noise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path, help="folder of the manifest whose training speech is used")
    parser.add_argument("data", type=Path, help="folder with speech/dev and noise/dev")
    parser.add_argument("--model", default="default")
    parser.add_argument("--updates", type=int, default=80)
    parser.add_argument("--rate", type=float, default=7e-4, help="peak step size")
    parser.add_argument("--noises", nargs="*", help="names of folders in noise/dev; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tuning = load_model(options.model), Tuning(options.experiment, options.updates, options.rate)
    folders = sorted((options.data / "noise/dev").iterdir())
    speech = sorted((options.data / "speech/dev").rglob("*.flac"))
    speech = speech[:: max(1, len(speech) // UTTERANCES)][:UTTERANCES]
    print(f"| noise | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    rows = []
    for folder in (path for path in folders if path.name in (options.noises or [path.name])):
        rows.append(gains(model, tuning, *noise_cases(folder, speech)))
        print_row(folder.name, rows[-1])
    print_row("mean", np.mean(rows, axis=0))


def print_row(name: str, values: np.ndarray) -> None:
    """Print one row."""
    print(f"| {name} | {values[0]:.2f} | {' | '.join(f'{value:+.2f}' for value in values[1:])} |", flush=True)


def noise_cases(folder: Path, speech: list[Path]) -> tuple[np.ndarray, list[Mixture]]:
    """Return the profile ``(samples,)`` and the mixtures of the noise in a folder."""
    noise = read_mono(next(iter(sorted(folder.iterdir()))), RATE_HZ)
    rest, cases = noise[int((PROFILE_SECONDS + GAP_SECONDS) * RATE_HZ) :], []
    for number, path in enumerate(speech):
        clean = read_mono(path, RATE_HZ)[: UTTERANCE_SECONDS * RATE_HZ]
        start = number * 23917 % max(1, len(rest) - len(clean))
        part = np.resize(rest[start:], len(clean))
        cases.append(mix(clean, part, SNRS_DB[number % len(SNRS_DB)], RATE_HZ))
    return noise[: PROFILE_SECONDS * RATE_HZ], cases


def gains(model: Model, tuning: Tuning, profile: np.ndarray, cases: list[Mixture]) -> np.ndarray:
    """Return the mean SDR of a model, and the other `COLUMNS`."""
    before = mean_scores(model, cases)
    tuned = mean_scores(tuning.tuned(model, profile), cases) - before
    known = np.mean([spectrum_gains(model, profile, case) for case in cases], axis=0)
    return np.array([before[0], *tuned, *known])


def mean_scores(model: Model, cases: list[Mixture]) -> np.ndarray:
    """Return the mean SDR and SI-SDR of mixtures enhanced by a model."""
    enhanced = [(case.speech, enhance(case.noisy, RATE_HZ, model), RATE_HZ) for case in cases]
    return np.mean([[METRICS[name].score(*signals) for name in ("sdr", "si_sdr")] for signals in enhanced], axis=0)


def spectrum_gains(model: Model, profile: np.ndarray, case: Mixture) -> list[float]:
    """Return the gains in SI-SDR of a Wiener filter with the spectrum of the profile, and with the mixture's own."""
    spec = model.features.stft
    noisy, clean = stft(np.stack([case.noisy, case.speech]).astype(np.float32), spec)
    m = np.abs(noisy)
    mask = model.estimator().push(m / LevelTracker(model.features.level_seconds, spec.hop / RATE_HZ).push(m))
    own = np.square(np.abs(noisy - clean)).mean(axis=1, keepdims=True)
    given = np.square(np.abs(stft(profile[None].astype(np.float32), spec)[0])).mean(axis=1, keepdims=True)
    before, found = spectral_si_sdr(mask * noisy, clean), []
    for power in (given * own.sum() / given.sum(), own):
        wiener = np.square(mask * m) / (np.square(mask * m) + power + np.finfo(np.float32).tiny)
        found.append(spectral_si_sdr(mask ** (1 - EXPONENT) * wiener**EXPONENT * noisy, clean) - before)
    return found


def spectral_si_sdr(estimate: np.ndarray, clean: np.ndarray) -> float:
    """Return the SI-SDR in dB of spectra."""
    similar = np.vdot(estimate, clean).real ** 2 / (np.vdot(estimate, estimate) * np.vdot(clean, clean)).real
    return float(10 * np.log10(similar / (1 - similar)))


class Tuning:
    """Fine-tuning of a recurrent deep NMF on training speech in the noise of a profile.

    Parameters
    ----------
    experiment : Path
        Folder of the manifest.
    updates : int
        Updates of `SEGMENTS` segments of 2 s.
    rate : float
        Peak step size.
    """

    def __init__(self, experiment: Path, updates: int, rate: float) -> None:
        self._experiment, self._updates, self._rate = experiment, updates, rate
        self._mixtures: DynamicMixtures | None = None

    def tuned(self, model: Model, profile: np.ndarray) -> Model:
        """Return the model after the updates; the seed is always the same."""
        module, rng = RecurrentModule(model.network), np.random.default_rng(0)
        dictionaries = list(module.weights.nonnegative)
        own = {id(W) for W in dictionaries}
        weights = [W for W in module.parameters() if id(W) not in own]
        groups = [{"params": weights, "lr": self._rate}, {"params": dictionaries, "lr": DICTIONARY_RATE * self._rate}]
        optimiser = torch.optim.Adam(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._share_of_rate)
        settings = model.metadata.get("config", {}).get("train", {})
        losses = {name: value for name, value in settings.items() if name.startswith("loss_")}
        for _ in range(self._updates):
            batch = np.stack([self._segment(model, profile, rng) for _ in range(SEGMENTS)], axis=1)
            mixture, speech = torch.from_numpy(batch)
            estimate = module.estimate(mixture, model.features.stft)
            error = sequence_loss(RecurrentDeepNMFTraining(**losses), model.features.stft, estimate, mixture, speech)
            optimiser.zero_grad()
            torch.autograd.backward(error / (SEGMENTS * SEGMENT_FRAMES))
            torch.nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
        return dataclasses.replace(model, network=module.to_numpy())

    def _share_of_rate(self, update: int) -> float:
        return min(1.0, (update + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * (update + 1) / (self._updates + 1)))

    def _segment(self, model: Model, profile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the spectra ``(2, F, N)`` of training speech in a random part of the profile, which wraps."""
        if self._mixtures is None:
            map_bytes = int(RecurrentDeepNMFTraining().cache_gb * 1e9)
            manifest = self._experiment / "manifest.jsonl"
            self._mixtures = DynamicMixtures(manifest, model.features, PrepareConfig(), SEGMENT_FRAMES, map_bytes)
        speech, samples = self._mixtures.speech(rng), np.arange(self._mixtures.samples)
        noise = np.take(profile, samples + rng.integers(len(profile)), mode="wrap")
        noise = noise[::-1] if rng.random() < REVERSED_SHARE else noise
        flat = np.ones((2, model.features.stft.bins, 1), np.float32)
        return self._mixtures.spectra(Sources(speech, noise), rng, float(rng.uniform(*TRAINING_SNR_DB)), flat)


if __name__ == "__main__":
    main()
