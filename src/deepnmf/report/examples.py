"""The best, median and worst recording of an evaluation, mixed and enhanced again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.manifest import MixtureEntry
from ..data.mixing import Mixture, load_mixture
from ..dsp.stft import stft
from ..enhancement import enhance_array
from ..errors import DeepnmfError
from ..model import Model

EXCERPT_SAMPLES = 96_000
"""Length of the examples: 6 s at 16 kHz. A page with three examples then has 4 to 5 MB."""
PEAK = 0.9
MOST_GAIN = 10.0
RANGE_DB = 70.0
"""Spectrograms go from the noisy recording's peak to this far below it."""


@dataclass(frozen=True)
class Track:
    """One signal of an example: ``samples`` to play, and its spectrogram ``(F, N)`` in [0, 1]."""

    name: str
    samples: np.ndarray
    spectrogram: np.ndarray


@dataclass(frozen=True)
class Example:
    """A recording with its signals and spectrograms.

    Attributes
    ----------
    title : str
        ``"Best"``, ``"Median"``, ``"Worst"``, or several of them for one recording.
    row : dict
        Its line of ``scores.csv``.
    mixture : Mixture
        The complete mixture.
    tracks : list of Track
        Noisy, enhanced, clean, removed noise: the first `EXCERPT_SAMPLES` of each, all played at one gain.
    """

    title: str
    row: dict[str, Any]
    mixture: Mixture
    tracks: list[Track]


def chosen(ranked: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return title and row of best, median and worst of rows sorted from worst to best, each row once.

    Examples
    --------
    >>> chosen([{"id": "a"}, {"id": "b"}])
    [('Best', {'id': 'b'}), ('Median, worst', {'id': 'a'})]
    """
    places = {"Best": len(ranked) - 1, "Median": (len(ranked) - 1) // 2, "Worst": 0} if ranked else {}
    titles: dict[int, list[str]] = {}
    for title, place in places.items():
        titles.setdefault(place, []).append(title)
    return [(", ".join(names).capitalize(), ranked[place]) for place, names in titles.items()]


def make_examples(ranked: list[dict[str, Any]], rows: dict[str, MixtureEntry], model: Model) -> list[Example]:
    """Mix and enhance the chosen recordings.

    Raises
    ------
    DeepnmfError
        If the manifest does not have a row, or its files cannot be read.
    """
    examples = []
    for title, scores in chosen(ranked):
        if scores["id"] not in rows:
            raise DeepnmfError(f"the manifest has no row {scores['id']!r}; run `deepnmf evaluate` again")
        mixture = load_mixture(rows[scores["id"]], model.features.stft.rate_hz)
        enhanced = enhance_array(mixture.noisy, mixture.rate_hz, model)
        examples.append(Example(title, scores, mixture, _tracks(mixture, enhanced, model)))
    return examples


def _tracks(mixture: Mixture, enhanced: np.ndarray, model: Model) -> list[Track]:
    noisy, spec = mixture.noisy, model.features.stft
    signals = {"Noisy": noisy, "Enhanced": enhanced, "Clean": mixture.speech, "Removed noise": noisy - enhanced}
    return excerpt_tracks(signals, lambda samples: stft(samples[None], spec)[0], spec.hop)


def excerpt_tracks(
    signals: dict[str, np.ndarray], transform: Callable[[np.ndarray], np.ndarray], hop: int
) -> list[Track]:
    """Return the first `EXCERPT_SAMPLES` of signals, all at one gain, with spectrograms relative to the first's peak.

    Parameters
    ----------
    signals : dict of str to ndarray
        Each ``(samples,)``.
    transform : callable
        From ``(samples,)`` to the spectrum ``(F, N)``.
    hop : int
        Samples between frames.
    """
    excerpts = {name: samples[:EXCERPT_SAMPLES] for name, samples in signals.items()}
    peak = max(float(np.abs(samples).max(initial=0.0)) for samples in excerpts.values())
    gain = min(PEAK / max(peak, 1e-6), MOST_GAIN)
    powers = {name: _power_db(transform(gain * samples), len(samples), hop) for name, samples in excerpts.items()}
    top = float(next(iter(powers.values())).max())
    return [
        Track(name, gain * samples, np.clip(1 + (powers[name] - top) / RANGE_DB, 0, 1))
        for name, samples in excerpts.items()
    ]


def _power_db(spectrum: np.ndarray, samples: int, hop: int) -> np.ndarray:
    frames = max(1, round(samples / hop))  # the columns then end where the sound does
    return 20 * np.log10(np.maximum(np.abs(spectrum[:, :frames]), 1e-6))
