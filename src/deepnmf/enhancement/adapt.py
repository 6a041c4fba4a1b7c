"""Adaptation to noise at run time: new noise atoms are learned, the speech atoms are fixed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio.reader import AudioReader
from ..config import FeatureConfig
from ..dsp.arrays import Array
from ..dsp.level import LevelTracker
from ..dsp.stft import stack_context, stft
from ..errors import DeepnmfError
from ..model import Model
from ..networks.unfolded.deep_nmf import DeepNMF, uniform_scale
from ..nmf.sparse_nmf import SparseNMF
from .enhancer import model_band, spec_at_rate

PROFILE_ATOMS = 64
RECORDING_ATOMS = 32
"""Noise atoms learned by default; the score on dev noises rises up to this number (benchmarks/adaptation.py)."""
PAUSE_SHARE = 0.2
"""Share of a recording's frames, those with least speech, from which its noise is learned."""
SAMPLED_SECONDS = 60.0
SAMPLE_PARTS = 12
"""`--adapt` uses a minute of the recording, in equal parts spread over it."""
ITERATIONS = 50


def adapt_to_noise(
    model: Model,
    samples: np.ndarray,
    rate_hz: int,
    *,
    atoms: int | None = None,
    replace: bool = False,
    with_speech: bool = False,
) -> Model:
    """Return the model with noise atoms learned from a few seconds of noise.

    Parameters
    ----------
    model : Model
        Its speech atoms are fixed.
    samples : ndarray
        Shape ``(channels, n)``: the noise alone, or with `with_speech` the noisy recording itself.
    rate_hz : int
        Sampling rate of the samples.
    atoms : int, optional
        Noise atoms to learn; 64 by default, 32 with speech.
    replace : bool
        Whether they replace the model's noise atoms instead of being appended to them.
    with_speech : bool
        Whether to learn only from the frames in which the model estimates the least speech.

    Raises
    ------
    DeepnmfError
        If the samples are silent, hold less than 0.1 s, or the model is not a sparse or discriminative NMF.
    """
    network = model.network.adaptable()
    if samples.shape[1] < rate_hz / 10:
        raise DeepnmfError("a noise profile needs at least 0.1 s; 5 s is good")
    m = _magnitudes(model.features, samples, rate_hz)
    stacked = stack_context(m, network.dictionaries[0].shape[0] // len(m))
    frames = stacked[:, _pauses(model, m)] if with_speech else stacked
    atoms = atoms or (RECORDING_ATOMS if with_speech else PROFILE_ATOMS)
    snmf = SparseNMF(
        atoms, beta=network.beta, sparsity=network.sparsity, max_iter=ITERATIONS, tol=0, random_state=0
    ).fit(frames.T)
    return dataclasses.replace(model, network=with_noise_atoms(network, snmf.components_.T, frames, replace))


def _magnitudes(features: FeatureConfig, samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return magnitudes at unit level, as input to the model, ``(F, N)``."""
    spec = spec_at_rate(features.stft, rate_hz)
    power = np.square(np.abs(stft(samples, spec))).mean(axis=0)
    m = model_band(np.sqrt(power), features.stft, spec)
    return m / LevelTracker(features.level_seconds, spec.hop / rate_hz).push(m)


def _pauses(model: Model, m: np.ndarray) -> np.ndarray:
    """Return the indices of the frames of ``(F, N)`` with the least estimated speech, silence excluded."""
    speech = (model.estimator().push(m) * m).sum(axis=0)
    total = m.sum(axis=0)
    sounding = np.flatnonzero(total > 1e-3 * total.max())
    order = sounding[np.argsort(speech[sounding] / total[sounding])]
    return order[: max(1, round(PAUSE_SHARE * len(order)))]


def with_noise_atoms(network: DeepNMF, atoms: np.ndarray, m: np.ndarray, replace: bool) -> DeepNMF:
    """Return the network with unit-norm noise atoms ``(T·F, r)``, learned from ``(T·F, N)``, in all its dictionaries.

    In a trained output dictionary only the ratio of speech to noise matters, and the scale of each row drifts. There
    the new atoms are scaled, row by row, to match the network's own noise atoms on the same noise.
    """
    noise = slice(network.speech_atoms, None)
    kept = network.speech_atoms if replace else network.output.shape[1]
    h = network.activations(m)
    current = slice(-len(network.output), None)
    last = network.dictionaries[network.layers[-1]]
    before = np.asarray(h) / np.asarray(network.gains[-1])[:, None]
    rows = _contribution(network.output, h, noise) / _contribution(last[current], before, noise)
    scale = uniform_scale(atoms, len(network.layers), network.sparsity)
    return dataclasses.replace(
        network,
        dictionaries=tuple(_joined(W[:, :kept], atoms) for W in network.dictionaries),
        output=_joined(network.output[:, :kept], rows[:, None] * atoms[current]),
        gains=_joined(network.gains[:, :kept], scale["gains"]),
        sparsities=_joined(network.sparsities[:, :kept], scale["sparsities"]),
    )


def _contribution(W: Array, h: Array, noise: slice) -> np.ndarray:
    """Return the contribution of the noise atoms to each row, summed over frames, ``(rows,)``, positive."""
    activity = np.asarray(h)[noise].sum(axis=1, dtype=np.float64)
    return np.asarray(np.asarray(W)[:, noise].astype(np.float64) @ activity) + np.finfo(np.float32).tiny


def _joined(kept: Array, new: Array) -> np.ndarray:
    return np.concatenate([np.asarray(kept), np.asarray(new, kept.dtype)], axis=1)


@dataclass(frozen=True)
class Profile:
    """Source of the noise to learn.

    Attributes
    ----------
    source : Path, (float, float) or None
        A file of noise alone; the start and end of noise alone in each recording, in seconds; or, if ``None``, each
        recording as it is.
    replace : bool
        Whether the atoms replace the model's noise atoms.
    salvage : bool
        Whether to use the readable part of a truncated recording.
    """

    source: Path | tuple[float, float] | None
    replace: bool = False
    salvage: bool = False

    def model_for(self, model: Model, recording: Path | None) -> Model:
        """Return `model` adapted for a recording, or for any if the profile is a file and `recording` is ``None``."""
        path = self.source if isinstance(self.source, Path) else recording
        if path is None:
            raise DeepnmfError("-: stdin cannot be read twice; give --noise-profile a file")
        if path == recording and path.exists() and not path.is_file():
            raise DeepnmfError(f"{path}: a stream cannot be read twice; give --noise-profile a file")
        with AudioReader(path, salvage=self.salvage) as reader:
            parts, rate_hz = self._parts(reader), reader.encoding.rate_hz
        if not parts:
            raise DeepnmfError(f"{path}: no samples to learn the noise from")
        samples = np.concatenate(parts, axis=1)
        try:
            return adapt_to_noise(model, samples, rate_hz, replace=self.replace, with_speech=self.source is None)
        except DeepnmfError as error:
            raise DeepnmfError(f"{path}: {error}") from None

    def _parts(self, reader: AudioReader) -> list[np.ndarray]:
        rate_hz, frames = reader.encoding.rate_hz, reader.count_frames()
        if isinstance(self.source, tuple):
            start, stop = (round(seconds * rate_hz) for seconds in self.source)
            if not 0 <= start < min(stop, frames):
                raise DeepnmfError(
                    f"{reader.path}: no samples from {self.source[0]:g} to {self.source[1]:g} s; "
                    f"it is {frames / rate_hz:.2f} s long"
                )
            return list(reader.blocks(start=start, stop=stop))
        length = int(SAMPLED_SECONDS * rate_hz)
        if frames <= length:
            return list(reader.blocks())
        starts = np.linspace(0, frames - length // SAMPLE_PARTS, SAMPLE_PARTS).astype(int).tolist()
        return [b for start in starts for b in reader.blocks(start=start, stop=start + length // SAMPLE_PARTS)]
