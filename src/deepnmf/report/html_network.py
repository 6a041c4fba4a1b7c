"""The sections on the model itself: its card and its dictionaries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..model import Model
from ..networks.base import DictionaryNetwork
from ..networks.unfolded.deep_nmf import DeepNMF
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from .atoms import RANGE_DB, centre_frequencies, shading, sorted_atoms
from .html_parts import choice, esc, frequency_marks, lane
from .layers import shown_layers
from .summary import card


def card_html(model: Model) -> str:
    """Return the model's card as a list of terms."""
    return "".join(
        f"<div><dt>{esc(name)}</dt><dd>{'<br>'.join(esc(line) for line in value.splitlines())}</dd></div>"
        for name, value in card(model)
    )


def dictionaries_html(model: Model) -> str:
    """Return the dictionaries as pictures, one shown at a time, every atom at the same place in all of them."""
    network, rate_hz = model.network, model.features.stft.rate_hz
    if not isinstance(network, DictionaryNetwork):
        return "<p>A network of this kind has no dictionaries.</p>"
    shown = _shown(network)
    speech = network.speech_atoms
    order = sorted_atoms(network.output, speech, rate_hz)
    panels = "".join(
        f'<div class="panel" data-panel="dictionary-{index}">{_dictionary(name, W[:, order], speech, rate_hz)}</div>'
        for index, (name, W) in enumerate(shown.items())
    )
    note = (
        f"<p>A column is an atom: a spectrum that the network can switch on. Sorted by the centre frequency that it "
        f"has in the output dictionary; dark to bright is {RANGE_DB:.0f} dB up to the atom's peak.</p>"
    )
    return choice("dictionary", "Dictionary", list(shown)) + panels + note


def _shown(network: DictionaryNetwork) -> dict[str, np.ndarray]:
    """Return the output dictionary and some layers', ``(F, R)``: of stacked frames, the current one."""
    bins = network.output.shape[0]
    layers = _layers(network)
    users: dict[int, list[int]] = {}
    for layer, index in enumerate(layers, 1):
        users.setdefault(index, []).append(layer)
    wanted = {layers[layer - 1] for layer in shown_layers(len(layers)) if layer}
    shown = {"output": network.output}
    for index in sorted(wanted, key=lambda index: users[index]):
        shown[_layers_name(users[index])] = network.dictionaries[index][-bins:]
    return shown


def _layers(network: DictionaryNetwork) -> Sequence[int]:
    """Return for each layer which of the dictionaries it has; nothing of networks that are not deep NMF."""
    if isinstance(network, DeepNMF):
        return network.layers
    return range(len(network.dictionaries)) if isinstance(network, RecurrentDeepNMF) else ()


def _layers_name(layers: list[int]) -> str:
    return f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]} to {layers[-1]}"


def _dictionary(name: str, W: np.ndarray, speech: int, rate_hz: int) -> str:
    halves = [(kind, part) for kind, part in (("speech", W[:, :speech]), ("noise", W[:, speech:])) if part.shape[1]]
    return '<div class="atoms">' + "".join(_half(name, kind, part, rate_hz) for kind, part in halves) + "</div>"


def _half(name: str, kind: str, W: np.ndarray, rate_hz: int) -> str:
    centres = ",".join(f"{hz:.0f}" for hz in centre_frequencies(W, rate_hz))
    description = f"{W.shape[1]} {kind} atoms of the {name} dictionary, by centre frequency"
    return (
        f'<figure style="flex-grow:{W.shape[1]}" data-atoms="{centres}" data-kind="{kind}"><figcaption>{W.shape[1]} '
        f'{kind} atoms <output></output></figcaption><div class="plate">'
        f"{lane(shading(W), description, frequency_marks(rate_hz))}</div></figure>"
    )
