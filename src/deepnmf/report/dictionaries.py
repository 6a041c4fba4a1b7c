"""The dictionaries of a network as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model import Model
from ..networks.base import DictionaryNetwork
from .atoms import RANGE_DB, centre_frequencies, shading, sorted_atoms
from .layers import shown_layers
from .strips import Strip, decibels, frequency_axis, spectrogram_strip

ATOM_COLOURS = decibels(RANGE_DB, "the atom's peak")


@dataclass(frozen=True)
class AtomPanel:
    """Atoms of speech or of noise of one dictionary, and their centre frequencies in Hz."""

    kind: str
    strip: Strip
    centres_hz: list[int]


def dictionary_panels(model: Model) -> dict[str, list[AtomPanel]]:
    """Return the dictionaries by name, every atom at the same place in all; empty for a network that has none."""
    network, rate_hz = model.network.with_atoms(), model.features.stft.rate_hz
    if network is None:
        return {}
    order = sorted_atoms(network.output, network.speech_atoms, rate_hz)
    return {
        name: _panels(name, W[:, order], network.speech_atoms, rate_hz)
        for name, W in _shown_dictionaries(network).items()
    }


def _panels(name: str, W: np.ndarray, speech: int, rate_hz: int) -> list[AtomPanel]:
    halves = [(kind, part) for kind, part in (("speech", W[:, :speech]), ("noise", W[:, speech:])) if part.shape[1]]
    return [AtomPanel(kind, _strip(name, kind, part, rate_hz), _centres(part, rate_hz)) for kind, part in halves]


def _strip(name: str, kind: str, W: np.ndarray, rate_hz: int) -> Strip:
    description = f"{W.shape[1]} {kind} atoms of the {name} dictionary, by centre frequency"
    return spectrogram_strip(shading(W), description, frequency_axis(rate_hz))


def _centres(W: np.ndarray, rate_hz: int) -> list[int]:
    return [round(hz) for hz in centre_frequencies(W, rate_hz).tolist()]


def _shown_dictionaries(network: DictionaryNetwork) -> dict[str, np.ndarray]:
    """Return the output dictionary and some layers', ``(F, R)``: of stacked frames, the current one."""
    bins = network.output.shape[0]
    layers = network.dictionary_indices()
    users: dict[int, list[int]] = {}
    for layer, index in enumerate(layers, 1):
        users.setdefault(index, []).append(layer)
    wanted = {layers[layer - 1] for layer in shown_layers(len(layers)) if layer}
    shown = {"output": network.output}
    for index in sorted(wanted, key=lambda index: users[index]):
        shown[_layers_name(users[index])] = network.dictionaries[index][-bins:]
    return shown


def _layers_name(layers: list[int]) -> str:
    return f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]} to {layers[-1]}"
