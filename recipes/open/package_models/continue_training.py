"""Continue training from a model, on the corpus written by corpus.py, with weight averaging.

    python recipes/open/package_models/continue_training.py exp/package_models --start default --frames 25e6 \
        -o exp/package_models/default

The experiment's folder has ``manifest.jsonl`` and ``features/``. Step sizes have a linear warm-up and a cosine decay
to zero. A fusion layer may be added to the model, or a filter over several frames; their outputs have zero weights at
first. With ``--teacher``, a larger model's estimates are a part of the targets. After each epoch the weights and their
exponential average are scored on dev; ``best.safetensors`` has the best of all. A stopped run resumes from its last
complete epoch.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from deepnmf.artifacts import load_tensors, save_tensors
from deepnmf.artifacts.records import read_provenance
from deepnmf.config import StftSpec, overlaid
from deepnmf.data.features import FeatureSet
from deepnmf.errors import InputError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.cells import LSTM, random_cells
from deepnmf.networks.kinds import Config, changed_settings, configuration, kind_of
from deepnmf.networks.settings import SegmentTraining
from deepnmf.networks.unfolded.multi_frame import MultiFrameFilter
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training.batches import DynamicBatches
from deepnmf.training.loop import dev_score
from deepnmf.training.losses import BatchSize, Loss, Taught, loss_of, sequence_loss
from deepnmf.training.memory import keep_freed_memory
from deepnmf.training.modules import module_of
from deepnmf.training.processes import Processes
from deepnmf.training.step import TrainingStep

DECAY = 0.999
"""Decay of the average at an update."""
BEST, CHECKPOINT = "best.safetensors", "checkpoint.safetensors"


def main() -> None:
    """Train, epoch by epoch."""
    options = parsed()
    keep_freed_memory()
    model = load_model(options.start)
    network: Any = model.network
    if options.fusion_units:
        network = with_fusion(network, options.fusion_units, options.seed)
    if options.filter_units:
        network = with_filter(network, options.filter_units, options.filter_frames, model.features.stft, options.seed)
    config = settings(model, network, options)
    train: Any = config.train
    processes = Processes(device=options.device)
    manifest = options.experiment / "manifest.jsonl"
    batches = DynamicBatches(manifest, config, train.batch_segments, processes, workers=options.workers)
    updates = config.train.epochs * -(-batches.epoch_frames // batches.batch_frames)
    record = {"started_from": model.metadata["sha256"], "config": config.to_dict()}
    loss = loss_of(train, config.features)
    if options.teacher:
        teacher = load_model(options.teacher)
        record["teacher"] = teacher.metadata["sha256"]
        loss = taught_loss(teacher, config, options.teacher_weight, options.device)
    step = TrainingStep(network, config, updates, options.device, loss=loss)
    run = Run(step, config, options.output, record)
    dev = FeatureSet(options.experiment / "features", "dev", 1)
    for epoch in range(run.resume() + 1, config.train.epochs + 1):
        for batch in batches.epoch(epoch):
            step.step(batch)
            run.average()
        print(run.score(dev), flush=True)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start", default="default", help="model of the package, or a model file")
    parser.add_argument("--frames", type=float, default=25e6)
    parser.add_argument("--epoch-frames", type=float, default=1.2e6)
    parser.add_argument("--rate", type=float, default=0.003, help="peak step size")
    parser.add_argument("--dictionary-rate", type=float, default=0.01, help="the same in log W of the dictionaries")
    parser.add_argument("--fusion-units", type=int, default=0, help="of a fusion layer to be added; 0: none")
    parser.add_argument("--filter-units", type=int, default=0, help="of a filter to be added; 0: none")
    parser.add_argument("--filter-frames", type=int, default=2, help="past frames of that filter")
    parser.add_argument("--loss-distortion", type=float, default=0.0)
    parser.add_argument("--loss-residue", type=float, default=0.0)
    parser.add_argument("--loss-perceptual", type=float, default=0.0)
    parser.add_argument("--teacher", help="model whose estimates are a part of the targets")
    parser.add_argument("--teacher-weight", type=float, default=0.5, help="0: the truth alone; 1: the teacher alone")
    parser.add_argument("--segments", type=int, help="of a batch; default: as the model was trained")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--workers", type=int, default=0, help="processes that mix ahead")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def with_fusion(network: RecurrentDeepNMF, units: int, seed: int) -> RecurrentDeepNMF:
    """Return a network of the same output with a fusion layer of `units`, whose outputs have zero weights."""
    prior = network.prior
    atoms, known = prior.output.shape
    fusion = random_cells(LSTM, 1, known, units, np.random.default_rng(seed))
    output = np.concatenate([prior.output, np.zeros((atoms, units), prior.output.dtype)], axis=1)
    return dataclasses.replace(network, prior=dataclasses.replace(prior, fusion=fusion, output=output))


def with_filter(network: RecurrentDeepNMF, units: int, past_frames: int, stft: StftSpec, seed: int) -> RecurrentDeepNMF:
    """Return a network of the same output with a filter over several frames, whose outputs have zero weights."""
    if network.multi_frame is not None:
        raise InputError("this model has a filter already: leave out --filter-units")
    size = past_frames, units, network.prior.subband[0].units
    added = MultiFrameFilter.start(*size, stft, np.random.default_rng(seed))
    return dataclasses.replace(network, multi_frame=added)


def taught_loss(teacher: Model, config: Config, weight: float, device: str) -> Loss:
    """Return the loss of the settings, whose targets are the truth and, with a weight, the teacher's estimates."""
    module = module_of(teacher.network, (), False, torch.float32).to(device)

    def loss(estimate: Tensor, mixture: Tensor, speech: Tensor, size: BatchSize | None) -> Tensor:
        train, spec = cast("SegmentTraining", config.train), config.features.stft
        with torch.no_grad():
            taught = Taught(module.estimate(mixture, spec), weight)
        return sequence_loss(train, spec, estimate, mixture, speech, size, taught)

    return loss


