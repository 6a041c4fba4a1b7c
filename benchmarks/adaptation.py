"""Gain from learning the noise at run time, for each noise type of dev and test.

For each noise recording the first 5 s are the profile and the rest is mixed with speech of the same split, so the
profile is never in the mixtures. `adapt` learns from the mixture itself, without the profile.

    python benchmarks/adaptation.py ../shared/data [--model MODEL] [-o benchmarks/adaptation.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import deepnmf
from deepnmf.audio.files import read_mono
from deepnmf.data.mixing import mix
from deepnmf.enhancement.adapt import adapt_to_noise
from deepnmf.evaluation.metrics import si_sdr
from deepnmf.model import Model

RATE_HZ = 16000
PROFILE_SECONDS = 5
SNRS_DB = (-3, 3)
SYSTEMS = ("without", "profile, added", "profile, in place", "adapt")


def noise_scores(model: Model, noise: np.ndarray, speech: list[np.ndarray]) -> dict[str, float]:
    """Return the mean SI-SDR improvement in dB of each system over utterances and SNRs."""
    profile, rest = np.split(noise, [PROFILE_SECONDS * RATE_HZ])
    added, in_place = (adapt_to_noise(model, profile[None], RATE_HZ, replace=replace) for replace in (False, True))
    found = []
    for index, clean in enumerate(speech):
        start = index * 7919 % max(1, len(rest) - len(clean))
        for snr_db in SNRS_DB:
            mixture = mix(clean, np.resize(rest[start:], len(clean)), snr_db, RATE_HZ)
            adapted = adapt_to_noise(model, mixture.noisy[None], RATE_HZ, with_speech=True)
            outputs = (deepnmf.enhance(mixture.noisy, RATE_HZ, m) for m in (model, added, in_place, adapted))
            before = si_sdr(mixture.speech, mixture.noisy)
            found.append([si_sdr(mixture.speech, output) - before for output in outputs])
    return dict(zip(SYSTEMS, np.mean(found, axis=0).tolist(), strict=True))


def table(data: Path, model: Model, utterances: int) -> str:
    """Return the results as Markdown."""
    lines = [f"| split | noise | {' | '.join(SYSTEMS)} |", f"|---|---|{'---|' * len(SYSTEMS)}"]
    for split in ("dev", "test"):
        files = sorted((data / "speech" / split).rglob("*.flac"))
        speech = [read_mono(file, RATE_HZ) for file in files[:: len(files) // utterances][:utterances]]
        scores = []
        for folder in sorted((data / "noise" / split).iterdir()):
            noise = read_mono(next(iter(sorted(folder.glob("*.flac")))), RATE_HZ)
            scores.append(noise_scores(model, noise, speech))
            lines.append(row(split, folder.name, scores[-1]))
            print(lines[-1], flush=True)
        lines.append(row(f"**{split}**", "**mean**", {n: float(np.mean([s[n] for s in scores])) for n in SYSTEMS}))
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def row(split: str, noise: str, scores: dict[str, float]) -> str:
    """Return one line of the table."""
    return f"| {split} | {noise} | {' | '.join(f'{value:+.2f}' for value in scores.values())} |"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with speech/ and noise/")
    parser.add_argument("--model", default="snmf")
    parser.add_argument("--utterances", type=int, default=8, help="of each split")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    text = table(options.data, deepnmf.load_model(options.model), options.utterances)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
