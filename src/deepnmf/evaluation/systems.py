"""Systems to score: any function from noisy to enhanced samples, such as a model file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DeepnmfError
from ..model import DEFAULT_MODEL, Model, load_model

Enhance = Callable[[np.ndarray, int], np.ndarray]
"""Of noisy ``(samples,)`` float32 and the rate in Hz; returns the same shape."""


@dataclass(frozen=True)
class System:
    """An enhancement system to score.

    Attributes
    ----------
    name : str
        Shown in the summary.
    rate_hz : int
        Rate at which files are read, mixed, enhanced and scored.
    enhance : callable
        From ``(samples,)`` float32 and a rate in Hz to the enhanced ``(samples,)``. With more than one job it must be
        picklable: a function of a module, or an instance of a class of one.
    sha256 : str
        Checksum of the model, if there is one. Scores of an interrupted run are used again only for the same name, rate
        and checksum.
    """

    name: str
    rate_hz: int
    enhance: Enhance
    sha256: str = ""

    def __call__(self, noisy: np.ndarray) -> np.ndarray:
        """Return the enhanced samples.

        Raises
        ------
        DeepnmfError
            If the system fails, or gives another shape or values that are not finite.
        """
        try:
            enhanced = np.asarray(self.enhance(noisy, self.rate_hz))
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
class _ModelEnhance:
    """Loads its model where it runs, so that a worker process is sent a path only."""

    name_or_path: str

    def __call__(self, noisy: np.ndarray, rate_hz: int) -> np.ndarray:
        from ..enhancement import enhance_array

        return enhance_array(noisy, rate_hz, _model(self.name_or_path))


@functools.lru_cache(maxsize=1)
def _model(name_or_path: str) -> Model:
    return load_model(name_or_path)


def model_system(name_or_path: str | Path = DEFAULT_MODEL) -> System:
    """Return a model of the package, or a model file, as a system.

    Raises
    ------
    DeepnmfError
        If there is no such model, or the file is damaged or not a model.
    """
    model = load_model(name_or_path)
    return System(
        name="/".join(Path(name_or_path).with_suffix("").parts[-2:]),  # runs/snmf/best: "best" alone is ambiguous
        rate_hz=model.features.stft.rate_hz,
        enhance=_ModelEnhance(str(name_or_path)),
        sha256=str(model.metadata.get("sha256", "")),
    )
