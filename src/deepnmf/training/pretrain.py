"""Stage 3: dictionaries of speech and of noise by sparse NMF, trained apart (docs/model.md §1)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..artifacts import save_tensors
from ..config import SnmfConfig, to_dict
from ..data.features import FeatureSet
from ..nmf.dictionary import Dictionary, load_dictionary
from ..nmf.sparse_nmf import SparseNMF


def pretrain(features: Path, output: Path, config: SnmfConfig | None = None, seed: int = 0) -> Dictionary:
    """Learn both dictionaries from a feature folder and write them to the file `output`.

    Parameters
    ----------
    features : Path
        What :func:`deepnmf.data.features.features` wrote.
    output : Path
        ``dictionary.safetensors``: the atoms, and the objective at every tenth iteration in its metadata.
    config : SnmfConfig, optional
        Atoms, context, β, sparsity, iterations and the most frames to learn from.
    seed : int
        Seed of the frames drawn and of the starting atoms.
    """
    config = config or SnmfConfig()
    data = FeatureSet(features, "train", config.context, segment_frames=50)
    atoms, objectives = {}, {}
    for source, count in (("speech", config.speech_atoms), ("noise", config.noise_atoms)):
        frames = sample_frames(data, source, config.max_frames, seed)
        snmf = SparseNMF(
            count,
            beta=config.beta,
            sparsity=config.sparsity,
            max_iter=config.iterations,
            tol=0,
            random_state=seed,
        )
        with tqdm(total=config.iterations, desc=f"dictionary of {source}", disable=None) as bar:
            snmf.fit(frames.T, progress=functools.partial(_advance, bar))
        atoms[source] = snmf.components_.T
        objectives[source] = snmf.objective_
    metadata = {
        "features": to_dict(data.config),
        "snmf": to_dict(config),
        "seed": seed,
        "manifest": data.record["manifest"],
        "objective": objectives,
    }
    save_tensors(output, atoms, "dictionary", metadata)
    return load_dictionary(output)


def _advance(bar: Any, _iteration: int, objective: float) -> None:
    bar.set_postfix_str(f"objective {objective:.4g}", refresh=False)
    bar.update()


def sample_frames(data: FeatureSet, source: str, limit: int, seed: int) -> np.ndarray:
    """Return at most `limit` context-stacked frames ``(T·F, N)`` of one source, from segments drawn by seed."""
    chosen, held = [], 0
    rng = np.random.default_rng(seed)
    for index in rng.permutation(len(data.segments)):
        chosen.append(data.stacked(data.segments[index], source))
        held += chosen[-1].shape[1]
        if held >= limit:
            break
    return np.concatenate(chosen, axis=1)[:, :limit]
