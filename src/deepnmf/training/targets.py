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
    in_phase_power = (mixture * mixture + speech * speech - noise * noise) / 2
    target = in_phase_power / mixture.clip(epsilon(mixture))
    return array_namespace(mixture).minimum(target.clip(0), mixture)
