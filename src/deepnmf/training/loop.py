"""Stage 4: discriminative training of the unfolded network, resumable at every epoch."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from .._version import __version__
from ..artifacts import load_tensors, read_json, save_tensors
from ..config import (
    Config,
    FeatureConfig,
    NetworkConfig,
    PrepareConfig,
    RecurrentConfig,
    TrainConfig,
    difference,
    to_dict,
    with_defaults,
)
from ..data.features import FeatureSet
from ..errors import DeepnmfError
from ..model import FRAMEWISE, Model, save_model
from ..nmf.dictionary import Dictionary, load_dictionary
from .mask_rnn import GRULearner, LSTMLearner
from .recurrent import RecurrentLearner
from .step import FramewiseLearner, Learner
from .targets import in_phase_power

LEARNERS: dict[str, type[Learner]] = {
    **dict.fromkeys(FRAMEWISE, FramewiseLearner),
    "recurrent-deep-nmf": RecurrentLearner,
    "gru": GRULearner,
    "lstm": LSTMLearner,
}
"""How each kind of network learns."""


def train_network(
    dictionary: Path,
    features: Path,
    output: Path,
    network: NetworkConfig | None = None,
    config: TrainConfig | None = None,
    device: str = "cpu",
    recurrent: RecurrentConfig | None = None,
    prepare: PrepareConfig | None = None,
) -> Path:
    """Train a deep NMF network and write ``best.safetensors`` and ``last.safetensors`` into the folder `output`.

    The best epoch is the one with the highest dev score (:func:`dev_score`); epoch 0 is the untrained network. A run
    that was stopped goes on from its last whole epoch and ends with the same bytes.

    Parameters
    ----------
    dictionary, features : Path
        What :func:`deepnmf.training.pretrain.pretrain` and :func:`deepnmf.data.features.features` wrote.
    output : Path
        Folder of the models and the checkpoint.
    network : NetworkConfig, optional
        The kind, and for the frame-wise one K, C and tying; C = 0 writes the sparse NMF model itself.
    config : TrainConfig, optional
        Optimiser, target, error, batches, epochs and seed.
    device : str
        A torch device.
    recurrent : RecurrentConfig, optional
        All about the recurrent kind.
    prepare : PrepareConfig, optional
        SNR of the mixtures that the recurrent kinds make on the fly.

    Returns
    -------
    Path
        The best model.

    Raises
    ------
    DeepnmfError
        If dictionary and features differ in their STFT or level, `output` holds a run of another configuration, or the
        error is no longer finite; the models of the epochs before are there.
    """
    source = load_dictionary(dictionary)
    trained = network or NetworkConfig(), config or TrainConfig(), recurrent or RecurrentConfig()
    settings = Config(source.features, source.snmf, *trained, prepare or PrepareConfig())
    run = _run_record(source, dictionary, features, settings)
    kind = LEARNERS[settings.network.kind]
    train = FeatureSet(features, "train", settings.snmf.context, kind.SEGMENT_FRAMES)
    dev = FeatureSet(features, "dev", settings.snmf.context)
    learner = kind(settings, source, _updates(settings, kind.batch_frames(settings), train.frames), device)
    output = Path(output)
    history = _resume(output, run, learner, device)
    epochs = settings.train.epochs if kind.trains(settings) else 0
    for epoch in range(len(history), epochs + 1):
        error = _epoch(learner, train, settings, epoch) if epoch else None
        if error is not None and not math.isfinite(error):
            raise DeepnmfError(
                f"{output}: training diverged in epoch {epoch}; lower train.exponent or the learning rate"
            )
        history.append({"error": error, "dev_sdr_db": dev_score(learner, dev, device)})
        _save(output, run, learner, settings.features, history)
        tqdm.write(_line(epoch, epochs, **history[-1]), file=sys.stderr)
    return output / BEST


BEST, LAST, CHECKPOINT = "best.safetensors", "last.safetensors", "checkpoint.safetensors"


def _line(epoch: int, epochs: int, error: float | None, dev_sdr_db: float) -> str:
    """Return what an epoch gave, for the log."""
    untrained = "untrained" if error is None else f"error {error:.4f}"
    return f"epoch {epoch}/{epochs}: {untrained}, dev SI-SDR {dev_sdr_db:.2f} dB"


def _run_record(source: Dictionary, dictionary: Path, features: Path, settings: Config) -> dict[str, Any]:
    """Check that the inputs belong together; return the record that identifies the run."""
    record = read_json(Path(features) / "features.json")
    if found := difference(to_dict(source.features), record["features"]):
        raise DeepnmfError(f"{features}: not the features of {dictionary} ({found}); make both with one configuration")
    return {
        "config": to_dict(settings),
        "seed": settings.train.seed,
        "dictionary": source.metadata["sha256"],
        "manifest": record["manifest"],
        "deepnmf": __version__,
    }


def _updates(settings: Config, batch_frames: int, frames: int) -> int:
    """Return about how many updates the run will make; the schedules of the steps end there."""
    epoch_frames = min(settings.train.epoch_frames or frames, frames)
    return settings.train.epochs * (epoch_frames // batch_frames + 1 if batch_frames else 1)


def _resume(output: Path, run: dict[str, Any], learner: Learner, device: str) -> list[dict[str, Any]]:
    """Restore the learner from the checkpoint, if there is one, and return the history."""
    path = output / CHECKPOINT
    if not path.exists():
        return []
    tensors, metadata = load_tensors(path, "checkpoint")
    recorded = {**metadata["run"], "config": with_defaults(metadata["run"]["config"], str(path))}
    if found := difference(run, recorded):
        raise DeepnmfError(f"{output}: holds a run of another configuration ({found}); choose another folder")
    learner.restore({name: torch.tensor(value, device=device) for name, value in tensors.items()})
    return metadata["history"]


def _save(
    output: Path, run: dict[str, Any], learner: Learner, features: FeatureConfig, history: list[dict[str, Any]]
) -> None:
    """Write the models, then the checkpoint that makes the epoch count."""
    model = Model(learner.network(), features, {**run, "history": history})
    scores = [entry["dev_sdr_db"] for entry in history]
    if scores.index(max(scores)) == len(scores) - 1:
        save_model(output / BEST, model)
    save_model(output / LAST, model)
    state = {name: value.cpu().numpy() for name, value in learner.state().items()}
    save_tensors(output / CHECKPOINT, state, "checkpoint", {"run": run, "history": history})


def _epoch(learner: Learner, data: FeatureSet, settings: Config, epoch: int) -> float:
    """Run one pass over the data, in an order drawn by seed and epoch; return the mean error of a frame."""
    config = settings.train
    rng = np.random.default_rng([config.seed, epoch])
    total, seen = 0.0, 0
    with tqdm(
        total=data.frames, desc=f"epoch {epoch}/{config.epochs}", unit="frame", unit_scale=True, disable=None
    ) as bar:
        for batch in data.batches(learner.batch_frames(settings), config.epoch_frames, rng):
            error, frames = learner.learn(data, batch, np.random.default_rng([config.seed, epoch, seen]))
            total += error
            seen += frames
            bar.set_postfix_str(f"error {total / seen:.4f}", refresh=False)
            bar.update(frames)
    return total / seen


def dev_score(learner: Learner, data: FeatureSet, device: str) -> float:
    """Return the mean SI-SDR of the estimated spectra of the split's utterances, in dB.

    It is computed from magnitudes alone (:func:`in_phase_power`), without resynthesis, and differs from the SI-SDR of
    the waveforms only by the mean of the frames' overlap.
    """
    scores = []
    for segment in data.segments:
        m, speech, noise = data.example(segment)
        mixture = m[-len(speech) :]
        with torch.inference_mode():
            mask = learner.mask(torch.from_numpy(m).to(device)).cpu().numpy()
        power = np.square(data.load(segment)[1][segment.past :], dtype=np.float64)  # back to the recording's scale
        cross = float((mask * in_phase_power(mixture, speech, noise) @ power).sum())
        energies = [float((np.square(x) @ power).sum()) for x in (speech, mask * mixture)]
        similarity = cross**2 / max(energies[0] * energies[1], np.finfo(float).tiny)
        scores.append(10 * np.log10(similarity / max(1 - similarity, np.finfo(float).eps) + np.finfo(float).tiny))
    return float(np.mean(scores))
