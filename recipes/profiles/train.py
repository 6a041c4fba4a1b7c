"""Train the inputs for profiles of a model, and with them the rest of its weights.

    python recipes/profiles/train.py exp/package_models --start default --updates 10000 -o exp/profiles
    python recipes/profiles/train.py exp/package_models -o exp/profiles --device cuda --workers 15 --seconds 180

The experiment's folder has the ``manifest.jsonl`` of the package's models. Two in five segments are those of all
training, without a profile, so that the model stays as good without one. A stopped run resumes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from learner import Batch, Learner, Rates
from mixtures import KINDS, SHARES, ProfileMixtures
from modules import with_inputs

from deepnmf.artifacts import load_tensors, save_tensors
from deepnmf.model import Model, load_model, save_model
from deepnmf.training.ahead import ahead
from deepnmf.training.losses import active_windows
from deepnmf.training.memory import keep_freed_memory

MODEL, CHECKPOINT = "profile.safetensors", "checkpoint.safetensors"
CHECKPOINT_SECONDS, LINE_UPDATES = 60, 50
MOST_UPDATES = 10**9


def main() -> None:
    """Train, with a checkpoint every minute; write the model at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start", default="default", help="model of the package, or a model file")
    parser.add_argument("--embedding", help="what embed.py wrote; by default the embedding is random")
    parser.add_argument("--updates", type=int, help="updates of the whole training")
    parser.add_argument("--seconds", type=float, help="time of the whole training, from the first batch on")
    parser.add_argument("--segments", type=int, default=8, help="segments of 3 s in a batch")
    parser.add_argument(
        "--shares", type=float, nargs=3, default=SHARES, help="of segments by their profile: none, noise, voice"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that mix ahead")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak step size of the model's own weights")
    parser.add_argument(
        "--average", type=float, default=0.995, help="share of the running mean of weights that is kept"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.updates is None and options.seconds is None:
        parser.error("give --updates, --seconds or both")
    train(options)


def train(options: argparse.Namespace) -> None:
    """Train until the number of updates or the time is reached."""
    keep_freed_memory()
    run = Run(options)
    for line in run.lines():
        print(line, flush=True)
    run.keep()
    print(f"{run.learner.done} updates; {options.output / MODEL}", flush=True)


class Run:
    """A training: what it starts from, its batches, its clock and its files."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options, self._model = options, load_model(options.start)
        embedded = load_model(options.embedding).network if options.embedding else None
        network = with_inputs(self._model.network, np.random.default_rng(options.seed), embedded)
        rates = Rates(options.rate, options.average)
        self.learner = Learner(network, self._model, rates, options.device, options.precision)
        self._mixtures = ProfileMixtures(options.experiment / "manifest.jsonl", network.prior.pooling, options.shares)
        self._spent, self._started = 0.0, time.monotonic()
        self._resume()

    def lines(self) -> Iterator[str]:
        """Make all updates; yield lines for the log."""
        most, first = self._options.updates or MOST_UPDATES, self.learner.done
        batches = ahead(self._batch, most - first, self._options.workers, pinned=True)
        last_line = last_checkpoint = time.monotonic()
        for batch in batches:
            if self.learner.done == first:
                self._started = time.monotonic()  # the workers have started
            if (share := self._share_done()) >= 1:
                return
            self.learner.step(Batch(*batch), share)
            now = time.monotonic()
            if self.learner.done % LINE_UPDATES == 0:
                yield f"{self.learner.line()}; {LINE_UPDATES / (now - last_line):.2f} updates/s"
                last_line = time.monotonic()
            if now - last_checkpoint > CHECKPOINT_SECONDS:
                self.keep()
                last_checkpoint = time.monotonic()

    def _share_done(self) -> float:
        seconds, updates = self._options.seconds, self._options.updates
        of_time = self._seconds() / seconds if seconds else 0.0
        return max(of_time, self.learner.done / updates if updates else 0.0)

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._started

    def _batch(self, number: int) -> Batch:
        """Return the batch of an update; seed and number determine it."""
        rng = np.random.default_rng([self._options.seed, self._first + number])
        segments = [self._mixtures.segment(rng) for _ in range(self._options.segments)]
        spectra = np.stack([s.spectra for s in segments], axis=1)
        speech = torch.from_numpy(np.square(np.abs(spectra[1])))
        windows = active_windows(speech, self._model.features.stft)
        kinds = np.array([KINDS.index(s.kind) for s in segments])
        profiles = np.stack([s.profile for s in segments])
        return Batch(spectra.view(np.float32).astype(np.float16), profiles.astype(np.float16), kinds, windows)

    def keep(self) -> None:
        """Write the model of averaged weights, and the checkpoint."""
        config = {name: value for name, value in self._model.metadata["config"].items() if isinstance(value, dict)}
        record = {"config": config, "seed": self._options.seed, "initial": str(self._model.metadata["sha256"])}
        network = self.learner.averaged()
        save_model(self._options.output / MODEL, Model(network, self._model.features, record))
        state = {"done": self.learner.done, "seconds": self._seconds()}
        save_tensors(self._options.output / CHECKPOINT, self.learner.state(), "checkpoint", state)

    def _resume(self) -> None:
        path = self._options.output / CHECKPOINT
        if path.exists():
            arrays, record = load_tensors(path, "checkpoint")
            self.learner.restore(arrays, int(record["done"]))
            self._spent = float(record["seconds"])
        self._first = self.learner.done


if __name__ == "__main__":
    main()
