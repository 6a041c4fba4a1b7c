"""Stage 4: discriminative training of the unfolded network, resumable at every epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from . import __version__
from .artifacts import load_tensors, read_json, save_tensors
from .config import Config, FeatureConfig, NetworkConfig, TrainConfig, difference, to_dict
from .errors import DeepnmfError
from .features import FeatureSet, Segment
from .model import Model, save_model
from .network import DeepNMF, from_snmf
from .numerics import guard
from .optimisers import Optimiser, make_optimiser
from .pretraining import Dictionary, load_dictionary

SEGMENT_FRAMES = 100
"""Frames of the pieces that utterances are cut into, so that a batch holds many speakers and noises."""
CHUNK_FRAMES = 1000
"""Frames that are worked on at once; bounds memory whatever the batch."""


def train_network(
    dictionary: Path,
    features: Path,
    output: Path,
    network: NetworkConfig | None = None,
    config: TrainConfig | None = None,
    device: str = "cpu",
) -> Path:
    """Train a deep NMF network and write ``best.safetensors`` and ``last.safetensors`` into the folder `output`.

    The best epoch is the one with the highest dev score (:func:`dev_score`); epoch 0 is the untrained network. A run
    that was stopped goes on from its last whole epoch and ends with the same bytes.

    Parameters
    ----------
    dictionary, features : Path
        What :func:`deepnmf.pretraining.pretrain` and :func:`deepnmf.features.features` wrote.
    output : Path
        Folder of the models and the checkpoint.
    network : NetworkConfig, optional
        K, C and tying; C = 0 writes the sparse NMF model itself.
    config : TrainConfig, optional
        Optimiser, target, error, batches, epochs and seed.
    device : str
        A torch device.

    Returns
    -------
    Path
        The best model.

    Raises
    ------
    DeepnmfError
        If dictionary and features differ in their STFT or level, or `output` holds a run of another configuration.
    """
    settings, run = _prepare_run(dictionary, features, network or NetworkConfig(), config or TrainConfig())
    data = {split: FeatureSet(features, split, settings.snmf.context, size) for split, size in _SEGMENTS.items()}
    optimiser = _make(settings, load_dictionary(dictionary), data["train"].frames, device)
    output = Path(output)
    history = _resume(output, run, optimiser, device)
    epochs = settings.train.epochs if settings.network.trained_layers else 0
    for epoch in range(len(history), epochs + 1):
        error = _epoch(optimiser, data["train"], settings.train, epoch, device) if epoch else None
        history.append({"error": error, "dev_sdr_db": dev_score(optimiser.network, data["dev"], device)})
        _save(output, run, optimiser, settings.features, history)
        tqdm.write(_line(epoch, epochs, **history[-1]), file=sys.stderr)
    return output / BEST


BEST, LAST, CHECKPOINT = "best.safetensors", "last.safetensors", "checkpoint.safetensors"
_SEGMENTS = {"train": SEGMENT_FRAMES, "dev": None}


def _line(epoch: int, epochs: int, error: float | None, dev_sdr_db: float) -> str:
    """Return what an epoch gave, for the log."""
    untrained = "untrained" if error is None else f"error {error:.4f}"
    return f"epoch {epoch}/{epochs}: {untrained}, dev SI-SDR {dev_sdr_db:.2f} dB"


def _prepare_run(
    dictionary: Path, features: Path, network: NetworkConfig, config: TrainConfig
) -> tuple[Config, dict[str, Any]]:
    """Check that the inputs belong together; return the configuration and the record that identifies the run."""
    source = load_dictionary(dictionary)
    record = read_json(Path(features) / "features.json")
    if found := difference(to_dict(source.features), record["features"]):
        raise DeepnmfError(f"{features}: not the features of {dictionary} ({found}); make both with one configuration")
    settings = Config(source.features, source.snmf, network, config)
    run = {
        "config": to_dict(settings),
        "seed": config.seed,
        "dictionary": source.metadata["sha256"],
        "manifest": record["manifest"],
        "deepnmf": __version__,
    }
    return settings, run


def _make(settings: Config, source: Dictionary, frames: int, device: str) -> Optimiser:
    snmf, train = settings.snmf, settings.train
    bins = settings.features.stft.bins
    network = from_snmf(source.speech, source.noise, bins, snmf.sparsity, snmf.beta, settings.network)
    epoch_frames = min(train.epoch_frames or frames, frames)
    updates = train.epochs * (epoch_frames // train.batch_frames + 1 if train.batch_frames else 1)
    return make_optimiser(on_device(network, device), settings.network.trained_layers, train, updates)


def _resume(output: Path, run: dict[str, Any], optimiser: Optimiser, device: str) -> list[dict[str, Any]]:
    """Restore the optimiser from the checkpoint, if there is one, and return the history."""
    path = output / CHECKPOINT
    if not path.exists():
        return []
    tensors, metadata = load_tensors(path, "checkpoint")
    if found := difference(run, metadata["run"]):
        raise DeepnmfError(f"{output}: holds a run of another configuration ({found}); choose another folder")
    optimiser.restore({name: torch.tensor(value, device=device) for name, value in tensors.items()})
    return metadata["history"]


def _save(
    output: Path, run: dict[str, Any], optimiser: Optimiser, features: FeatureConfig, history: list[dict[str, Any]]
) -> None:
    """Write the models, then the checkpoint that makes the epoch count."""
    model = Model(off_device(optimiser.network), features, {**run, "history": history})
    scores = [entry["dev_sdr_db"] for entry in history]
    if scores.index(max(scores)) == len(scores) - 1:
        save_model(output / BEST, model)
    save_model(output / LAST, model)
    state = {name: value.cpu().numpy() for name, value in optimiser.state().items()}
    save_tensors(output / CHECKPOINT, state, "checkpoint", {"run": run, "history": history})


def _epoch(optimiser: Optimiser, data: FeatureSet, config: TrainConfig, epoch: int, device: str) -> float:
    """Run one pass over the data, in an order drawn by seed and epoch; return the mean error of a frame."""
    rng = np.random.default_rng([config.seed, epoch])
    total, seen = 0.0, 0
    with tqdm(
        total=data.frames, desc=f"epoch {epoch}/{config.epochs}", unit="frame", unit_scale=True, disable=None
    ) as bar:
        for batch in data.batches(config.batch_frames, config.epoch_frames, rng):
            for chunk in _chunks(batch):
                m, target = (torch.from_numpy(x).to(device) for x in examples(data, chunk, config.target))
                total += optimiser.accumulate(m, target)
                seen += m.shape[1]
                bar.set_postfix_str(f"error {total / seen:.4f}", refresh=False)
                bar.update(m.shape[1])
            optimiser.update()
    return total / seen


def _chunks(segments: list[Segment]) -> Iterator[list[Segment]]:
    per_chunk = CHUNK_FRAMES // SEGMENT_FRAMES
    for start in range(0, len(segments), per_chunk):
        yield segments[start : start + per_chunk]


def examples(data: FeatureSet, segments: list[Segment], target: str) -> tuple[np.ndarray, np.ndarray]:
    """Return stacked mixtures ``(T·F, N)`` and targets ``(F, N)`` of several segments side by side."""
    stacked, targets = [], []
    for segment in segments:
        m, speech, noise = data.example(segment)
        stacked.append(m)
        targets.append(speech if target == "magnitude" else phase_sensitive(m[-len(speech) :], speech, noise))
    return np.concatenate(stacked, axis=1), np.concatenate(targets, axis=1)


def phase_sensitive(mixture: np.ndarray, speech: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the speech magnitude in phase with the mixture, ``|S| cos(∠S − ∠M)``, within [0, |M|].

    As M = S + N, the law of cosines gives it from the three magnitudes alone (Erdogan et al. 2015, §3).

    Examples
    --------
    >>> phase_sensitive(np.array([5.0]), np.array([3.0]), np.array([4.0])).round(2)
    array([1.8])
    """
    return np.clip(in_phase_power(mixture, speech, noise) / np.maximum(mixture, guard(mixture)), 0, mixture)


