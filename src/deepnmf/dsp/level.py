"""Causal level of a recording: magnitudes are divided by it so that μ and the floors mean the same everywhere."""

from __future__ import annotations

import math

import numpy as np

LEVEL_FLOOR = 1e-6
"""Minimum level, in STFT magnitude of full-scale-one samples; it is below the last bit of 16-bit audio."""


class LevelTracker:
    """Track the root-mean-square magnitude of past and present frames.

    A plain mean over the first `seconds` of sound, an exponential one afterwards, so that the first frames are
    already at unit level. Frames of digital silence are not counted.

    Parameters
    ----------
    seconds : float
        Time constant.
    frame_seconds : float
        Hop.
    scale : float
        Factor of the magnitudes whose level is tracked.
    """

    def __init__(self, seconds: float, frame_seconds: float, scale: float = 1.0) -> None:
        self._least_weight = min(1.0, frame_seconds / seconds)
        self._power_scale = scale**2
        self._power = 0.0
        self._counted = 0

    def push(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the level at each of the frames ``(F, N)``, shape ``(N,)``, float32, at least `LEVEL_FLOOR`.

        Examples
        --------
        >>> LevelTracker(3.0, 0.01).push(np.full((4, 2), 0.5)).tolist()
        [0.5, 0.5]
        """
        energies = np.add.reduce(np.square(magnitudes), axis=0, dtype=np.float64)
        return np.array([self._next(energy, len(magnitudes)) for energy in energies.tolist()], np.float32)

    def next(self, frame: np.ndarray) -> float:
        """Return the level at the next frame ``(F,)``: for streams, without the overhead of a reduction."""
        return self._next(float(frame.dot(frame)), len(frame))

    def _next(self, energy: float, bins: int) -> float:
        power = self._power_scale * energy / bins
        if power > LEVEL_FLOOR**2:
            self._counted += 1
            self._power += max(1 / self._counted, self._least_weight) * (power - self._power)
        return max(math.sqrt(self._power), LEVEL_FLOOR)
