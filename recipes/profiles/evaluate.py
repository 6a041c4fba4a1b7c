"""Score a model with and without profiles: noises of a manifest's split, and two or four voices.

    python recipes/profiles/evaluate.py exp/manifest.jsonl exp/profiles/profile.safetensors --baseline default

A noise profile is 5 s of the recording of the noise that the mixture does not use. Voices are the utterances of the
split: each one with one and with three utterances of other speakers, at -3, 0, 3 and 6 dB in turn; the profile is up to
10 s of other utterances of its speaker. Prints means of SDR in dB; gains are those over the baseline.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepnmf import Model, enhance, load_model
from deepnmf.audio.files import read_mono
from deepnmf.data.manifest import MixtureEntry, read_manifest
from deepnmf.data.mixing import load_mixture, mix
from deepnmf.enhancement.adapt import adapt_to_magnitudes, profile_magnitudes
from deepnmf.evaluation.metrics import METRICS
from deepnmf.networks.unfolded.profile_input import NOISE, VOICE

RATE_HZ = 16000
NOISE_SECONDS, VOICE_SECONDS, GAP_SECONDS = 5, 10, 0.5
SNRS_DB = (-3.0, 0.0, 3.0, 6.0)


class Case(NamedTuple):
    """A mixture, its clean speech and the profile, each ``(samples,)``, and the group of the table."""

    group: str
    kind: str
    noisy: np.ndarray
    clean: np.ndarray
    profile: np.ndarray


def main() -> None:
    """Print a table for each kind of profile that the model has an input for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("model")
    parser.add_argument("--baseline", help="model to compare with; by default the same, without profiles")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--limit", type=int, help="score about this many cases, spread over all")
    options = parser.parse_args()
    model = load_model(options.model)
    baseline = load_model(options.baseline) if options.baseline else None
    rows = read_manifest(options.manifest, options.split)
    if options.limit:
        rows = rows[:: max(1, len(rows) // options.limit)]
    cases_of = {NOISE: noises(rows), VOICE: voices(read_manifest(options.manifest, options.split), options.limit)}
    for cases in (cases_of[kind] for kind in cases_of if kind in model.network.profile_inputs()):
        if found := [(case.group, scores(case, model, baseline)) for case in cases]:  # test has one file of a speaker
            print_table(found)


def scores(case: Case, model: Model, baseline: Model | None) -> tuple[float, ...]:
    """Return SDR of the mixture, of the baseline, and of the model without and with the profile."""
    m = profile_magnitudes(model.features, case.profile[None], RATE_HZ)
    without, adapted = (sdr(case, system) for system in (model, adapt_to_magnitudes(model, m, kind=case.kind)))
    return sdr(case, None), sdr(case, baseline) if baseline else without, without, adapted


def sdr(case: Case, model: Model | None) -> float:
    """Return the SDR of a case enhanced by a model, or of the mixture."""
    signal = enhance(case.noisy, RATE_HZ, model) if model else case.noisy
    return METRICS["sdr"].score(case.clean, signal, RATE_HZ)


def noises(rows: list[MixtureEntry]) -> Iterator[Case]:
    """Yield the mixtures of a split, with profiles of their noise."""
    for row in rows:
        assert row.noise
        noise, mixture = read_mono(Path(row.noise), RATE_HZ), load_mixture(row, RATE_HZ)
        start = int(row.noise_start * len(noise)) + len(mixture.noisy) + int(GAP_SECONDS * RATE_HZ)
        profile = np.take(noise, np.arange(start, start + NOISE_SECONDS * RATE_HZ), mode="wrap")
        yield Case(row.noise_type, NOISE, mixture.noisy, mixture.speech, profile)


def voices(rows: list[MixtureEntry], limit: int | None) -> Iterator[Case]:
    """Yield utterances among other voices, with profiles of their speaker."""
    speakers = {row.speech: row.speaker for row in rows}
    wanted = [speech for speech, own in speakers.items() if list(speakers.values()).count(own) > 1]
    rng = np.random.default_rng(0)
    for number, speech in enumerate(wanted[:: max(1, len(wanted) // limit)] if limit else wanted):
        own = speakers[speech]
        target = read_mono(Path(speech), RATE_HZ)
        rest = [read_mono(Path(other), RATE_HZ) for other in speakers if speakers[other] == own and other != speech]
        foreign = [other for other in speakers if speakers[other] != own]
        for count in (1, 3):
            chosen = [read_mono(Path(foreign[i]), RATE_HZ) for i in rng.choice(len(foreign), count, replace=False)]
            others = np.sum([unit(np.resize(voice, len(target))) for voice in chosen], axis=0).astype(np.float32)
            mixture = mix(target, others, SNRS_DB[number % len(SNRS_DB)], RATE_HZ)
            profile = np.concatenate(rest)[: VOICE_SECONDS * RATE_HZ]
            yield Case(f"{count + 1} voices", VOICE, mixture.noisy, mixture.speech, profile)


def unit(samples: np.ndarray) -> np.ndarray:
    """Return samples at unit power."""
    return samples / np.sqrt(np.square(samples).mean())


def print_table(rows: list[tuple[str, tuple[float, ...]]]) -> None:
    """Print the means of each group and of all."""
    print(
        "| | mixtures | input | baseline | without profile | with profile | gain |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for group in [*sorted({name for name, _ in rows}), "mean"]:
        own = np.array([values for name, values in rows if group in (name, "mean")])
        noisy, baseline, without, adapted = own.mean(axis=0)
        cells = f"{noisy:.2f} | {baseline:.2f} | {without:.2f} | {adapted:.2f} | {adapted - baseline:+.2f}"
        print(f"| {group} | {len(own)} | {cells} |", flush=True)
    print()


if __name__ == "__main__":
    main()
