"""Stage 2: magnitudes or spectra of mixtures and of their parts, in memory-mapped shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..artifacts import file_hash, read_json, write_json
from ..artifacts.outputs import check_writable
from ..artifacts.paths import resolved
from ..artifacts.records import is_text, read_features
from ..artifacts.schema import shown
from ..artifacts.tensor_file import about
from ..config import FeatureConfig, difference, to_dict
from ..dsp.stft import stack_context
from ..errors import DeepnmfError
from ..progress import Progress, note
from ..shards import WHOLE, Shard
from .blocks import Block, blocks_of
from .manifest import MixtureEntry, check_splits, read_manifest
from .pieces import LAYOUTS, SPECTRA, Position, feature_pieces
from .shards import SIGNALS, open_shard, write_shard

FORMAT = 4
"""Of the feature folder: blocks of mixtures in files bounded by frames, listed with their checksums; spectra of dev."""
PLAN, FEATURES = "plan.json", "features.json"
"""What the folder holds features of, written first; its shards and their checksums, written last."""
SPLITS = ("train", "dev")
SAMPLED_SEGMENTS, SAMPLED_FRAMES, SAMPLED_STEP = 20, 250, 4
"""About how many segments :meth:`FeatureSet.sample` takes, how many frames of each, and each which one."""
BlockRecords: TypeAlias = dict[str, dict[str, Any]]
"""What each file of a block records, by its name."""


def features(
    manifest: Path,
    output: Path,
    config: FeatureConfig | None = None,
    splits: Sequence[str] = SPLITS,
    shard: Shard = WHOLE,
) -> list[str]:
    """Write the magnitudes of the manifest's train mixtures and the spectra of dev into the folder `output`.

    Networks trained with dynamic mixing need dev alone: give `splits`. Splits already in the folder are kept.
    Files (:func:`deepnmf.data.shards.write_shard`) that exist already are kept, so an interrupted run resumes. Memory
    holds one, however large the corpus. ``features.json``, written last, lists frames and sha256 of each.

    Parameters
    ----------
    manifest : Path
        What :func:`deepnmf.data.prepare.prepare` wrote.
    output : Path
        Folder to write to.
    config : FeatureConfig, optional
        Transform and level.
    splits : sequence of str
        Splits of the manifest.
    shard : Shard
        Which part of the mixtures, without a change to the files. The last one to finish writes ``features.json``; so
        does a run without shards, which also writes missing ones.

    Returns
    -------
    list of str
        Mixtures that were left out, and why: of all once ``features.json`` is written, else of `shard`.

    Raises
    ------
    DeepnmfError
        If the folder has features of another configuration or manifest, or no mixture can be used.
    """
    config, output = config or FeatureConfig(), Path(output)
    check_writable(*(output / name for name in (PLAN, FEATURES)))
    entries = read_manifest(manifest)
    plan = {"format": FORMAT, "features": to_dict(config), "manifest": file_hash(manifest)}
    check_splits(manifest, entries, splits[:1])
    _check_or_record_run(output, plan)
    of_split = {split: [entry for entry in entries if entry.split == split] for split in _wanted(output, splits)}
    blocks = [block for split, mixtures in of_split.items() for block in blocks_of(split, mixtures, config)]
    own = shard.of(blocks)
    records = dict(zip(own, _write_blocks(output, own, of_split, config), strict=True))
    for block in blocks:
        if block not in records and (found := _read_block(output, block, config)):
            records[block] = found
    left_out = _left_out(records[block] for block in blocks if block in records)
    if len(records) < len(blocks):
        note(f"features: shard {shard} is done, {len(blocks) - len(records)} of {len(blocks)} blocks are not")
        return left_out
    shards = _checksums(records)
    if splits[0] not in shards:
        raise DeepnmfError(f"{manifest}: no usable {splits[0]} mixture; {left_out[0]}")
    record = {**plan, "recordings": str(resolved(manifest)), "shards": shards, "left_out": left_out}
    write_json(output / FEATURES, record)
    return left_out


def _left_out(records: Iterable[BlockRecords]) -> list[str]:
    """Return each line about what was left out once: a recording is in several mixtures."""
    lines = (line for record in records for file in record.values() for line in file["left_out"])
    return [*dict.fromkeys(lines)]


def _checksums(records: dict[Block, BlockRecords]) -> dict[str, dict[str, str]]:
    """Return the sha256 of the files that hold anything, by split and name."""
    found: dict[str, dict[str, str]] = {}
    for block, record in records.items():
        if used := {name: file["sha256"] for name, file in record.items() if file["rows"]}:
            found.setdefault(block.split, {}).update(used)
    return found


def _wanted(output: Path, splits: Sequence[str]) -> list[str]:
    """Return the splits, and those finished by an earlier run."""
    path = output / FEATURES
    present = read_record(output)["shards"] if path.exists() else {}
    return [split for split in SPLITS if split in splits or split in present]


def _write_blocks(
    output: Path, blocks: Sequence[Block], entries: dict[str, list[MixtureEntry]], config: FeatureConfig
) -> Iterator[BlockRecords]:
    """Write the missing blocks; yield the record of each of their files, by its name."""
    for split, mixtures in entries.items():
        if not (of_split := [block for block in blocks if block.split == split]):
            continue
        count = sum(block.stop - block.start for block in of_split)
        with Progress(f"features {split}", count, "mixtures") as progress:
            for block in of_split:
                yield dict(_block_files(output, block, mixtures, config, progress))


def _block_files(
    output: Path, block: Block, entries: Sequence[MixtureEntry], config: FeatureConfig, progress: Progress
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and record of each file of a block, written where it is missing."""
    position, pieces, part = Position(block.start), None, 0
    while position.entry < block.stop:
        path = block.path(output, part)
        if path.exists():
            pieces = None
        else:
            pieces = pieces or feature_pieces(entries, position, config, block.stop)
            write_shard(path, block.split, pieces, position)
        record = _checked_record(path, block.split, position, config)
        yield path.name, record
        end = Position(*record["end"])
        progress.update(end.entry - position.entry)
        position, part = end, part + 1


