"""A limit of the attenuation that holds after overlap-add, also where a filter adds to the spectrum."""

from __future__ import annotations

import numpy as np

TINY_POWER = 1e-30
"""Power of a bin below which what a filter adds has no phase relative to it."""


def limited(
    spectrum: np.ndarray, gains: np.ndarray, added: np.ndarray | None, least: np.float32
) -> tuple[np.ndarray, np.ndarray | None]:
    """Limit the attenuation: raise the part of the output that is in phase with the input to a share of it.

    A floor on the gains is not enough where a filter adds to the spectrum, as it may cancel that. The energy of an
    output whose part in phase is at least `least` times the input is at least ``least²`` times the input's after
    overlap-add as well, by the inequality of Cauchy and Schwarz, which a floor on its magnitude would not ensure.

    Parameters
    ----------
    spectrum : ndarray
        Of the input, ``(channels, F, N)``.
    gains : ndarray
        ``(channels or 1, F, N)``.
    added : ndarray or None
        What a filter adds to the lowest bins before the gains, ``(channels, L, N)``.
    least : float32
        The least gain, above 0; 1 returns the input.

    Returns
    -------
    ndarray
        The gains, at least `least`.
    ndarray or None
        What is added to the lowest bins before these gains, so that the limit holds for their product with the sum.
    """
    floored = np.maximum(gains, least)
    if added is None:
        return floored, None
    bins = added.shape[1]
    lowest, gains = spectrum[:, :bins], gains[:, :bins]
    added = np.sqrt(1 - least**2) * gains * added
    power = np.square(lowest.real) + np.square(lowest.imag)
    in_phase = gains + (added * lowest.conj()).real / np.maximum(power, TINY_POWER)
    lift = np.maximum(in_phase, least) - in_phase - (floored[:, :bins] - gains)
    return floored, (added + lift * lowest) / floored[:, :bins]
