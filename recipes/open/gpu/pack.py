"""Pack a part of the open recordings and the package into a folder for a GPU machine without a network.

    python recipes/open/gpu/pack.py DATA FOLDER --wheels WHEELS

DATA holds recordings and ``manifest.csv``; only those are trained on that are licensed for release (``ship = yes``). Of
each utterance of ``speech/train`` the middle is taken, and those of a speaker are joined by threes; of four noises of
each type the middle; all as Opus, so that the folder has 12 MB. WHEELS are those of soundfile, cffi and typer for the
machine's Python. There, ``python3 FOLDER/go.py OUT SECONDS`` trains the rows of systems.tsv.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile

from deepnmf.audio.files import read_mono
from deepnmf.config import PrepareConfig
from deepnmf.data.prepare import prepare_corpus

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[2] / "src"
OMITTED = ("models", "static", "__pycache__")
RATE_HZ = 16000
Rows: TypeAlias = list[dict[str, str]]
"""Of manifest.csv: path, kind, split, label, seconds, ship."""
UTTERANCE_SECONDS, JOINED = 1.8, 3
"""Of each training utterance, and how many of a speaker make one file: the level needs some seconds to settle."""
NOISE_SECONDS, LONG_NOISE_SECONDS, LONG_SECONDS = 3.0, 9.0, 15.0
"""Of a noise, of one longer than `LONG_SECONDS`, and these."""
NOISES = 4
"""Of each type."""
DEV_EVERY, DEV_NOISE_SECONDS = 3, 30.0
"""Of dev, each third utterance is taken, whole."""
COMPRESSION = 0.96
"""Of libsndfile's Opus: 16 kbit/s."""
MIXTURES_PER_UTTERANCE = 3


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheels", type=Path, required=True)
    options = parser.parse_args()
    audio = options.folder / "audio"
    pack_speech(
        [row for row in rows_of(options.data, "speech") if row["path"].startswith("speech/")],
        options.data,
        audio / "speech",
    )
    pack_noise(rows_of(options.data, "noise"), options.data, audio / "noise")
    config = PrepareConfig(speaker_level=2, mixtures_per_utterance=MIXTURES_PER_UTTERANCE)
    prepare_corpus(options.folder, "folders", [audio / "speech", audio / "noise"], config)
    pack_package(options.folder / "deepnmf.zip")
    for path in (HERE / "go.py", HERE / "systems.tsv", *options.wheels.glob("*.whl")):
        shutil.copy(path, options.folder)


def rows_of(data: Path, kind: str) -> Rows:
    """Return the rows of the manifest for dev and for what may be trained on for release."""
    rows = csv.DictReader((data / "manifest.csv").open(encoding="utf-8"))
    splits = {"dev": ("yes", "no"), "train": ("yes",)}
    return [row for row in rows if row["kind"] == kind and row["ship"] in splits.get(row["split"], ())]


def pack_speech(rows: Rows, data: Path, target: Path) -> None:
    """Write the middles of the training utterances, and a part of those of dev."""
    speakers: dict[Path, list[Path]] = {}
    for row in rows:
        path = Path(row["path"])
        speakers.setdefault(path.relative_to("speech").parent, []).append(data / path)
    for folder, paths in speakers.items():
        if folder.parts[0] == "train":
            for start in range(0, len(paths), JOINED):
                parts = [middle(read_mono(path, RATE_HZ), UTTERANCE_SECONDS) for path in paths[start : start + JOINED]]
                write(target / folder / f"{start}.opus", np.concatenate(parts))
    dev = [path for folder, paths in speakers.items() if folder.parts[0] == "dev" for path in paths]
    for path in dev[::DEV_EVERY]:
        write(target / path.relative_to(data / "speech"), read_mono(path, RATE_HZ))


def pack_noise(rows: Rows, data: Path, target: Path) -> None:
    """Write the middles of some noises of each type, and of those of dev."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["label"]] += 1
        if counts[row["label"]] <= NOISES:
            seconds = LONG_NOISE_SECONDS if float(row["seconds"]) > LONG_SECONDS else NOISE_SECONDS
            seconds = DEV_NOISE_SECONDS if row["split"] == "dev" else seconds
            path = target / row["split"] / row["label"] / Path(row["path"]).name
            write(path, middle(read_mono(data / row["path"], RATE_HZ), seconds))


def middle(samples: np.ndarray, seconds: float) -> np.ndarray:
    """Return the middle of a recording, of at most that length."""
    start = max(0, len(samples) - round(seconds * RATE_HZ)) // 2
    return samples[start : len(samples) - start]


def write(path: Path, samples: np.ndarray) -> None:
    """Write a recording as Opus."""
    path = path.with_suffix(".opus")
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = max(1.0, float(np.abs(samples).max()))
    soundfile.write(path, samples / peak, RATE_HZ, "OPUS", format="OGG", compression_level=COMPRESSION)


def pack_package(path: Path) -> None:
    """Write the package's source as a zip file, which Python imports from."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(PACKAGE.rglob("*")):
            if source.is_file() and not set(source.parts) & set(OMITTED):
                archive.write(source, source.relative_to(PACKAGE))


if __name__ == "__main__":
    main()
