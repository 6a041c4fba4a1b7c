"""Train one small network from scratch on shares of the corpus: how much more recordings would help.

    python recipes/open/package_models/learning_curve.py exp/package_models -o exp/package_models/curve

The experiment's folder has ``manifest.jsonl`` and the features of its dev split in ``features/``. A share of 1/16 has
a sixteenth of the speakers, or of the types of noise, and all recordings of each. Prints a row of a table for each
network, and writes the networks. Networks that exist already are not trained again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnmf.config import SnmfConfig
from deepnmf.data.features import FeatureSet
from deepnmf.data.manifest import MixtureEntry, read_manifest, write_manifest
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.kinds import Config, configuration
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.nmf.dictionary import Dictionary
from deepnmf.training.batches import DynamicBatches
from deepnmf.training.loop import dev_score
from deepnmf.training.step import TrainingStep

SHARES = [(1, 1), (1 / 4, 1 / 4), (1 / 16, 1 / 16), (1 / 16, 1), (1, 1 / 16)]
"""Of the speakers and of the types of noise."""
NETWORK = {"kind": "recurrent-deep-nmf", "bands": 64, "units": 96, "subband_units": 48}


def main() -> None:
    """Train the networks one after the other."""
    options = parsed()
    entries = read_manifest(options.experiment / "manifest.jsonl", "train")
    dev = FeatureSet(options.experiment / "features", "dev", 1)
    print("| speech, h | speakers | noise, recordings | types | dev, dB |\n|---:|---:|---:|---:|---:|")
    for shares in SHARES:
        kept = thinned(entries, *shares, np.random.default_rng(options.seed))
        folder = options.output / "-".join(f"{share:.4g}" for share in shares)
        score = trained(kept, dev, folder, options)
        print(f"| {' | '.join(described(kept))} | {score:.2f} |", flush=True)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--frames", type=float, default=2.4e6)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def thinned(
    entries: Sequence[MixtureEntry], speech_share: float, noise_share: float, rng: np.random.Generator
) -> list[MixtureEntry]:
    """Return entries with a share of the speakers and of the types of noise: each recording once, or in turn."""
    speech = kept({entry.speech: entry for entry in entries}.values(), "speaker", speech_share, rng)
    noise = kept({entry.noise: entry for entry in entries}.values(), "noise_type", noise_share, rng)
    pairs = zip(range(max(len(speech), len(noise))), itertools.cycle(speech), itertools.cycle(noise), strict=False)
    return [
        dataclasses.replace(voice, id=f"{number:06d}", noise=sound.noise, noise_type=sound.noise_type)
        for number, voice, sound in pairs
    ]


def kept(entries: Iterable[MixtureEntry], group: str, share: float, rng: np.random.Generator) -> list[MixtureEntry]:
    """Return the entries of a share of the groups, at least of one."""
    entries = list(entries)
    names = sorted({getattr(entry, group) for entry in entries})
    chosen = set(rng.permutation(names)[: max(1, round(share * len(names)))])
    return [entry for entry in entries if getattr(entry, group) in chosen]


def described(entries: Sequence[MixtureEntry]) -> list[str]:
    """Return the cells of a row: hours and speakers of speech, recordings and types of noise."""
    hours = sum({entry.speech: entry.seconds for entry in entries}.values()) / 3600
    counted = ({getattr(entry, name) for entry in entries} for name in ("speaker", "noise", "noise_type"))
    return [f"{hours:.1f}", *(f"{len(names):,}" for names in counted)]


def trained(entries: Sequence[MixtureEntry], dev: FeatureSet, folder: Path, options: argparse.Namespace) -> float:
    """Train a network on the entries, unless there is one; return its score on dev."""
    snmf, config = load_model("snmf"), settings(options)
    train: Any = config.train
    path = folder / "model.safetensors"
    if path.exists():
        return dev_score(TrainingStep(load_model(path).network, config, 1), dev)
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "manifest.jsonl", entries)
    with contextlib.suppress(FileExistsError):
        (folder / "rooms").symlink_to((options.experiment / "rooms").resolve())
    batches = DynamicBatches(folder / "manifest.jsonl", config, train.batch_segments)
    updates = int(options.frames) // batches.batch_frames
    step = TrainingStep(start(snmf, config, options.seed), config, updates)
    passes = itertools.chain.from_iterable(map(batches.epoch, itertools.count(1)))
    for batch in itertools.islice(passes, updates):
        step.step(batch)
    score = dev_score(step, dev)
    record = {"config": config.to_dict(), "seed": options.seed, "history": [{"error": None, "dev_si_sdr_db": score}]}
    save_model(path, Model(step.to_numpy(), snmf.features, record))
    return score


def settings(options: argparse.Namespace) -> Config:
    """Return the settings of all runs."""
    train = {"batch_segments": 16, "precision": "bfloat16"}
    rates = {"weight_learning_rate": 0.01, "dictionary_learning_rate": 0.01}
    return configuration({"network": NETWORK, "train": train | rates | {"seed": options.seed}})


def start(snmf: Model, config: Config, seed: int) -> RecurrentDeepNMF:
    """Return a network with random weights and the atoms of sparse NMF."""
    network: Any = snmf.network
    speech, noise = np.split(network.output, [network.speech_atoms], axis=1)
    dictionary = Dictionary(speech, noise, SnmfConfig(), snmf.features, {})
    wanted: Any = config.network
    return RecurrentDeepNMF.start(wanted, snmf.features, dictionary, np.random.default_rng(seed))


if __name__ == "__main__":
    main()