def in_phase_power(mixture: np.ndarray, speech: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return ``|S| |M| cos(∠S − ∠M)`` from magnitudes."""
    return (np.square(mixture) + np.square(speech) - np.square(noise)) / 2


def dev_score(network: DeepNMF, data: FeatureSet, device: str) -> float:
    """Return the mean SI-SDR of the estimated spectra of the split's utterances, in dB.

    It is computed from magnitudes alone (:func:`in_phase_power`), without resynthesis, and differs from the SI-SDR of
    the waveforms only by the mean of the frames' overlap.
    """
    scores = []
    for segment in data.segments:
        m, speech, noise = data.example(segment)
        mixture = m[-len(speech) :]
        with torch.inference_mode():
            mask = network.mask(torch.from_numpy(m).to(device)).cpu().numpy()
        power = np.square(data.load(segment)[1][segment.past :], dtype=np.float64)  # back to the recording's scale
        cross = float((mask * in_phase_power(mixture, speech, noise) @ power).sum())
        energies = [float((np.square(x) @ power).sum()) for x in (speech, mask * mixture)]
        similarity = cross**2 / max(energies[0] * energies[1], np.finfo(float).tiny)
        scores.append(10 * np.log10(similarity / max(1 - similarity, np.finfo(float).eps) + np.finfo(float).tiny))
    return float(np.mean(scores))


def on_device(network: DeepNMF, device: str) -> DeepNMF:
    """Return a NumPy network as a torch network on `device`."""
    tensors = [torch.tensor(W, device=device) for W in (*network.dictionaries, network.output)]
    return network.replaced(tuple(tensors[:-1]), tensors[-1])


def off_device(network: DeepNMF) -> DeepNMF:
    """Return a torch network as a NumPy network."""
    return network.replaced(tuple(W.cpu().numpy() for W in network.dictionaries), network.output.cpu().numpy())
