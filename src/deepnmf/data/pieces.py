"""Features of mixtures in pieces, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from ..config import FeatureConfig
from ..dsp.level import LevelTracker
from ..dsp.stft import Analyser, padding
from ..errors import DeepnmfError
from .manifest import MixtureEntry
from .mixing import mixture_blocks

PIECE_FRAMES = 4_096
"""Frames of a piece, 41 s by default; the last one may be shorter."""

T = TypeVar("T")


class Layout(NamedTuple):
    """An array that holds the mixtures of a split, ``(signals, n, parts · F)``."""

    name: str
    signals: int
    parts: int


MAGNITUDES = Layout("magnitudes", signals=3, parts=1)
"""Of mixture, speech and noise."""
SPECTRA = Layout("spectra", signals=2, parts=2)
"""Of mixture and speech; real and imaginary parts take turns."""
LAYOUTS = {"train": MAGNITUDES, "dev": SPECTRA}
"""Training on stored features needs magnitudes; the dev score needs phases as well."""


@dataclass(frozen=True, order=True)
class Position:
    """A position in a split: an entry, and a frame of it."""

    entry: int = 0
    frame: int = 0


@dataclass(frozen=True)
class Piece:
    """Consecutive frames of one mixture, or why it is left out: values in its split's layout, ``level`` ``(n,)``."""

    start: Position
    end: Position
    """Where the next piece starts."""
    values: np.ndarray
    level: np.ndarray
    left_out: str = ""


def feature_pieces(
    entries: Sequence[MixtureEntry], start: Position, config: FeatureConfig, stop: int
) -> Iterator[Piece]:
    """Yield the features of `entries` from `start` up to entry `stop`, in pieces of at most `PIECE_FRAMES` frames."""
    for index in range(start.entry, stop):
        frame, following = 0, Position(index + 1)
        try:
            for (values, level), is_last in _with_last(mixture_features(entries[index], config)):
                end = following if is_last else Position(index, frame + len(level))
                if index > start.entry or frame >= start.frame:
                    yield Piece(Position(index, frame), end, values, level)
                frame += len(level)
        except DeepnmfError as error:
            nothing = _stored(np.zeros((3, 0, config.stft.bins), np.complex64), entries[index].split)
            yield Piece(Position(index, frame), following, nothing, np.zeros(0, np.float32), left_out=str(error))


def mixture_features(entry: MixtureEntry, config: FeatureConfig) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what is stored of a mixture's split, float32, and the mixture's level ``(n,)``.

    There are `PIECE_FRAMES` frames in each but the last.

    Raises
    ------
    DeepnmfError
        If the mixture cannot be made; nothing has been yielded then.
    """
    tracker = LevelTracker(config.level_seconds, config.stft.hop / config.stft.rate_hz)
    for spectra in _regrouped(_spectra(entry, config), PIECE_FRAMES):
        yield _stored(spectra, entry.split), tracker.push(np.abs(spectra[0]).T)


def _stored(spectra: np.ndarray, split: str) -> np.ndarray:
    """Return what is stored of the spectra ``(3, n, F)`` of mixture, speech and noise."""
    if LAYOUTS[split] is MAGNITUDES:
        return np.abs(spectra)
    return np.ascontiguousarray(spectra[: SPECTRA.signals]).view(np.float32)


def _spectra(entry: MixtureEntry, config: FeatureConfig) -> Iterator[np.ndarray]:
    """Yield spectra ``(3, n, F)`` block by block, those that :func:`deepnmf.dsp.stft.stft` gives of the whole."""
    analyser = Analyser(config.stft, channels=3)
    samples = 0
    for block in mixture_blocks(entry, config.stft.rate_hz):
        samples += block.shape[1]
        yield analyser.push(block).swapaxes(1, 2)
    rest = np.zeros((3, padding(config.stft, samples)), np.float32)
    yield analyser.push(rest).swapaxes(1, 2)


def _regrouped(blocks: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
    """Yield blocks ``(3, n, F)`` in pieces ``(3, frames, F)``, the last one shorter."""
    held: list[np.ndarray] = []
    missing = frames
    for block in blocks:
        while block.shape[1]:
            held.append(block[:, :missing])
            missing -= held[-1].shape[1]
            block = block[:, held[-1].shape[1] :]
            if not missing:
                yield np.concatenate(held, axis=1)
                held, missing = [], frames
    if held:
        yield np.concatenate(held, axis=1)


def _with_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield each item and whether it is the last."""
    iterator = iter(items)
    for item in iterator:
        for following in iterator:
            yield item, False
            item = following
        yield item, True
