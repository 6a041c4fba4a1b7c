"""Further attenuation in pauses of speech, where residual noise is made steady as well.

In a pause, a mask that follows the noise leaves musical noise: single bins that flicker. There the mask becomes the
attenuation that it has on average, over neighbouring bins and the past, and less by a constant. A frame is in a pause
if the model passes little of it, as a whole and in each band: little in absolute terms, and compared with the most that
it has passed so far, as at low SNR it passes little of speech, too.
"""

from __future__ import annotations

import functools
import math

import numpy as np

BANDS = 9
"""Triangles over the model's band, equally spaced, by 1 kHz at 16 kHz; as many as bins if that is less."""
DECAY = 0.9
"""Decay per frame of the energies of mixture and output whose ratio is the gain: a time constant of 95 ms."""
WHOLE_GAIN, BAND_GAIN = 0.4, 0.6
"""Gains below which a frame is in a pause: of its energy, and of each band's."""
OF_HIGHEST = 0.3
"""The same, as a share of the highest gain so far: the lower limit counts."""
FADE = 8.0
"""Slope of the transition: a frame is fully a pause from an eighth below the limit on."""
PAUSE_GAIN = 0.03
"""Further gain in a pause: 30 dB."""
LEAST_ENERGY = 1e-12, 1e-18
"""Added to the energies of mixture and output at unit level, so that silence has a ratio, a small one."""
RULES = {
    "bands": BANDS,
    "decay": DECAY,
    "whole_gain": WHOLE_GAIN,
    "band_gain": BAND_GAIN,
    "of_highest": OF_HIGHEST,
    "fade": FADE,
    "pause_gain": PAUSE_GAIN,
    "least_energy": LEAST_ENERGY,
}
"""The constants by name, for implementations in other languages."""


class Pauses:
    """Masks with further attenuation in pauses, frame by frame.

    Parameters
    ----------
    bins : int
        F of the model.

    Attributes
    ----------
    spread : ndarray
        Interpolates gains of the bands at the bins, times `PAUSE_GAIN`, ``(B, F)``.

    Notes
    -----
    Chosen on dev (`benchmarks/residual_noise.py`, recipes/open/ABLATIONS.md).
    """

    def __init__(self, bins: int) -> None:
        bands = min(BANDS, bins)
        position = np.linspace(0, bands - 1, bins)
        triangles = np.maximum(0, 1 - np.abs(position - np.arange(bands)[:, None]))  # (B, F): sums to 1 over bands
        self.spread = (PAUSE_GAIN * triangles).astype(np.float32)
        means = np.concatenate([triangles, np.ones((1, bins))])
        means /= means.sum(axis=1, keepdims=True)
        rows = [(1 - DECAY) * means.T, np.full((1, bands + 1), 1 - DECAY), DECAY * np.eye(bands + 1)]
        self._next = np.concatenate(rows).astype(np.float32)  # energies of powers, the least one and past energies
        self._frame = np.zeros((2, len(self._next)), np.float32)
        self._powers, self._energies = tuple(self._frame[:, :bins]), self._frame[:, bins + 1 :]
        self._frame[:, bins] = LEAST_ENERGY
        self._highest = 0.0

    def push(self, mask: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask to use for the next frames, in [0, 1], ``(F, N)``.

        Parameters
        ----------
        mask, magnitudes : ndarray
            Of the model, at unit level, ``(F, N)``.
        """
        frames = magnitudes.shape[1]
        if frames == 1:
            return self._step(mask, mask[:, 0], magnitudes[:, 0])
        if not frames:
            return mask
        ratios = self._ratios(mask.T, magnitudes.T)
        shares = [self._share(row) for row in ratios.tolist()]
        if not any(shares):
            return mask
        steady = np.sqrt(ratios[:, :-1]).dot(self.spread)  # (N, F)
        if min(shares) < 1:
            share = np.array(shares, np.float32)[:, None]
            steady = mask.T + share * (steady - mask.T)
        return steady.T

    def _step(self, mask: np.ndarray, gains: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mask ``(F, 1)`` to use for a frame ``(F,)`` of a stream: as :meth:`push`, in fewer calls."""
        mixture, output = self._powers
        np.multiply(magnitudes, magnitudes, mixture)
        np.multiply(gains, gains, output)
        np.multiply(output, mixture, output)
        energies = self._energies[:] = self._frame.dot(self._next)
        ratios = energies[1] / energies[0]
        share = self._share(ratios.tolist())
        if not share:
            return mask
        steady = np.sqrt(ratios[:-1]).dot(self.spread)
        return (steady if share == 1 else gains + share * (steady - gains))[:, None]

    def _ratios(self, mask: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """Return the squared gains ``(N, B + 1)`` of the bands and the whole, given frames ``(N, F)``."""
        frames, bins = mask.shape
        powers = np.empty((2, frames, bins), np.float32)
        powers[0] = magnitudes
        np.multiply(mask, magnitudes, out=powers[1])
        np.square(powers, out=powers)
        energies = powers.reshape(2 * frames, bins).dot(self._next[:bins]).reshape(2, frames, -1)
        energies += self._frame[:, None, bins : bins + 1] * self._next[bins]
        past, weights = _decays(frames)
        energies = np.matmul(weights, energies) + past * self._energies[:, None]
        self._energies[:] = energies[:, -1]
        return energies[1] / energies[0]

    def _share(self, ratios: list[float]) -> float:
        """Return how far a frame is a pause, 0 to 1, by its squared gains in the bands and, last, as a whole."""
        ratios[-1] *= _WHOLE_AS_BAND
        gain = max(ratios)
        highest = self._highest = max(self._highest, gain)
        limit = min(_LARGEST, OF_HIGHEST**2 * highest)
        return min(1.0, FADE * (1 - math.sqrt(gain / limit))) if gain < limit else 0.0  # also if damaged: not a number


_LARGEST, _WHOLE_AS_BAND = BAND_GAIN**2, (BAND_GAIN / WHOLE_GAIN) ** 2


@functools.lru_cache(maxsize=8)
def _decays(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights in each frame of the energies before, ``(N, 1)``, and of those of the frames, ``(N, N)``."""
    ages = np.subtract.outer(np.arange(frames), np.arange(frames))
    present = np.where(ages >= 0, DECAY ** np.maximum(ages, 0), 0)
    return (DECAY ** np.arange(1.0, frames + 1))[:, None].astype(np.float32), present.astype(np.float32)