def _read_block(output: Path, block: Block, config: FeatureConfig) -> BlockRecords | None:
    """Return the records of a block's files, None if another shard has not written them all."""
    position, found = Position(block.start), BlockRecords()
    while position.entry < block.stop:
        path = block.path(output, len(found))
        if not path.exists():
            return None
        found[path.name] = record = _checked_record(path, block.split, position, config)
        position = Position(*record["end"])
    return found


def _checked_record(path: Path, split: str, start: Position, config: FeatureConfig) -> dict[str, Any]:
    """Return the record of a file of features; raise if it is damaged, or does not begin at `start`."""
    record = open_shard(path, split, config.stft.bins).metadata
    if Position(*record["start"]) != start or Position(*record["end"]) <= start:
        raise DeepnmfError(f"{path}: not the shard that belongs here; delete the folder and run features again")
    return record


def _check_or_record_run(output: Path, plan: dict[str, Any]) -> None:
    """Mark the folder as that of `plan`, or reject it if it holds features of another."""
    path = output / PLAN
    if path.exists():
        if found := difference(plan, read_json(path)):
            raise DeepnmfError(f"{output}: holds features of another run ({found}); delete it or choose another folder")
    else:
        write_json(path, plan)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record that :func:`features` writes last, ``features.json``.

    Raises
    ------
    DeepnmfError
        If the folder is not finished, or the file is damaged or not one of :func:`features`.
    """
    path = Path(folder) / FEATURES
    record = read_json(path)
    if record.get("format") != FORMAT:
        found = f"format {shown(record.get('format'))} of another deepnmf, not {FORMAT}"
        raise DeepnmfError(f"{path}: {found}; delete its folder and run `deepnmf features` again")
    with about(path, "delete it and run `deepnmf features` again"):
        read_features(record.get("features"))
        for key in ("manifest", "recordings"):
            if not is_text(record.get(key)):
                raise DeepnmfError(f"{key} must be text, not {shown(record.get(key))}")
        _check_listed(record.get("shards"))
    return record


def _check_listed(shards: Any) -> None:
    """Raise `DeepnmfError` unless these are names and checksums of shards by split."""
    if not isinstance(shards, dict) or not all(isinstance(files, dict) for files in shards.values()):
        raise DeepnmfError("lacks the checksums of the shards")
    for name, sha256 in [item for files in shards.values() for item in files.items()]:
        if not is_text(name) or Path(name).name != name:
            raise DeepnmfError(f"names a shard outside its folder, {shown(name)}")
        if not is_text(sha256):
            raise DeepnmfError(f"the checksum of {name} must be text, not {shown(sha256)}")


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of one utterance: ``start`` to ``stop`` in a shard, ``past`` frames of it just before them.

    The past of an utterance that is cut between two shards may be in the shard before.
    """

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
        Utterances are cut into segments of at most this many frames; by default they are whole, except for long ones
        that are cut between two shards.

    Raises
    ------
    DeepnmfError
        If the folder is not finished or has no such split, or a shard is missing, damaged or another one.
    """

    def __init__(self, folder: Path, split: str, context: int, segment_frames: int | None = None) -> None:
        from safetensors import safe_open

        record = read_record(folder)
        self.record = record
        self.config = read_features(record["features"])
        self.context = context
        if split not in record["shards"]:
            raise DeepnmfError(
                f"{folder}: no {split} features: the manifest has no {split} rows, or they were made for a kind of "
                "network that needs none; run `deepnmf features` with `network.kind`"
            )
        paths = {Path(folder) / name: sha256 for name, sha256 in record["shards"][split].items()}
        checked = [open_shard(path, split, self.config.stft.bins, sha256).metadata for path, sha256 in paths.items()]
        self._continued = [metadata["continued"] for metadata in checked]
        # Python's mmap holds a file descriptor, and a large corpus has more shards than a process has descriptors.
        self._shards = [safe_open(path, framework="numpy") for path in paths]
        self._layout = LAYOUTS[split]
        self._levels = [shard.get_tensor("level") for shard in self._shards]
        self.segments = list(self._cut(segment_frames))
        self.frames = sum(segment.stop - segment.start for segment in self.segments)

    @property
    def recordings(self) -> Path:
        """The manifest of the features, for access to the recordings themselves.

        Raises
        ------
        DeepnmfError
            If it is missing or has changed since.
        """
        path = Path(self.record["recordings"])
        if file_hash(path) != self.record["manifest"]:
            raise DeepnmfError(f"{path}: has changed since the features were made; run `deepnmf features` again")
        return path

    def _cut(self, segment_frames: int | None) -> Iterator[Segment]:
        before = 0
        for index, shard in enumerate(self._shards):
            begin, past = 0, before if self._continued[index] else 0
            for length in shard.get_tensor("frames").tolist():
                end = begin + length
                for start in range(begin, end, segment_frames or length):
                    stop = min(end, start + (segment_frames or length))
                    yield Segment(index, start, stop, min(self.context - 1, past + start - begin))
                begin, past, before = end, 0, length

    def load(self, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """Return magnitudes at unit level ``(3, F, past + N)`` and the level ``(past + N,)`` they were divided by."""
        values, level = self._at_unit_level(segment)
        if self._layout is SPECTRA:
            mixture, speech = values.view(np.complex64)
            values = np.abs(np.stack([mixture, speech, mixture - speech]))
        return values.swapaxes(1, 2), level

    def spectra(self, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """Return the spectra of mixture and speech in dev at unit level, ``(2, F, past + N)`` complex64; the level."""
        values, level = self._at_unit_level(segment)
        return values.view(np.complex64).swapaxes(1, 2), level

    def _at_unit_level(self, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """Return the stored values of a segment and its past, divided by their level, and the level."""
        first = segment.start - segment.past
        parts = [self._read(segment.shard, max(0, first), segment.stop)]
        if first < 0:
            frames = len(self._levels[segment.shard - 1])
            parts.insert(0, self._read(segment.shard - 1, frames + first, frames))
        values = np.concatenate([values for values, _ in parts], axis=1)
        level = np.concatenate([level for _, level in parts])
        return values / level[:, None], level

    def _read(self, shard: int, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self._shards[shard].get_slice(self._layout.name)[:, first:stop], self._levels[shard][first:stop]

    def stacked(self, segment: Segment, signal: str = "mixture") -> np.ndarray:
        """Return the context-stacked magnitudes ``(T·F, N)`` of one of the `SIGNALS`."""
        return self._stack(self.load(segment)[0][SIGNALS.index(signal)], segment)

    def sample(self) -> np.ndarray:
        """Return the context-stacked magnitudes ``(T·F, N)`` of some thousand frames of mixtures all over the split."""
        chosen = self.segments[:: max(1, len(self.segments) // SAMPLED_SEGMENTS)]
        frames = slice(0, SAMPLED_FRAMES * SAMPLED_STEP, SAMPLED_STEP)
        return np.concatenate([self.stacked(segment)[:, frames] for segment in chosen], axis=1)

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