def settings(model: Model, network: RecurrentDeepNMF, options: argparse.Namespace) -> Config:
    """Return the settings of the run: those of the model's training, changed by the options, with the added parts."""
    train = {
        "epochs": max(1, round(options.frames / options.epoch_frames)),
        "epoch_frames": int(options.epoch_frames),
        "weight_learning_rate": options.rate,
        "dictionary_learning_rate": options.dictionary_rate,
        "loss_distortion": options.loss_distortion,
        "loss_residue": options.loss_residue,
        "loss_perceptual": options.loss_perceptual,
        "precision": options.precision,
        "batch_segments": options.segments,
        "average_share": 0.0,
        "seed": options.seed,
    }
    values: dict[str, dict[str, Any]] = {"network": {"kind": kind_of(model.network)}}
    for name, value in changed_settings(model.metadata["config"]).items():
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = value
    return configuration(overlaid(values, {"train": train, "network": network.optional_parts()}), options.start)


class Run:
    """What a run writes, and the average of its weights."""

    def __init__(self, step: TrainingStep, config: Config, output: Path, record: dict[str, Any]) -> None:
        self._step, self._features, self._output = step, config.features, output
        self._record: dict[str, Any] = {**record, "history": []}
        self._average = [weight.detach().clone() for weight in step.module.parameters()]

    @torch.no_grad()
    def average(self) -> None:
        """Move the average towards the present weights."""
        for mean, weight in zip(self._average, self._step.module.parameters(), strict=True):
            mean.lerp_(weight, 1 - DECAY)

    @torch.no_grad()
    def _swap(self) -> None:
        for mean, weight in zip(self._average, self._step.module.parameters(), strict=True):
            present = weight.clone()
            weight.copy_(mean)
            mean.copy_(present)

    def score(self, dev: FeatureSet) -> str:
        """Score both sets of weights, keep the best so far, and return a line for the log."""
        history = self._record["history"]
        best = max((entry["dev_si_sdr_db"] for entry in history), default=-np.inf)
        present = dev_score(self._step, dev)
        if present > best:
            self._keep(present)
        self._swap()
        averaged = dev_score(self._step, dev)
        if averaged > max(best, present):
            self._keep(averaged)
        self._swap()
        history.append({"error": None, "dev_si_sdr_db": max(present, averaged)})
        self._checkpoint()
        return f"epoch {len(history)}: dev {present:.3f} dB, averaged {averaged:.3f} dB"

    def _keep(self, dev_si_sdr_db: float) -> None:
        history = [*self._record["history"], {"error": None, "dev_si_sdr_db": dev_si_sdr_db}]
        record = {**self._record, "history": history}
        save_model(self._output / BEST, Model(self._step.to_numpy(), self._features, record))

    def _checkpoint(self) -> None:
        average = {f"average.{number:03d}": mean.cpu().numpy() for number, mean in enumerate(self._average)}
        save_tensors(self._output / CHECKPOINT, self._step.state_dict() | average, "checkpoint", self._record)

    def resume(self) -> int:
        """Resume an earlier run, if there is one; return its epochs."""
        if not (self._output / CHECKPOINT).exists():
            return 0
        tensors, record = load_tensors(self._output / CHECKPOINT, "checkpoint")
        self._record = read_provenance(record)
        for number, mean in enumerate(self._average):
            mean.copy_(torch.tensor(tensors[f"average.{number:03d}"]))
        self._step.load_state_dict({name: tensors[name] for name in tensors if not name.startswith("average.")})
        return len(self._record["history"])


if __name__ == "__main__":
    main()
