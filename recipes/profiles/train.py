"""Train the inputs for profiles of a model, from its weights.

    python recipes/profiles/train.py exp/package_models --start default --updates 10000 -o exp/profiles

The experiment's folder has the ``manifest.jsonl`` of the package's models. Two in five noisy segments and one in ten of
several voices come without their profile, so that the model is as good without one. A stopped run resumes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mixtures import ProfileMixtures, Segment
from modules import ConditionedModule, with_inputs

from deepnmf.artifacts import load_tensors, save_tensors
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.settings import RecurrentDeepNMFTraining
from deepnmf.networks.unfolded.profile_input import NOISE, VOICE
from deepnmf.training.losses import sequence_loss
from deepnmf.training.optimisers import load_optimiser_state, optimiser_state
from deepnmf.training.precision import usable_precision

SEGMENTS = 8
LEFT_OUT = {NOISE: 0.4, VOICE: 0.1}
"""Share of segments without their profile."""
WARM_UP, LARGEST_GRADIENT = 60, 10.0
FIRST_RATES = {"base": 1e-3, "dictionaries": 3e-3, "profiles": 3e-3}
MODEL, CHECKPOINT = "profile.safetensors", "checkpoint.safetensors"


def main() -> None:
    """Train, with a checkpoint every few hundred updates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start", default="default", help="model of the package, or a model file")
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=100, help="updates between two checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="bfloat16")
    options = parser.parse_args()
    model = load_model(options.start)
    run = Run(model, options)
    for update in range(run.done, options.updates):
        run.step(update)
        if (update + 1) % options.every == 0 or update + 1 == options.updates:
            print(run.keep(), flush=True)


class Run:
    """A network in training, and its optimiser."""

    def __init__(self, model: Model, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        network: Any = with_inputs(model.network, np.random.default_rng(options.seed))
        self.module = ConditionedModule(network, usable_precision(options.precision, "cpu"))
        self._model, self._options, self._loss = model, options, 0.0
        self._mixtures = ProfileMixtures(options.experiment / "manifest.jsonl")
        self._optimiser = torch.optim.Adam(self._groups())
        self._peaks = [group["lr"] for group in self._optimiser.param_groups]
        self.done = self._resume()

    def _groups(self) -> list[dict[str, Any]]:
        dictionaries = list(self.module.base.weights.nonnegative)
        own = {id(W) for W in dictionaries}
        groups = {
            "base": [W for W in self.module.base.parameters() if id(W) not in own],
            "dictionaries": dictionaries,
            "profiles": list(self.module.profiles.parameters()),
        }
        return [{"params": group, "lr": FIRST_RATES[name]} for name, group in groups.items()]

    def step(self, update: int) -> None:
        """Make one update; seed and number determine its segments."""
        generators = [np.random.default_rng([self._options.seed, update, place]) for place in range(SEGMENTS)]
        segments = [self._mixtures.segment(rng) for rng in generators]
        given = [rng.random() >= LEFT_OUT[s.kind] for rng, s in zip(generators, segments, strict=True)]
        x = [torch.from_numpy(part) for part in np.stack([s.magnitudes for s in segments], axis=1).astype(np.float32)]
        profiles = torch.from_numpy(np.stack([s.profile for s in segments]).astype(np.float32))
        masks = self.module(x[0], profiles, {kind: _given(kind, segments, given) for kind in (NOISE, VOICE)})
        error = sequence_loss(RecurrentDeepNMFTraining(), self._model.features.stft, masks, *x)
        torch.autograd.backward(error)
        frames = x[0].shape[0] * x[0].shape[2]
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT * frames)
        share = min(1.0, (update + 1) / WARM_UP) * 0.5 * (1 + np.cos(np.pi * update / self._options.updates))
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._loss += float(error.detach()) / frames
        self.done = update + 1

    def keep(self) -> str:
        """Write the model and the checkpoint; return a line for the log."""
        config = {name: value for name, value in self._model.metadata["config"].items() if isinstance(value, dict)}
        record = {"config": config, "seed": self._options.seed, "initial": str(self._model.metadata["sha256"])}
        save_model(self._options.output / MODEL, Model(self.module.to_numpy(), self._model.features, record))
        state = {f"weight.{name}": value.detach() for name, value in self.module.named_parameters()}
        state |= {f"optimiser.{name}": value for name, value in optimiser_state([self._optimiser]).items()}
        arrays = {name: value.numpy() for name, value in state.items()}
        save_tensors(self._options.output / CHECKPOINT, arrays, "checkpoint", {"done": self.done})
        line = f"{self.done} updates, error {self._loss / self._options.every:.3f}"
        self._loss = 0.0
        return line

    def _resume(self) -> int:
        path = self._options.output / CHECKPOINT
        if not path.exists():
            return 0
        arrays, record = load_tensors(path, "checkpoint")
        with torch.no_grad():
            for name, value in self.module.named_parameters():
                value.copy_(torch.tensor(arrays[f"weight.{name}"]))
        prefix = "optimiser."
        state = {name.removeprefix(prefix): torch.tensor(v) for name, v in arrays.items() if name.startswith(prefix)}
        load_optimiser_state([self._optimiser], state)
        return int(record["done"])


def _given(kind: str, segments: list[Segment], given: list[bool]) -> torch.Tensor:
    return torch.tensor([float(s.kind == kind and g) for s, g in zip(segments, given, strict=True)])


if __name__ == "__main__":
    main()
