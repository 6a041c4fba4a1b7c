"""Train the embedding of voices alone, before it is trained with the network, which learns to use it sooner so.

    python recipes/profiles/embed.py exp/package_models --updates 1000 -o exp/profiles/voices.safetensors

Two excerpts of each of some speakers pass different channels; of all second excerpts, the embedding of the one of the
same speaker is to be the closest to the first's.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from mixtures import ProfileMixtures
from modules import ProfileModule, with_inputs
from torch.nn.functional import cross_entropy, normalize

from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.unfolded.profile_input import VOICE
from deepnmf.training.ahead import ahead

RATE, SCALE, LINE_UPDATES = 2e-3, 10.0, 50


def main() -> None:
    """Train, and write the start with its embedding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start", default="default", help="model of the package, or a model file")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--speakers", type=int, default=32, help="speakers of an update")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw ahead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    model = load_model(options.start)
    network = with_inputs(model.network, np.random.default_rng(options.seed))
    mixtures = ProfileMixtures(options.experiment / "manifest.jsonl", network.prior.pooling)
    module = ProfileModule(network.prior.profiles[VOICE])
    optimiser = torch.optim.Adam(module.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.updates)

    def pairs(update: int) -> np.ndarray:
        return mixtures.voice_pairs(options.speakers, np.random.default_rng([options.seed, update]))

    right = 0.0
    for update, batch in enumerate(ahead(pairs, options.updates, options.workers), 1):
        error, share = loss(module, torch.as_tensor(batch))
        optimiser.zero_grad()
        torch.autograd.backward(error)
        optimiser.step()
        schedule.step()
        right += share / LINE_UPDATES
        if update % LINE_UPDATES == 0:
            print(f"{update} updates; the right one of {options.speakers} speakers in {right:.1%}", flush=True)
            right = 0.0
            keep(model, network, module, options.output)
    keep(model, network, module, options.output)


def loss(module: ProfileModule, pairs: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the cross entropy of log bands ``(2, S, P, bands)`` of S speakers, and the share of right choices."""
    first, second = (normalize(module(bands, bands.new_ones(len(bands)))[0]) for bands in pairs)
    similar, own = SCALE * first @ second.T, torch.arange(len(first))
    error = cross_entropy(similar, own) + cross_entropy(similar.T, own)
    return error, float((similar.argmax(1) == own).float().mean())


def keep(model: Model, network: object, module: ProfileModule, output: Path) -> None:
    """Write the model with the embedding."""
    prior = network.prior  # type: ignore[attr-defined]
    prior = dataclasses.replace(prior, profiles={**prior.profiles, VOICE: module.to_numpy()})
    config = {name: value for name, value in model.metadata["config"].items() if isinstance(value, dict)}
    save_model(output, Model(dataclasses.replace(network, prior=prior), model.features, {"config": config}))


if __name__ == "__main__":
    main()
