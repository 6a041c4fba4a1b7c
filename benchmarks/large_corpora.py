"""Memory, disk and time of features and of dynamic mixing at 1, 4 and 16 times the data, in files and in tar files.

Usage: python benchmarks/large_corpora.py [--scales 1 4 16] [--recordings 40] [--segments 200] [--cache-mb 10]

Writes synthetic recordings of 8 s into a temporary folder, prepares them, writes features, and draws segments with a
cache of decoded recordings that is smaller than any of the corpora. Each row is measured in a process of its own; time
is that of the processor, as other work on the machine would show in any other.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from deepnmf.config import FeatureConfig, PrepareConfig
from deepnmf.data.dynamic_mixing import DynamicMixtures
from deepnmf.data.features import features
from deepnmf.data.prepare import prepare
from deepnmf.errors import is_installed

RATE_HZ, SECONDS, SEGMENT_FRAMES = 16000, 8, 300
TAR_RECORDINGS = 50
COLUMNS = ("corpus", "hours", "stage", "processor seconds", "peak memory MB", "written MB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--recordings", type=int, default=40)
    parser.add_argument("--segments", type=int, default=200)
    parser.add_argument("--cache-mb", type=float, default=10)
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|---|---:|---|" + "---:|" * 3)
    for row in measure(options.scales, options.recordings, options.segments, options.cache_mb):
        print("| " + " | ".join(row[:3] + [f"{value:.1f}" for value in row[3:]]) + " |", flush=True)


def measure(scales: list[int], recordings: int, segments: int, cache_mb: float) -> Iterator[list[Any]]:
    """Yield a row of `COLUMNS` for each layout, scale and stage."""
    for layout in ("files", "tar files") if is_installed("webdataset") else ("files",):
        for scale in scales:
            with tempfile.TemporaryDirectory() as name:
                folder, hours = Path(name), 2 * scale * recordings * SECONDS / 3600
                sources = write_recordings(folder, scale * recordings, layout)
                prepare(folder / "exp", *sources, config=PrepareConfig(mixtures_per_utterance=1))
                for stage, arguments in ((_features, ()), (_mixing, (segments, cache_mb))):
                    found = _alone(stage, folder / "exp", *arguments)
                    yield [layout, f"{hours:.2f}", stage.__name__[1:], *found]


def write_recordings(folder: Path, count: int, layout: str) -> tuple[Path, Path]:
    """Write `count` recordings each of speech and of noise, and return where they are."""
    rng, sources = np.random.default_rng(0), []
    for kind in ("speech", "noise"):
        paths = [folder / kind / f"{index % 10:02d}" / f"{index:06d}.wav" for index in range(count)]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            pulses = np.sin(2 * np.pi * rng.uniform(2, 4) * np.arange(SECONDS * RATE_HZ) / RATE_HZ).clip(0.05)
            soundfile.write(path, 0.2 * pulses * rng.standard_normal(SECONDS * RATE_HZ), RATE_HZ, "PCM_16")
        sources.append(folder / kind if layout == "files" else _pack(folder, kind, paths))
    speech, noise = sources
    return speech, noise


def _pack(folder: Path, kind: str, paths: list[Path]) -> Path:
    count = -(-len(paths) // TAR_RECORDINGS)
    for number in range(count):
        with tarfile.open(folder / f"{kind}-{number:06d}.tar", "w") as tar:
            for path in paths[number * TAR_RECORDINGS : (number + 1) * TAR_RECORDINGS]:
                tar.add(path, path.relative_to(folder / kind).as_posix())
                path.unlink()
    return folder / f"{kind}-{{000000..{count - 1:06d}}}.tar"


def _features(experiment: Path) -> tuple[float, float, float]:
    start = time.process_time()
    features(experiment / "manifest.jsonl", experiment / "features", FeatureConfig())
    return time.process_time() - start, _peak_mb(), _size_mb(experiment / "features")


def _mixing(experiment: Path, segments: int, cache_mb: float) -> tuple[float, float, float]:
    start = time.process_time()
    how = FeatureConfig(), PrepareConfig(), SEGMENT_FRAMES, int(cache_mb * 1e6)
    mixtures = DynamicMixtures(experiment / "manifest.jsonl", *how)
    for segment in range(segments):
        mixtures.draw(np.random.default_rng(segment), segment)
    return time.process_time() - start, _peak_mb(), _size_mb(experiment / "decoded")


def _alone(function: Callable[..., tuple[float, float, float]], *arguments: object) -> tuple[float, float, float]:
    """Return what a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*")) / 1e6


if __name__ == "__main__":
    main()
