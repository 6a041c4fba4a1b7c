"""Stage 2: magnitudes of mixtures and of their parts, in shards that are memory-mapped when read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..artifacts import file_hash, read_json, save_tensors, write_json
from ..config import FeatureConfig, difference, to_dict
from ..dsp.level import LevelTracker
from ..dsp.stft import stack_context, stft
from ..errors import DeepnmfError
from ..records import read_features
from ..schema import ArraySpec, Shapes, check_arrays
from ..tensor_file import TensorFile, about, open_tensors
from .manifest import MixtureEntry, read_manifest
from .mixing import load_mixture

ROWS_PER_SHARD = 64
SPLITS = ("train", "dev")
SIGNALS = ("mixture", "speech", "noise")
"""First axis of a shard's magnitudes."""


def features(manifest: Path, output: Path, config: FeatureConfig | None = None) -> list[str]:
    """Write the magnitudes of the manifest's train and dev mixtures into the folder `output`.

    A shard holds ``magnitudes`` ``(3, frames, F)`` of mixture, speech and noise, the mixture's causal ``level``
    ``(frames,)`` and the ``frames`` of each of its rows. Shards that are there already are kept, so an interrupted run
    goes on where it stopped. Memory holds one shard, however large the corpus.

    Returns
    -------
    list of str
        One line for each mixture that was left out, and why.

    Raises
    ------
    DeepnmfError
        If the folder has features of another configuration or manifest, or no mixture can be used.
    """
    config, output = config or FeatureConfig(), Path(output)
    plan = {"features": to_dict(config), "manifest": file_hash(manifest)}
    _claim(output, plan)
    shards: dict[str, dict[str, str]] = {}
    left_out: list[str] = []
    for split in SPLITS:
        rows = [row for row in read_manifest(manifest) if row.split == split]
        starts = range(0, len(rows), ROWS_PER_SHARD)
        for start in tqdm(starts, desc=f"features {split}", unit="shard", disable=None):
            path = output / f"{split}-{start // ROWS_PER_SHARD:05d}.safetensors"
            if not path.exists():
                _write_shard(path, rows[start : start + ROWS_PER_SHARD], config)
            record = open_shard(path, config.stft.bins).metadata
            left_out += record["left_out"]
            if record["rows"]:
                shards.setdefault(split, {})[path.name] = record["sha256"]
    if "train" not in shards:
        raise DeepnmfError(f"{manifest}: no usable training mixture; {left_out[0] if left_out else 'it has none'}")
    record = {**plan, "recordings": str(Path(manifest).resolve()), "shards": shards, "left_out": left_out}
    write_json(output / "features.json", record)
    return left_out


def _claim(output: Path, plan: dict[str, Any]) -> None:
    """Mark the folder as that of `plan`, or refuse it if it holds features of another."""
    path = output / "plan.json"
    if path.exists():
        if found := difference(plan, read_json(path)):
            raise DeepnmfError(f"{output}: holds features of another run ({found}); delete it or choose another folder")
    else:
        write_json(path, plan)


def _write_shard(path: Path, rows: list[MixtureEntry], config: FeatureConfig) -> None:
    magnitudes, levels, frames, left_out = [], [], [], []
    for row in rows:
        try:
            values, level = mixture_features(row, config)
        except DeepnmfError as error:
            left_out.append(str(error))
            continue
        magnitudes.append(values)
        levels.append(level)
        frames.append(len(level))
    tensors = {
        "magnitudes": np.concatenate(magnitudes, axis=1) if frames else np.zeros((3, 0, config.stft.bins), np.float32),
        "level": np.concatenate(levels) if frames else np.zeros(0, np.float32),
        "frames": np.array(frames, np.int64),
    }
    save_tensors(path, tensors, "features", {"left_out": left_out, "rows": len(frames)})


