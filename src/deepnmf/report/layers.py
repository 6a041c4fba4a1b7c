"""Activations and the mask after each layer of a deep NMF network, of one recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dsp.level import LevelTracker
from ..dsp.stft import Analyser, istft, stft
from ..enhancement.warm_up import opening
from ..evaluation.metrics import si_sdr
from ..model import Model
from ..networks.base import DictionaryNetwork
from ..nmf.updates import wiener_mask

MOST_MASKS = 6


@dataclass(frozen=True)
class LayerTrace:
    """One recording as it passes through the layers.

    Attributes
    ----------
    network : DictionaryNetwork
        The network.
    activations : ndarray
        Of the last layer, ``(R, N)``.
    masks : dict of int to ndarray
        Mask ``(F, N)`` after that many layers; 0 is that of the start, before any. At most `MOST_MASKS` of them.
    si_sdr_db : list of float
        SI-SDR of the speech with the mask after 0, 1, … K layers.
    """

    network: DictionaryNetwork
    activations: np.ndarray
    masks: dict[int, np.ndarray]
    si_sdr_db: list[float]


def trace_layers(model: Model, noisy: np.ndarray, speech: np.ndarray) -> LayerTrace | None:
    """Follow a recording ``(samples,)`` at the model's rate through the layers; None for other networks.

    Level and states are warmed up over the first seconds, as :func:`deepnmf.enhance` does.
    """
    network, features = model.network, model.features
    spectrum = stft(noisy[None], features.stft)  # (1, F, N)
    first = Analyser(features.stft, 1).push(opening(noisy[None], features.stft.rate_hz))  # (1, F, N₀)
    magnitudes = np.abs(np.concatenate([first, spectrum], axis=2)[0])  # (F, N₀ + N)
    level = LevelTracker(features.level_seconds, features.stft.hop / features.stft.rate_hz).push(magnitudes)
    atoms, followed = network.with_atoms(), network.layer_activations(magnitudes / level)
    if atoms is None or followed is None:
        return None
    activations = [h[:, first.shape[2] :] for h in followed]  # each (R, N)
    masks = [wiener_mask(atoms.output, h, atoms.speech_atoms) for h in activations]
    quality = [si_sdr(speech, istft(spectrum * mask, features.stft, len(noisy))[0]) for mask in masks]
    shown = {layer: masks[layer] for layer in shown_layers(len(masks) - 1)}
    return LayerTrace(atoms, activations[-1], shown, quality)


def shown_layers(layers: int) -> list[int]:
    """Return which of the masks after 0 … K layers are shown: all, or the first, the last and some between.

    Examples
    --------
    >>> shown_layers(4), shown_layers(25)
    ([0, 1, 2, 3, 4], [0, 1, 2, 5, 11, 25])
    """
    if layers < MOST_MASKS:
        return list(range(layers + 1))
    return [0, *np.unique(np.rint(np.geomspace(1, layers, MOST_MASKS - 1)).astype(int)).tolist()]
