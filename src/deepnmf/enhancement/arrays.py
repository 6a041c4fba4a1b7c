"""Enhancement of a whole array in memory."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeepnmfError
from ..model import DEFAULT_MODEL, Model, load_model
from .enhancer import Enhancer, Observer
from .warm_up import opening

INTEGER_FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}
MOST_CHANNELS = 64
"""An array with more rows than this, and more rows than columns, counts as transposed."""


def enhance_array(
    samples: np.ndarray,
    rate_hz: int,
    model: Model | str | Path | None = None,
    *,
    max_attenuation_db: float | None = None,
    independent: bool = False,
    observer: Observer | None = None,
) -> np.ndarray:
    """Enhance a recording held in an array.

    Level and states are warmed up over its first seconds. An :class:`Enhancer` that is not warmed up gives other
    samples in the first second or two, with more residual noise.

    Parameters
    ----------
    samples : ndarray
        Shape ``(samples,)`` or ``(channels, samples)``; float with full scale 1, int16 or int32.
    rate_hz : int
        Sampling rate.
    model : Model, str or Path, optional
        A loaded model, the name of one in the package, or a model file; the package's default model by default.
    max_attenuation_db, independent, observer
        As for :class:`Enhancer`.

    Returns
    -------
    ndarray
        The enhanced recording, of the shape and dtype of `samples` (float16 and float64 are processed as float32).

    Raises
    ------
    DeepnmfError
        If the shape or dtype is not one of these, the array looks transposed, or a sample is NaN or infinite.

    Examples
    --------
    >>> import deepnmf
    >>> noisy = np.random.default_rng(0).integers(-99, 100, size=48000, dtype=np.int16)
    >>> enhanced = deepnmf.enhance(noisy, 48000, max_attenuation_db=12)
    >>> enhanced.shape, enhanced.dtype
    ((48000,), dtype('int16'))
    """
    samples = np.asarray(samples)
    _check_shape(samples)
    blocks = np.atleast_2d(_as_float(samples))
    enhancer = Enhancer(
        resolved(model),
        rate_hz,
        len(blocks),
        max_attenuation_db=max_attenuation_db,
        independent=independent,
        observer=observer,
    )
    enhancer.warm_up(opening(blocks, enhancer.rate_hz))
    output = np.concatenate([enhancer.process(blocks), enhancer.flush()], axis=1)
    return _as_dtype(output.reshape(samples.shape), samples.dtype)


def resolved(model: Model | str | Path | None) -> Model:
    """Return a loaded model unchanged, or load one by name or path; the default model is cached."""
    if isinstance(model, Model):
        return model
    return _default_model() if model is None else load_model(model)


@functools.lru_cache(maxsize=1)
def _default_model() -> Model:
    return load_model(DEFAULT_MODEL)


def _check_shape(samples: np.ndarray) -> None:
    if samples.ndim not in (1, 2):
        raise DeepnmfError(f"samples must have shape (samples,) or (channels, samples), not {samples.shape}")
    if samples.ndim == 2 and samples.shape[0] > max(samples.shape[1], MOST_CHANNELS):
        raise DeepnmfError(
            f"samples of shape {samples.shape} look transposed: (channels, samples) is needed; pass samples.T"
        )
    if samples.ndim == 2 and not samples.shape[0]:
        raise DeepnmfError(f"samples of shape {samples.shape} have no channels")


def _as_float(samples: np.ndarray) -> np.ndarray:
    if np.issubdtype(samples.dtype, np.floating):
        with np.errstate(over="ignore"):  # infinite samples are refused later, in one line
            return samples.astype(np.float32, copy=False)
    if samples.dtype.name not in INTEGER_FULL_SCALE:
        raise DeepnmfError(
            f"samples of dtype {samples.dtype} have no agreed full scale; pass floats of full scale 1, int16 or int32"
        )
    return (samples / INTEGER_FULL_SCALE[samples.dtype.name]).astype(np.float32)


def _as_dtype(output: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    if np.issubdtype(dtype, np.floating):
        return output.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    scaled = np.rint(output.astype(np.float64) * INTEGER_FULL_SCALE[dtype.name])
    if scaled.size and (scaled.max() > limits.max or scaled.min() < limits.min):
        warnings.warn("output samples above full scale were clipped; pass floats to keep them", stacklevel=3)
    return np.clip(scaled, limits.min, limits.max).astype(dtype)