def mixture_features(row: MixtureEntry, config: FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnitudes ``(3, frames, F)`` of mixture, speech and noise, and the mixture's level ``(frames,)``."""
    mixture = load_mixture(row, config.stft.rate_hz)
    spectra = stft(np.stack([mixture.noisy, mixture.speech, mixture.noise]), config.stft)
    magnitudes = np.abs(spectra)
    tracker = LevelTracker(config.level_seconds, config.stft.hop / config.stft.rate_hz)
    return np.ascontiguousarray(magnitudes.swapaxes(1, 2)), tracker.push(magnitudes[0])


def open_shard(path: Path, bins: int, sha256: str | None = None) -> TensorFile:
    """Open a shard of magnitudes of F `bins`, checked and memory-mapped.

    Raises
    ------
    DeepnmfError
        If it is missing, damaged, no shard, or not the one with this checksum.
    """
    file = open_tensors(path, "features")
    with about(path, "delete it and run `deepnmf features` again"):
        if sha256 not in {None, file.metadata["sha256"]}:
            raise DeepnmfError("another shard than the one that features.json records")
        _check_shard(file, bins)
    return file


def _check_shard(file: TensorFile, bins: int) -> None:
    shapes = Shapes(file.shapes)
    (total,), (rows,) = shapes.axes("level", 1), shapes.axes("frames", 1)
    specs = {
        "magnitudes": ArraySpec((len(SIGNALS), total, bins), nonnegative=True, dtypes=("float32",)),
        "level": ArraySpec((total,), nonnegative=True, dtypes=("float32",)),
        "frames": ArraySpec((rows,), nonnegative=True, dtypes=("int64",)),
    }
    check_arrays(specs, file.arrays)
    frames, level = file.arrays["frames"], file.arrays["level"]
    if rows and (frames.min() < 1 or frames.max() > total or frames.sum() != total or level.min() <= 0):
        raise DeepnmfError(f"its rows do not have {total} frames of positive level")
    left_out = file.metadata.get("left_out")
    if file.metadata.get("rows") != rows or not isinstance(left_out, list):
        raise DeepnmfError("its rows are not those that it records")


def read_record(folder: Path) -> dict[str, Any]:
    """Return what :func:`features` wrote last, ``features.json``.

    Raises
    ------
    DeepnmfError
        If the folder is not finished, or the file is damaged or not one of :func:`features`.
    """
    path = Path(folder) / "features.json"
    record = read_json(path)
    shards = record.get("shards")
    if not isinstance(shards, dict) or not all(isinstance(files, dict) for files in shards.values()):
        raise DeepnmfError(f"{path}: lacks the checksums of the shards; run `deepnmf features` again")
    if not all(Path(name).name == name for files in shards.values() for name in files):
        raise DeepnmfError(f"{path}: names shards outside its folder; run `deepnmf features` again")
    return record


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of one utterance: ``start`` to ``stop`` in a shard, ``past`` frames of it just before them."""

    shard: int
    start: int
    stop: int
    past: int


class FeatureSet:
    """Read one split of a feature folder, a segment at a time, from memory-mapped shards.

    Parameters
    ----------
    folder : Path
        What :func:`features` wrote.
    split : str
        ``"train"`` or ``"dev"``.
    context : int
        T of the network.
    segment_frames : int, optional
        Utterances are cut into segments of at most this many frames; by default they are whole.

    Raises
    ------
    DeepnmfError
        If the folder is not finished or has no such split, or a shard is missing, damaged or another one.
    """

    def __init__(self, folder: Path, split: str, context: int, segment_frames: int | None = None) -> None:
        record = read_record(folder)
        self.record = record
        with about(Path(folder) / "features.json"):
            self.config = read_features(record.get("features"))
        self.context = context
        if split not in record["shards"]:
            raise DeepnmfError(f"{folder}: no {split} features; the manifest needs {split} rows")
        bins = self.config.stft.bins
        files = record["shards"][split].items()
        self._shards = [open_shard(Path(folder) / name, bins, sha256).arrays for name, sha256 in files]
        self.segments = list(self._cut(segment_frames))
        self.frames = sum(segment.stop - segment.start for segment in self.segments)

    @property
    def recordings(self) -> Path:
        """The manifest that the features were made of, for those who need the recordings themselves.

        Raises
        ------
        DeepnmfError
            If it is gone or another one by now.
        """
        if "recordings" not in self.record:
            raise DeepnmfError("the features were made by an earlier deepnmf and do not say of what; make them anew")
        path = Path(self.record["recordings"])
        if file_hash(path) != self.record["manifest"]:
            raise DeepnmfError(f"{path}: has changed since the features were made; make them anew")
        return path

    def _cut(self, segment_frames: int | None) -> Iterator[Segment]:
        for index, shard in enumerate(self._shards):
            begin = 0
            for length in shard["frames"].tolist():
                end = begin + length
                for start in range(begin, end, segment_frames or length):
                    stop = min(end, start + (segment_frames or length))
                    yield Segment(index, start, stop, min(self.context - 1, start - begin))
                begin = end

    def load(self, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """Return magnitudes at unit level ``(3, F, past + N)`` and the level ``(past + N,)`` they were divided by."""
        first = segment.start - segment.past
        shard = self._shards[segment.shard]
        values = shard["magnitudes"][:, first : segment.stop]
        level = shard["level"][first : segment.stop].copy()
        return (values / level[:, None]).swapaxes(1, 2), level

    def stacked(self, segment: Segment, signal: str = "mixture") -> np.ndarray:
        """Return the context-stacked magnitudes ``(T·F, N)`` of one of the `SIGNALS`."""
        return self._stack(self.load(segment)[0][SIGNALS.index(signal)], segment)

    def example(self, segment: Segment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the stacked mixture ``(T·F, N)``, and speech and noise of the current frames ``(F, N)``."""
        values, _ = self.load(segment)
        return (self._stack(values[0], segment), values[1][:, segment.past :], values[2][:, segment.past :])

    def _stack(self, magnitudes: np.ndarray, segment: Segment) -> np.ndarray:
        silence = np.zeros((len(magnitudes), self.context - 1 - segment.past), magnitudes.dtype)
        return stack_context(np.concatenate([silence, magnitudes], axis=1), self.context)[:, self.context - 1 :]

    def batches(self, batch_frames: int, epoch_frames: int, rng: np.random.Generator) -> Iterator[list[Segment]]:
        """Yield segments in random order, in groups of about `batch_frames` frames, until `epoch_frames` are out.

        Zero stands for all: of the epoch in `batch_frames`, of the split in `epoch_frames`.
        """
        epoch_frames = min(epoch_frames or self.frames, self.frames)
        batch: list[Segment] = []
        held = 0
        for index in rng.permutation(len(self.segments)):
            batch.append(self.segments[index])
            held += batch[-1].stop - batch[-1].start
            if held >= min(batch_frames or epoch_frames, epoch_frames):
                yield batch
                epoch_frames -= held
                batch, held = [], 0
                if epoch_frames <= 0:
                    return
