"""Corrupt the artifacts of a tiny experiment at random: the file must be named, or the results unchanged.

Usage: python benchmarks/corruption.py [--count 1000] [--seed 0]

Makes an experiment in a temporary folder, then damages one artifact at a time (flipped bits, cuts, zeroed, swapped,
repeated or random blocks, another artifact in its place) and reads it as the stage that needs it does, and by
`deepnmf verify`. Prints how often the damage was named, harmless (equal results), silent or a traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from deepnmf import load_model
from deepnmf.artifacts import load_tensors, read_json
from deepnmf.cli import app
from deepnmf.data import shards
from deepnmf.data.decoded import DecodedRecordings, read_index
from deepnmf.data.features import FeatureSet
from deepnmf.data.manifest import read_manifest
from deepnmf.errors import DeepnmfError
from deepnmf.evaluation import evaluate, read_evaluation
from deepnmf.evaluation.folder import check_table
from deepnmf.evaluation.partial_scores import read_partial_scores
from deepnmf.nmf.dictionary import load_dictionary
from deepnmf.training.verify import verify

RATE_HZ = 16000
SETTINGS = ("snmf.speech_atoms=4", "snmf.noise_atoms=3", "snmf.iterations=5")
OUTCOMES = ("named", "harmless", "silent", "traceback", "not by verify")


def main() -> None:
    """Damage and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        experiment = make_experiment(Path(folder))
        counts: Counter[tuple[str, str]] = Counter()
        for name, what, outcome in corruptions(experiment, options.count, options.seed):
            counts[name, outcome] += 1
            if outcome not in {"named", "harmless"}:
                print(f"{outcome}: {name}: {what}", file=sys.stderr)
    print(f"| artifact | {' | '.join(OUTCOMES)} |\n|---|" + "---:|" * len(OUTCOMES))
    for name in sorted({name for name, _ in counts}):
        print(f"| {name} | {' | '.join(str(counts[name, outcome]) for outcome in OUTCOMES)} |")
    totals = [sum(counts[key] for key in counts if key[1] == outcome) for outcome in OUTCOMES]
    print(f"| all {options.count} | {' | '.join(map(str, totals))} |")
    sys.exit(sum(totals[2:]) > 0)


def make_experiment(folder: Path) -> Path:
    """Write recordings, an experiment of every kind of artifact, and its scores below `folder`; return it."""
    write_corpus(folder)
    experiment = folder / "experiment"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    whole, shards.SHARD_FRAMES = shards.SHARD_FRAMES, 150  # several, of so few recordings
    try:
        sources = ["--speech", str(folder / "speech"), "--noise", str(folder / "noise")]
        app(
            ["train", *sources, "-o", str(experiment), "--network", "deep-nmf", "--epochs", "2", *settings],
            standalone_mode=False,
        )
    finally:
        shards.SHARD_FRAMES = whole
    manifest = experiment / "scored.jsonl"  # with a row that fails, which leaves partial scores
    rows = (experiment / "manifest.jsonl").read_text(encoding="utf-8")
    missing = {"id": "missing", "split": "test", "speech": "none.wav", "noise": "none.wav", "snr_db": 0.0}
    manifest.write_text(rows + json.dumps(missing) + "\n", encoding="utf-8")
    evaluate(manifest, experiment / "test", model=experiment, only=["si_sdr"])
    manifest.unlink()
    DecodedRecordings([(str(folder / "speech/speaker0/a.wav"),)], RATE_HZ, experiment / "decoded")
    return experiment


def write_corpus(folder: Path, seconds: int = 1) -> None:
    """Write recordings of four speakers, of so many seconds, and three types of noise."""
    rng = np.random.default_rng(0)
    t = np.arange(seconds * RATE_HZ) / RATE_HZ
    for index in range(4):
        speech = np.sin(2 * np.pi * (150 + 40 * index) * t) * np.clip(np.sin(20 * t + index), 0, None)
        _write(folder / f"speech/speaker{index}/a.wav", 0.2 * speech)
    for kind in ("hiss", "hum", "rumble"):
        _write(folder / f"noise/{kind}/a.wav", 0.1 * rng.standard_normal(2 * RATE_HZ))


def _write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ, "PCM_16")


