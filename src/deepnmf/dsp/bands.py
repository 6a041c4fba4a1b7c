"""Auditory bands: many narrow ones at low frequencies, few wide ones at high frequencies."""

from __future__ import annotations

import numpy as np


def band_pooling(bins: int, bands: int, rate_hz: int) -> np.ndarray:
    """Return the matrix ``(bands, F)`` that averages F bins from 0 Hz to half the rate into overlapping bands.

    Bands are as wide, relative to each other, as the ear's (equivalent rectangular bandwidth 24.7 (4.37 f/kHz + 1) Hz,
    Glasberg & Moore 1990), but none is narrower than a bin, so that low harmonics stay resolved. Each row sums to 1.

    Examples
    --------
    >>> P = band_pooling(257, 64, 16000)
    >>> P.shape, P.sum(axis=1).round(5).tolist() == [1.0] * 64
    ((64, 257), True)
    >>> (P > 0).sum(axis=1)[[0, 10, 63]].tolist()
    [1, 1, 14]
    """
    width = 4.37 * np.linspace(0, rate_hz / 2000, bins) + 1
    low, high = 0.0, width.max()
    for _ in range(60):  # the density of bands, so that they fill the bins
        density = (low + high) / 2
        low, high = (density, high) if np.minimum(1, density / width)[1:].sum() < bands - 1 else (low, density)
    position = np.concatenate([[0.0], np.cumsum(np.minimum(1, density / width)[1:])])
    weights = np.maximum(0, 1 - np.abs(position - np.arange(bands)[:, None]))
    weights[weights < 1e-6] = 0
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
