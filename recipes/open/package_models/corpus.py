"""Build the corpus of the package's models: recordings licensed for release, and synthetic noise.

    python recipes/open/package_models/corpus.py --data ../shared/data -o exp/package_models

Reads DATA/manifest.csv and, if it is there, DATA/more/rir.csv. Writes ``corpus/`` (recordings), ``rooms/`` (measured
room responses), ``manifest.jsonl`` (mixtures) and ``sources.csv`` (source, licence and hash of every file that training
uses). Training takes the rows marked ``ship = yes`` and the clips of :mod:`synthetic_noise`. Dev is the shared dev
split, for validation only.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import random
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from synthetic_noise import MAKERS, RATE_HZ, Speakers

from deepnmf.artifacts import write_csv
from deepnmf.config import PrepareConfig
from deepnmf.data.folders import mixture_entries, scan_clips
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.data.scan import Clip, ScanReport

CLIP_SECONDS = 30
PEAK = 0.5
UNLABELLED = ("picovoice", "picovoice_s2i")
"""Sources of speech without speaker labels."""
UNLABELLED_GROUPS = 40
"""Groups in place of speakers that the recordings of an unlabelled source are drawn by: its number of speakers."""
HASH_DIGITS = 16


def main() -> None:
    """Copy the recordings licensed for release, synthesise the rest, and write the mixtures and the sources."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-o", "--output", type=Path, default=Path("exp/package_models"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    corpus = options.output / "corpus"
    rows = list(recordings(options.data))
    for row in rows:
        copy(options.data / row["path"], corpus / place(row))
    speakers: Speakers = {}
    for row in rows:
        if row["kind"] == "speech" and row["split"] == "train":
            path = corpus / place(row)
            speakers.setdefault(f"{row['source']}/{path.parent.name}", []).append(path)
    synthesise(corpus / "noise" / "train", speakers, options.seed)
    rooms = list(room_responses(options.data))
    for row in rooms:
        copy(options.data / "more" / row["path"], options.output / "rooms" / Path(row["path"]).name)
    write_manifest(options.output / "manifest.jsonl", entries(corpus, options.output, options.seed))
    used = [(row, options.data / row["path"]) for row in rows if row["split"] == "train"]
    used += [(row, options.data / "more" / row["path"]) for row in rooms]
    write_csv(options.output / "sources.csv", [provenance(row, path) for row, path in used])


def recordings(data: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of the speech and noise that is trained on, and of dev."""
    for row in csv.DictReader((data / "manifest.csv").open(encoding="utf-8")):
        may_train = row["split"] == "train" and row["ship"] == "yes"
        if row["kind"] in ("speech", "noise") and (may_train or row["split"] == "dev"):
            yield row


def room_responses(data: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of the room responses licensed for release."""
    table = data / "more" / "rir.csv"
    if table.exists():
        yield from (row for row in csv.DictReader(table.open(encoding="utf-8")) if row["ship"] == "yes")


def place(row: dict[str, str]) -> Path:
    """Return the destination of a recording, ``<kind>/<split>/…``, independent of its place in the data."""
    return Path(row["path"].removeprefix("more/"))


def copy(source: Path, target: Path) -> None:
    """Copy a file, creating its folders."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def synthesise(output: Path, speakers: Speakers, seed: int) -> None:
    """Write every synthetic clip as FLAC under ``output/<type>/``."""
    for kind, (make, clips) in MAKERS.items():
        (output / kind).mkdir(parents=True, exist_ok=True)
        for clip in range(clips):
            rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), clip])
            samples = make(rng, CLIP_SECONDS * RATE_HZ, speakers)
            path = output / kind / f"{clip:02d}.flac"
            soundfile.write(path, PEAK * samples / np.abs(samples).max(), RATE_HZ, "PCM_16")


def entries(corpus: Path, output: Path, seed: int) -> Iterator[MixtureEntry]:
    """Yield the mixtures: dev as ``deepnmf prepare`` makes it, and training ones that name every recording."""
    report = ScanReport()
    speech, noise = (
        {split: scan_clips(corpus / kind / split, report, level) for split in ("train", "dev")}
        for kind, level in GROUP_LEVELS.items()
    )
    if report.left_out:
        raise SystemExit("\n".join(report.left_out))
    dev = mixture_entries({"dev": speech["dev"]}, {"dev": noise["dev"]}, PrepareConfig(), seed)
    for entry in itertools.chain(training_entries(speech["train"], noise["train"], seed), dev):
        yield replace(entry, speech=relative(entry.speech, output), noise=relative(str(entry.noise), output))


GROUP_LEVELS = {"speech": 2, "noise": 1}
"""Level of the folders that name a speaker, below that of the source, or a type of noise."""


def training_entries(speech: list[Clip], noise: list[Clip], seed: int) -> Iterator[MixtureEntry]:
    """Yield as many mixtures as it takes to name every recording of speech and every one of noise.

    Dynamic mixing takes the recordings and their groups from here, and pairs them on the fly.
    """
    rng = random.Random(f"{seed}/training")
    noise = rng.sample(noise, len(noise))
    pairs = zip(itertools.cycle(speech), itertools.cycle(noise), strict=False)
    low, high = PrepareConfig.snr_db_low, PrepareConfig.snr_db_high
    for number, (clip, with_noise) in enumerate(itertools.islice(pairs, max(len(speech), len(noise)))):
        yield MixtureEntry(
            id=f"{clip.group}/{clip.path.stem}/{number}",
            split="train",
            speech=str(clip.path),
            noise=str(with_noise.path),
            noise_start=round(rng.random(), 4),
            snr_db=round(rng.uniform(low, high), 2),
            noise_type=with_noise.group,
            speaker=speaker(clip),
            seconds=round(clip.seconds, 3),
        )


def speaker(clip: Clip) -> str:
    """Return the speaker of a recording, or the group in its place."""
    source = clip.path.parent.parent.name
    if source in UNLABELLED:
        return f"{source}-{zlib.crc32(clip.path.stem.encode()) % UNLABELLED_GROUPS:02d}"
    return f"{source}-{clip.group}"


def relative(path: str, folder: Path) -> str:
    """Return a path as the manifest in `folder` names it."""
    return Path(path).relative_to(folder.resolve()).as_posix()


def provenance(row: dict[str, str], path: Path) -> dict[str, str]:
    """Return the line of ``sources.csv`` about a file."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_DIGITS]
    return {"path": row["path"], "source": row["source"], "licence": row["licence"], "sha256": digest}


if __name__ == "__main__":
    main()