def corruptions(experiment: Path, count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Damage one artifact after the other, and yield its name, the change, and the outcome."""
    paths = sorted(path for path in experiment.rglob("*") if path.is_file() and _reader(path) is not None)
    sound = {path: _read(path) for path in paths}
    rng = np.random.default_rng(seed)
    for index in range(count):
        path = paths[index % len(paths)]
        whole = path.read_bytes()
        what, damaged = damaged_bytes(whole, [other.read_bytes() for other in paths], rng)
        path.write_bytes(damaged)
        try:
            outcome = "harmless" if damaged == whole else _outcome(experiment, path, sound[path])
        finally:
            path.write_bytes(whole)
        yield path.relative_to(experiment).as_posix(), what, outcome


def damaged_bytes(whole: bytes, others: list[bytes], rng: np.random.Generator) -> tuple[str, bytes]:
    """Return the change, and the contents of a file after it; `others` may come in its place."""
    change = str(rng.choice(["bit", "bit", "bits", "cut", "more", "zeros", "noise", "swap", "twice", "gone", "other"]))
    size = len(whole)
    length = int(rng.integers(1, max(2, size // 4)))
    start, other = (int(place) for place in rng.integers(0, max(1, size - length), 2))
    damaged = bytearray(whole)
    block = whole[start : start + length]
    if change in {"bit", "bits"}:
        for at in rng.integers(0, size, 1 if change == "bit" else 20):
            damaged[at] ^= 1 << int(rng.integers(8))
    elif change == "cut":
        del damaged[start:]
    elif change == "more":
        damaged += rng.bytes(length)
    elif change in {"zeros", "noise"}:
        damaged[start : start + length] = bytes(len(block)) if change == "zeros" else rng.bytes(len(block))
    elif change == "swap":
        damaged[start : start + length], damaged[other : other + length] = whole[other : other + length], block
    elif change == "twice":
        damaged[start:start] = block
    elif change == "gone":
        del damaged[start : start + length]
    else:
        return "another in its place", others[rng.integers(len(others))]
    return f"{change} at {start} of {size}, {length} long", bytes(damaged)


def _outcome(experiment: Path, path: Path, sound: Any) -> str:
    try:
        found = _read(path)
    except DeepnmfError as error:
        if path.name not in str(error):
            return "silent"
        return "named" if any(path.name in problem for problem in verify(experiment).problems) else "not by verify"
    except Exception:
        return "traceback"
    if path.name == "timing.json":
        return "harmless"  # the speed of another system in a comparison: no result depends on it
    same = found.items() <= sound.items() if path.name == "scores.partial.jsonl" else found == sound
    return "harmless" if same else "silent"


def _read(path: Path) -> Any:
    """Return what the stage that needs an artifact reads from it, in comparable form."""
    reader = _reader(path)
    assert reader is not None
    return reader(path)


def _reader(path: Path) -> Callable[[Path], Any] | None:
    if path.parent.name == "features" and path.name != "plan.json":
        return lambda path: [_features(path.parent, split) for split in ("train", "dev")]
    if path.parent.name == "decoded":
        return lambda path: (read_index(path.with_suffix(".json")), path.with_suffix(".int16").read_bytes())
    return READERS.get(path.name)


def _features(folder: Path, split: str) -> list[bytes]:
    data = FeatureSet(folder, split, context=2, segment_frames=50)
    return [array.tobytes() for segment in data.segments for array in data.example(segment)]


def _model(name_or_path: Path) -> Any:
    model = load_model(name_or_path)
    return _bytes(model.network.arrays()), model.metadata


def _dictionary(path: Path) -> Any:
    found = load_dictionary(path)
    return _bytes({"speech": found.speech, "noise": found.noise}), dataclasses.asdict(found.snmf), found.metadata


def _bytes(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: np.asarray(array).tobytes() for name, array in arrays.items()}


def _checkpoint(path: Path) -> Any:
    arrays, metadata = load_tensors(path, "checkpoint")
    return _bytes(arrays), metadata


def _scores(path: Path) -> Any:
    return json.dumps(dataclasses.asdict(read_evaluation(path.parent)))


def _partial(path: Path) -> dict[str, str]:
    found = read_partial_scores(path)
    if found.damaged:  # `evaluate` prints a line and scores these again
        raise DeepnmfError(f"{path}: {found.damaged[path]} lines are damaged")
    return {key: json.dumps(dataclasses.asdict(score)) for key, score in found.scores.items()} | found.failures


READERS: dict[str, Callable[[Path], Any]] = {
    "best.safetensors": lambda path: _model(path.parent),
    "last.safetensors": _model,
    "dictionary.safetensors": _dictionary,
    "checkpoint.safetensors": _checkpoint,
    "manifest.jsonl": read_manifest,
    "experiment.json": read_json,
    "corpus.json": read_json,
    "recordings.json": read_json,
    "plan.json": read_json,
    "timing.json": read_json,
    "scores.csv": _scores,
    "summary.json": _scores,
    "table.md": lambda path: check_table(path.parent),
    "scores.partial.jsonl": _partial,
}


if __name__ == "__main__":
    main()
