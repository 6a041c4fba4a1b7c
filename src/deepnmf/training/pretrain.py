"""Stage 3: dictionaries of speech and of noise by sparse NMF, trained separately (Hershey et al. 2014, §4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..artifacts import save_tensors
from ..artifacts.outputs import check_suffix, check_writable
from ..config import to_dict
from ..data.features import FeatureSet, Segment
from ..errors import DeepnmfError, InputError, require
from ..networks.kinds import Config
from ..nmf.dictionary import Dictionary, load_dictionary
from ..nmf.sparse_nmf import SparseNMF
from ..progress import Progress
from .processes import Processes, joined

SEGMENT_FRAMES = 50
"""Short, so that the drawn frames come from many recordings."""


def pretrain(features: Path, output: Path, config: Config | None = None) -> Dictionary:
    """Learn both dictionaries and write them to the file `output`.

    Frames are drawn from the stored features of the training split; kinds with dynamic mixing, which store none, draw
    them from mixtures made on the fly.

    Parameters
    ----------
    features : Path
        Output of :func:`deepnmf.data.features.features`.
    output : Path
        ``dictionary.safetensors``: the atoms, and the objective at every tenth iteration in its metadata.
    config : Config, optional
        Its section ``snmf``, the context of the network and the seed.

    Raises
    ------
    DeepnmfError
        If the kind of network starts from no dictionary, there are no features of train although the kind needs them,
        the atoms are not finite, or the name of the output has another suffix.
    """
    check_suffix(output, "a dictionary", ".safetensors")
    config = config or Config()
    if not config.kind.FROM_DICTIONARY:
        raise InputError(f"{config.network.kind} starts from no dictionary: leave out this stage")
    with joined() as processes:
        processes.from_first(lambda: check_writable(output))
        dev = FeatureSet(features, "dev", 1)
        config = dataclasses.replace(config, features=dev.config)
        atoms, objectives, snmf = {}, {}, config.snmf
        for index, (source, count) in enumerate((("speech", snmf.speech_atoms), ("noise", snmf.noise_atoms))):
            frames = _sample(Path(features), dev, config, index, processes)
            atoms[source], objectives[source] = _fit(source, count, frames, config, processes)
        processes.from_first(lambda: _save(output, atoms, objectives, dev, config))
        return load_dictionary(output)


def _save(
    output: Path, atoms: dict[str, np.ndarray], objectives: dict[str, list[float]], dev: FeatureSet, config: Config
) -> None:
    metadata = {
        "features": to_dict(config.features),
        "snmf": to_dict(config.snmf),
        "seed": config.train.seed,
        "manifest": dev.record["manifest"],
        "objective": objectives,
    }
    save_tensors(output, atoms, "dictionary", metadata)


def _fit(
    source: str, count: int, frames: np.ndarray, config: Config, processes: Processes
) -> tuple[np.ndarray, list[float]]:
    """Return atoms ``(T·F, R)`` learned from frames of that height, of which each process has a part; the objective."""
    snmf = config.snmf
    learner = SparseNMF(
        count, beta=snmf.beta, sparsity=snmf.sparsity, max_iter=snmf.iterations, tol=0, random_state=config.train.seed
    )
    with Progress(f"dictionary of {source}", snmf.iterations, "iterations") as progress:

        def advance(_: int, objective: float) -> None:
            progress.update(note=f"objective {objective:.4g}")

        learner.fit(frames.T, progress=advance, partition=processes)
    atoms = np.ascontiguousarray(learner.components_.T)
    if not np.isfinite(atoms).all():
        raise DeepnmfError(f"pretrain: the dictionary of {source} diverged; use snmf.beta from 0 to 2")
    return atoms, learner.objective_


def _sample(features: Path, dev: FeatureSet, config: Config, signal: int, processes: Processes) -> np.ndarray:
    """Return this process's part of frames of speech (0) or of noise (1), ``(T·F, N)``, drawn by seed."""
    seed, limit, context = config.train.seed, config.snmf.max_frames, config.context
    if "train" in dev.record["shards"] or not config.kind.DYNAMIC_MIXING:
        data = FeatureSet(features, "train", context, SEGMENT_FRAMES)
        order = np.random.default_rng(seed).permutation(len(data.segments))
        drawn = processes.share(_first((data.segments[i] for i in order), limit))
        own = [data.stacked(segment, ("speech", "noise")[signal]) for segment in drawn]
        return np.concatenate([np.zeros((context * dev.config.stft.bins, 0), np.float32), *own], axis=1)
    require("dynamic mixing", "scipy")
    from .batches import DynamicBatches

    batches = processes.first_alone(lambda: DynamicBatches(dev.recordings, config, segments=1))
    count = min(batches.epoch_batches, -(-limit // batches.batch_frames))
    own = []
    for i in processes.share(range(count)):
        (mixture,), (speech,) = batches.example(0, i, [0])
        spectrum = mixture - speech if signal else speech
        own.append(np.abs(spectrum[:, : limit - i * batches.batch_frames]))
    return np.concatenate([np.zeros((dev.config.stft.bins, 0), np.float32), *own], axis=1)


def _first(segments: Iterable[Segment], limit: int) -> list[Segment]:
    """Return the first segments, of at most `limit` frames together; the last one is cut."""
    chosen = []
    for segment in segments:
        frames = min(limit, segment.stop - segment.start)
        chosen.append(dataclasses.replace(segment, stop=segment.start + frames))
        limit -= frames
        if not limit:
            break
    return chosen
