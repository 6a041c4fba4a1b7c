"""Systems to score: any function from noisy to enhanced samples, such as a model file, or files enhanced elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ..artifacts.paths import resolved
from ..audio.files import read, resample
from ..audio.reader import AudioReader
from ..errors import DeepnmfError
from ..model import DEFAULT_MODEL, Model, load_model

Enhance = Callable[[np.ndarray, int], np.ndarray]
"""Of noisy ``(samples,)`` float32 and the rate in Hz; returns the same shape."""
Blocks = Iterator[tuple[np.ndarray, np.ndarray]]
"""Blocks of noisy and of enhanced samples, each ``(n,)``; both have equal lengths in total."""


@runtime_checkable
class EnhancesFiles(Protocol):
    """What can also enhance a file block by block, in bounded memory."""

    def stream(self, path: Path) -> tuple[int, Blocks]:
        """Return the rate of a file and its blocks, channels averaged."""


@dataclass(frozen=True)
class System:
    """An enhancement system to score.

    Attributes
    ----------
    name : str
        Shown in the summary.
    rate_hz : int
        Rate at which files are read, mixed, enhanced and scored; in a comparison that is the highest rate of all.
    enhance : callable
        From ``(samples,)`` float32 and a rate in Hz to the enhanced ``(samples,)``. With more than one job it must be
        picklable: a function of a module, or an instance of a class of one.
    sha256 : str
        Checksum of the model, if there is one. Scores of an interrupted run are used again only for the same name, rate
        and checksum.
    any_rate : bool
        Whether it enhances at any rate; otherwise samples are resampled to `rate_hz` and back.
    source : str
        Name or path of the model, if it is one, so that a report can load it again.
    """

    name: str
    rate_hz: int
    enhance: Enhance
    sha256: str = ""
    any_rate: bool = False
    source: str = ""

    def __call__(self, noisy: np.ndarray, rate_hz: int | None = None) -> np.ndarray:
        """Return the enhanced samples, at `rate_hz`, by default its own.

        Raises
        ------
        DeepnmfError
            If the system fails, or gives another shape or values that are not finite.
        """
        if rate_hz in (None, self.rate_hz) or self.any_rate:
            return self._checked(noisy, rate_hz or self.rate_hz)
        enhanced = self._checked(resample(noisy, rate_hz, self.rate_hz), self.rate_hz)
        back = resample(enhanced, self.rate_hz, rate_hz)[: len(noisy)]
        return np.pad(back, (0, len(noisy) - len(back)))

    def stream(self, path: Path) -> tuple[int, Blocks]:
        """Return the rate of a file and its blocks, noisy and enhanced; a system that is a function gets it whole.

        Raises
        ------
        DeepnmfError
            If the file cannot be read, or the system fails.
        """
        if isinstance(self.enhance, EnhancesFiles):
            return self.enhance.stream(path)
        samples, rate_hz = read(path)
        noisy = samples.mean(axis=0, dtype=np.float32)
        return rate_hz, iter([(noisy, self(noisy, rate_hz))])

    def _checked(self, noisy: np.ndarray, rate_hz: int) -> np.ndarray:
        try:
            enhanced = np.asarray(self.enhance(noisy, rate_hz))
        except DeepnmfError:
            raise
        except Exception as error:  # of a foreign system: one bad recording must not end the run
            raise DeepnmfError(f"{self.name} failed ({type(error).__name__}: {error})") from error
        if enhanced.shape != noisy.shape:
            raise DeepnmfError(f"{self.name} gave shape {enhanced.shape} for {noisy.shape}; it must keep the length")
        if not np.isfinite(enhanced).all():
            raise DeepnmfError(f"{self.name} gave NaN or infinite samples")
        return enhanced


@dataclass(frozen=True)
class EnhancedFiles:
    """Files that any system has enhanced, as the system of that name; paired with recordings by relative path."""

    name: str
    folder: Path

    @property
    def source(self) -> str:
        """The folder's path."""
        return str(resolved(self.folder))


@dataclass(frozen=True)
class _ModelEnhance:
    """Loads its model where it runs, so that a worker process is sent a path only."""

    name_or_path: str

    def __call__(self, noisy: np.ndarray, rate_hz: int) -> np.ndarray:
        from ..enhancement import enhance_array

        return enhance_array(noisy, rate_hz, _model(self.name_or_path))

    def stream(self, path: Path) -> tuple[int, Blocks]:
        """Return the rate of a file and its blocks, channels averaged, as `deepnmf enhance` would write it."""
        reader = AudioReader(path)
        return reader.encoding.rate_hz, self._blocks(reader)

    def _blocks(self, reader: AudioReader) -> Blocks:
        from ..enhancement.enhancer import Enhancer
        from ..enhancement.warm_up import warmed_up

        with reader:
            enhancer = Enhancer(_model(self.name_or_path), reader.encoding.rate_hz, reader.encoding.channels)
            for block in warmed_up(enhancer, reader.blocks()):
                yield block.mean(axis=0), enhancer.process(block).mean(axis=0)
            yield np.zeros(0, np.float32), enhancer.flush().mean(axis=0)


@functools.lru_cache(maxsize=1)
def _model(name_or_path: str) -> Model:
    return load_model(name_or_path)


def model_system(name_or_path: str | Path = DEFAULT_MODEL, name: str = "") -> System:
    """Return a model of the package, or a model file, as a system; its name is made of its path by default.

    Raises
    ------
    DeepnmfError
        If there is no such model, or the file is damaged or not a model.
    """
    model = load_model(name_or_path)
    return System(
        # of runs/snmf/best.safetensors "best" alone would be ambiguous
        name=name or "/".join(Path(name_or_path).with_suffix("").parts[-2:]),
        rate_hz=model.features.stft.rate_hz,
        enhance=_ModelEnhance(str(name_or_path)),
        sha256=str(model.metadata.get("sha256", "")),
        any_rate=True,
        source=str(resolved(name_or_path)) if Path(name_or_path).exists() else str(name_or_path),
    )
