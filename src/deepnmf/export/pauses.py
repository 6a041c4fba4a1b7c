"""Further attenuation in pauses in a graph of one hop: :class:`deepnmf.dsp.pauses.Pauses`, its state an argument."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..dsp.pauses import BAND_GAIN, DECAY, FADE, LEAST_ENERGY, OF_HIGHEST, WHOLE_GAIN, Pauses
from .layers import constant

TINY = 1e-30
"""Gain below any that a frame has, so that silence at first is no division by zero."""


class PausesStep:
    """The mask to use for a frame.

    The states are energies of mixture and of output in each band and as a whole, ``(2, B + 1)``, and the highest gain
    so far, ``(1,)``. Gains are roots of ratios of energies here; that of the whole counts as that of a band with the
    same limit.
    """

    def __init__(self, bins: int) -> None:
        spread = Pauses(bins).spread
        means = np.concatenate([spread, np.ones((1, bins), np.float32)])
        means = np.pad(means / means.sum(axis=1, keepdims=True), ((0, 0), (0, 1)), constant_values=1)
        self._next = constant(((1 - DECAY) * means).T.astype(np.float32))  # (F + 1, B + 1): also of the least energy
        self._spread = constant(np.pad(spread, ((0, 1), (0, 0))))  # (B + 1, F): nothing of the whole
        self._least = torch.tensor(LEAST_ENERGY).sqrt().split(1)
        self._as_band = torch.tensor([1.0] * len(spread) + [BAND_GAIN / WHOLE_GAIN])

    def __call__(self, mask: Tensor, inside: Tensor, energies: Tensor, highest: Tensor) -> tuple[Tensor, ...]:
        """Return the mask ``(F,)`` to use and the next states, for the model's mask and magnitudes at unit level."""
        of_mixture, of_output = self._least
        magnitudes = torch.cat([inside, of_mixture, mask * inside, of_output]).reshape(2, -1)
        energies = torch.addmm(energies, magnitudes.square(), self._next, beta=DECAY)
        mixture, output = energies.split(1)
        gains = (output / mixture).sqrt()
        gain = (gains * self._as_band).amax(1)
        highest = torch.maximum(highest, gain)
        share = (FADE - gain / (OF_HIGHEST / FADE * highest).clamp(TINY, BAND_GAIN / FADE)).clamp(0, 1)
        steady = (gains @ self._spread)[0]
        return mask + share * (steady - mask), energies, highest


def pauses_states(bins: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of the states for F bins."""
    return {"pauses": (2, len(Pauses(bins).spread) + 1), "highest_gain": (1,)}
