"""Build the corpus of the shipped model: the rows of the manifest that may ship, and noise that is made here.

    python recipes/open/package_models/corpus.py --data ../shared/data -o exp/package_models/corpus

Training noise is what the manifest marks ``ship = yes`` plus the clips of :mod:`synthetic_noise`. Dev is the shared
dev split: it chooses, and nothing is trained on it.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import zlib
from pathlib import Path

import numpy as np
import soundfile
from synthetic_noise import MAKERS, RATE_HZ, Speakers

CLIP_SECONDS = 30
PEAK = 0.5


def make_noise(output: Path, speakers: Speakers, seed: int) -> None:
    """Write every made-up clip as FLAC under ``output/<type>/``."""
    for kind, (make, clips) in MAKERS.items():
        (output / kind).mkdir(parents=True, exist_ok=True)
        for clip in range(clips):
            rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), clip])
            samples = make(rng, CLIP_SECONDS * RATE_HZ, speakers)
            path = output / kind / f"{clip:02d}.flac"
            soundfile.write(path, PEAK * samples / np.abs(samples).max(), RATE_HZ, "PCM_16")


def main() -> None:
    """Copy what may ship, then make the rest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-o", "--output", type=Path, default=Path("exp/package_models/corpus"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    speakers: Speakers = {}
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
