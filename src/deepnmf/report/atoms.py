"""The atoms of a dictionary, sorted by centre frequency, as values for a picture or as text."""

from __future__ import annotations

import numpy as np

RANGE_DB = 40.0
"""An atom is shown from its peak down to this far below it."""
SHADES = " .:-=+*#%@"
COLUMNS = 34
"""Most characters of a line of the drawing, for speech and for noise."""


def centre_frequencies(W: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the mean frequency of each atom of ``(F, R)``, weighted by its power, in Hz, shape ``(R,)``.

    Examples
    --------
    >>> centre_frequencies(np.array([[0.0], [1.0], [0.0]]), 16000)
    array([4000.])
    """
    frequencies = np.linspace(0, rate_hz / 2, len(W))
    power = np.square(W.astype(np.float64))
    return (frequencies @ power) / np.maximum(power.sum(axis=0), np.finfo(float).tiny)


def sorted_atoms(W: np.ndarray, speech_atoms: int, rate_hz: int) -> np.ndarray:
    """Return the order of the atoms of ``(F, R)``: speech by centre frequency, then noise, shape ``(R,)``."""
    centres = centre_frequencies(W, rate_hz)
    speech, noise = centres[:speech_atoms], centres[speech_atoms:]
    return np.concatenate([np.argsort(speech, kind="stable"), speech_atoms + np.argsort(noise, kind="stable")])


def shading(W: np.ndarray) -> np.ndarray:
    """Return the atoms ``(F, R)`` in [0, 1]: 1 at an atom's peak, 0 at `RANGE_DB` below it."""
    peaks = np.maximum(W.max(axis=0), np.finfo(np.float32).tiny)
    floor = 10 ** (-RANGE_DB / 20)
    return 1 + np.asarray(20 * np.log10(np.maximum(W / peaks, floor))) / RANGE_DB


def drawing(W: np.ndarray, speech_atoms: int, rate_hz: int, rows: int = 16) -> str:
    """Return the sorted atoms ``(F, R)`` as text, speech left and noise right; plain ASCII for any terminal.

    Where atoms or bins outnumber the characters, a character shows the strongest of those that it covers.
    """
    shades = shading(W[:, sorted_atoms(W, speech_atoms, rate_hz)])
    halves = [_characters(half, rows) for half in (shades[:, :speech_atoms], shades[:, speech_atoms:])]
    text = [f"{'':7} {'speech atoms':{len(halves[0][0])}}  noise atoms"]
    for row, (speech, noise) in enumerate(zip(*halves, strict=True)):
        khz = f"{rate_hz / 2000 * (1 - row / (rows - 1)):.1f} kHz"
        text.append(f"{khz:>7} {speech}  {noise}".rstrip())
    return "\n".join([*text, f"{'':7} sorted by centre frequency, dark to bright over {RANGE_DB:.0f} dB"])


def _characters(shades: np.ndarray, rows: int) -> list[str]:
    """Return ``(F, R)`` in [0, 1] as lines of text, the highest frequency first."""
    if not shades.shape[1]:
        return [""] * rows
    columns = min(COLUMNS, shades.shape[1])
    bands = np.array_split(shades, rows)
    cells = [[cell.max(initial=0.0) for cell in np.array_split(band, columns, axis=1)] for band in bands]
    return ["".join(SHADES[round(value * (len(SHADES) - 1))] for value in line) for line in reversed(cells)]
