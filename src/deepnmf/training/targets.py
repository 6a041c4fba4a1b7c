"""Training targets of mask estimators, from the magnitudes of mixture, speech and noise alone."""

from __future__ import annotations

from ..dsp.arrays import AnyArray, array_namespace, epsilon


def phase_sensitive(mixture: AnyArray, speech: AnyArray, noise: AnyArray) -> AnyArray:
    """Return the speech magnitude in phase with the mixture, ``|S| cos(∠S − ∠M)``, within [0, |M|].

    As M = S + N, the law of cosines gives it from the three magnitudes alone (Erdogan et al. 2015, §3).

    Examples
    --------
    >>> import numpy as np
    >>> phase_sensitive(np.array([5.0]), np.array([3.0]), np.array([4.0])).round(2)
    array([1.8])
    """
    target = in_phase_power(mixture, speech, noise) / mixture.clip(epsilon(mixture))
    return array_namespace(mixture).minimum(target.clip(0), mixture)


def in_phase_power(mixture: AnyArray, speech: AnyArray, noise: AnyArray) -> AnyArray:
    """Return ``|S| |M| cos(∠S − ∠M)`` from magnitudes."""
    return (mixture * mixture + speech * speech - noise * noise) / 2


def compress_target(mixture: AnyArray, speech: AnyArray, noise: AnyArray, power: float, phase: float) -> AnyArray:
    """Return the compressed magnitude that an estimate with the mixture's phase should have, ≥ 0 for ``phase ≤ ½``.

    An estimate of compressed magnitude x is off by ``(1 − phase) (x − |S|^p)² + phase | x e^(i∠M) − |S|^p e^(i∠S) |²``
    (Braun & Tashev 2021, eq. 4). It is minimal at ``|S|^p (1 − phase + phase · cos(∠S − ∠M))``, and apart from a
    constant it is the squared distance from there.

    Examples
    --------
    >>> import numpy as np
    >>> compress_target(np.array([5.0]), np.array([3.0]), np.array([4.0]), power=1, phase=0.5).round(2)
    array([2.4])
    """
    product = (mixture * speech).clip(epsilon(mixture) ** 2)
    cosine = (in_phase_power(mixture, speech, noise) / product).clip(-1, 1)
    return speech**power * (1 - phase + phase * cosine)
