"""What a mask estimator is trained towards, from the magnitudes of mixture, speech and noise alone."""

from __future__ import annotations

import numpy as np

from ..dsp.arrays import epsilon


def phase_sensitive(mixture: np.ndarray, speech: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the speech magnitude in phase with the mixture, ``|S| cos(∠S − ∠M)``, within [0, |M|].

    As M = S + N, the law of cosines gives it from the three magnitudes alone (Erdogan et al. 2015, §3).

    Examples
    --------
    >>> phase_sensitive(np.array([5.0]), np.array([3.0]), np.array([4.0])).round(2)
    array([1.8])
    """
    return np.clip(in_phase_power(mixture, speech, noise) / np.maximum(mixture, epsilon(mixture)), 0, mixture)


def in_phase_power(mixture: np.ndarray, speech: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return ``|S| |M| cos(∠S − ∠M)`` from magnitudes."""
    return (np.square(mixture) + np.square(speech) - np.square(noise)) / 2


def compressed(mixture: np.ndarray, speech: np.ndarray, noise: np.ndarray, power: float, phase: float) -> np.ndarray:
    """Return the compressed magnitude that an estimate with the mixture's phase should have, ≥ 0 for ``phase ≤ ½``.

    An estimate of compressed magnitude x is off by ``(1 − phase) (x − |S|^p)² + phase | x e^(i∠M) − |S|^p e^(i∠S) |²``
    (Braun & Tashev 2021, eq. 4). That is least at ``|S|^p (1 − phase + phase · cos(∠S − ∠M))``, and apart from a
    constant it is the squared distance from there.

    Examples
    --------
    >>> compressed(np.array([5.0]), np.array([3.0]), np.array([4.0]), power=1, phase=0.5).round(2)
    array([2.4])
    """
    product = np.maximum(mixture * speech, epsilon(mixture) ** 2)
    cosine = np.clip(in_phase_power(mixture, speech, noise) / product, -1, 1)
    return np.asarray(speech**power * (1 - phase + phase * cosine))
