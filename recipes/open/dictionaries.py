"""Describe the dictionaries of deep NMF models: scale and width of atoms, fit of W h to the mixture, cost of smoothing.

    python recipes/open/dictionaries.py exp/open/features exp/open/deep-k4-t1 framewise snmf --every 3

Mixtures are those of dev, of which ``--every N`` takes each N-th. ``--figure FILE`` draws the atoms of the last layer
and of the output of each model, in the order of their centres (needs the `plot` extra).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from deepnmf.data.features import FeatureSet
from deepnmf.model import load_model
from deepnmf.networks.unfolded.deep_nmf import DeepNMF, starting_activations
from deepnmf.training.loop import dev_score
from deepnmf.training.processes import ALONE, Processes

if TYPE_CHECKING:
    from deepnmf.training.step import TrainingStep

SPARSITIES = (0.0, 0.3, 3.0, 10.0)
"""Factors by which the sparsity is changed."""


def main() -> None:
    """Print two tables for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--calibrate", action="store_true", help="scale the bins of all dictionaries as training does")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    networks = {}
    for name in options.models:
        network = load_model(name).network
        if not isinstance(network, DeepNMF):
            raise SystemExit(f"{name}: not a deep NMF")
        data = FeatureSet(options.features, "dev", network.shape[1] // network.shape[0])
        network = network.calibrated(data.sample, list(network.arrays())) if options.calibrate else network.canonical()
        networks[name] = network
        data.segments = data.segments[:: options.every]
        print(f"\n{Path(name).name}, {len(data.segments)} mixtures:\n")
        layer_table(network, data)
        change_table(network, data)
    if options.figure:
        draw(networks, options.figure)


def layer_table(network: DeepNMF, data: FeatureSet) -> None:
    """Print a row for each layer and the output."""
    scales = np.cumprod(np.asarray(network.gains, np.float64), axis=0)  # norms of the atoms before normalisation
    fits = np.mean([fit(network, data.example(segment)[0]) for segment in data.segments], axis=0)
    bins, sparsities = network.shape[0], [*np.asarray(network.sparsities), None]
    dictionaries = [*(network.dictionaries[index] for index in network.layers), network.output]
    print(
        "| layer | bins per atom | scale of atoms, quartiles | sparsity, median | divergence of the mixture from W h |"
    )
    print("|---|---:|---:|---:|---:|")
    for k, (W, scale, mu, distance) in enumerate(zip(dictionaries, scales, sparsities, fits, strict=True), 1):
        name = "output" if mu is None else str(k)
        quartiles = " – ".join(f"{value:.3g}" for value in np.percentile(scale, [25, 50, 75]))
        median = "" if mu is None else f"{np.median(mu):.3g}"
        print(f"| {name} | {np.median(width(np.asarray(W)[-bins:])):.1f} | {quartiles} | {median} | {distance:.3f} |")


def width(W: np.ndarray) -> np.ndarray:
    """Return the effective number of bins of each atom of ``(F, R)``: that of as many equal ones with its power."""
    power = np.square(W, dtype=np.float64)
    return power.sum(axis=0) ** 2 / np.maximum(np.square(power).sum(axis=0), np.finfo(float).tiny)


def fit(network: DeepNMF, m: np.ndarray) -> list[float]:
    """Return D₁(m | W h) / Σ m of each layer's input and of the output, each frame of W h at the level of m."""
    dictionaries, h = (
        [*(network.dictionaries[index] for index in network.layers), network.output],
        np.asarray(starting_activations(network)),
    )
    found = []
    for k, W in enumerate(dictionaries):
        observed = m[-len(W) :] if len(W) < len(m) else m
        model = np.asarray(W) @ h + 1e-6
        model = model * (observed.sum(axis=0) / model.sum(axis=0))
        terms = observed * np.log(np.maximum(observed, 1e-12) / np.maximum(model, 1e-12))
        found.append(float(terms.sum() / observed.sum()))
        if k < len(network.layers):
            h = np.asarray(network.layer(m, h, k))
    return found


def change_table(network: DeepNMF, data: FeatureSet) -> None:
    """Print the dev score of the network and of changed ones."""
    print("\n| change | dev SI-SDR, dB |\n|---|---:|")
    for name, changed in changes(network).items():
        print(f"| {name} | {dev_score(cast('TrainingStep', Trained(changed)), data):.2f} |")


class Trained(NamedTuple):
    """What :func:`deepnmf.training.loop.dev_score` needs of a network in training."""

    network: DeepNMF
    processes: Processes = ALONE

    def estimate(self, mixture: np.ndarray) -> np.ndarray:
        """Return the masked spectrum ``(F, N)`` of a recording."""
        mask: np.ndarray = self.network.estimator().push(np.abs(mixture))
        return mask * mixture


def changes(network: DeepNMF) -> dict[str, DeepNMF]:
    """Return the network as it is, with other sparsity, and with smooth atoms."""
    found = {"none": network}
    for factor in SPARSITIES:
        found[f"sparsity × {factor:g}"] = dataclasses.replace(network, sparsities=network.sparsities * factor)
    layers = tuple(smooth(np.asarray(W), network.shape[0]) for W in network.dictionaries)
    found["atoms of the layers smoothed"] = dataclasses.replace(network, dictionaries=layers)
    output = smooth(np.asarray(network.output), network.shape[0])
    found["those of the output too"] = dataclasses.replace(network, dictionaries=layers, output=output)
    return found


def smooth(W: np.ndarray, bins: int) -> np.ndarray:
    """Return atoms ``(T·F, R)`` averaged over neighbouring bins of a frame with weights ¼, ½, ¼, at unit norm."""
    frames = np.pad(W.reshape(-1, bins, W.shape[1]), ((0, 0), (1, 1), (0, 0)), mode="edge")
    smoothed = (0.25 * (frames[:, :-2] + frames[:, 2:]) + 0.5 * frames[:, 1:-1]).reshape(W.shape)
    norms = np.linalg.norm(smoothed, axis=0)
    return np.asarray(smoothed * np.linalg.norm(W, axis=0) / np.where(norms == 0, 1, norms), W.dtype)


def draw(networks: dict[str, DeepNMF], figure: Path) -> None:
    """Draw the atoms of the last layer and of the output, a column for each network, dB below the peak of each atom."""
    from matplotlib.figure import Figure

    image = Figure(figsize=(1 + 4 * len(networks), 6), layout="constrained")
    panels = image.subplots(2, len(networks), squeeze=False, sharex="col", sharey=True)
    for column, (name, network) in zip(panels.T, networks.items(), strict=True):
        last = network.dictionaries[network.layers[-1]]
        for axes, W, which in zip(column, (last, network.output), ("last layer", "output"), strict=True):
            shown = axes.imshow(decibels(np.asarray(W)[-network.shape[0] :], network.speech_atoms), **IMAGE)
            axes.axvline(network.speech_atoms - 0.5, color="white", linewidth=1)
            axes.set(title=f"{Path(name).stem}, {which}", ylabel="bin", xlabel="atoms of speech | atoms of noise")
            axes.label_outer()
    image.colorbar(shown, ax=panels, label="dB below the peak of the atom")
    image.savefig(figure, dpi=72)


IMAGE: dict[str, Any] = {"aspect": "auto", "origin": "lower", "interpolation": "nearest", "vmin": -30, "vmax": 0}


def decibels(W: np.ndarray, speech_atoms: int) -> np.ndarray:
    """Return atoms ``(F, R)`` in dB below their peaks, those of speech and those of noise by their centres."""
    centres = np.arange(len(W)) @ np.square(W) / np.maximum(np.square(W).sum(axis=0), 1e-30)
    order = np.lexsort((centres, np.arange(W.shape[1]) >= speech_atoms))
    peaks = np.maximum(W.max(axis=0), 1e-30)
    return 20 * np.log10(np.maximum(W / peaks, 1e-3))[:, order]


if __name__ == "__main__":
    main()
