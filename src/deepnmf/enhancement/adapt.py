"""Learning the noise at run time: new noise atoms beside fixed speech atoms."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio_streams import AudioReader
from ..config import FeatureConfig
from ..divergence import mu_exponent
from ..errors import DeepnmfError
from ..level import LevelTracker
from ..model import Model
from ..network import DeepNMF
from ..numerics import guard, power
from ..snmf import SparseNMF, active_frames, normalised_atoms
from ..stft import stack_context, stft
from ..unfolding.nmf import update_activations
from .enhancer import model_band, spec_at_rate

ATOMS = 8
"""Noise atoms learnt by default."""
SAMPLED_SECONDS = 60.0
SAMPLE_PARTS = 12
"""`--adapt` listens to a minute of the recording, taken in equal parts from all over it."""
ITERATIONS = 50


def adapted(
    model: Model,
    samples: np.ndarray,
    rate_hz: int,
    *,
    atoms: int = ATOMS,
    replace: bool = False,
    with_speech: bool = False,
) -> Model:
    """Return the model with noise atoms learnt from a few seconds of noise.

    Parameters
    ----------
    model : Model
        Its speech atoms stay as they are.
    samples : ndarray
        Shape ``(channels, n)``: the noise alone, or with `with_speech` the noisy recording itself.
    rate_hz : int
        Sampling rate of the samples.
    atoms : int
        Noise atoms to learn.
    replace : bool
        Whether they take the place of the model's noise atoms instead of joining them.
    with_speech : bool
        Whether the model's own atoms share in explaining the samples, so that only what they do not explain is learnt.

    Raises
    ------
    DeepnmfError
        If the samples are silent, hold less than 0.1 s, or the model is not a deep NMF.
    """
    network = model.network
    if not isinstance(network, DeepNMF):
        raise DeepnmfError("this model has no noise atoms to add to: it is not a deep NMF; use another --model")
    if samples.shape[1] < rate_hz / 10:
        raise DeepnmfError("a noise profile needs at least 0.1 s; 5 s is good")
    m = active_frames(_observations(model.features, network, samples, rate_hz))
    learnt = _learn_beside(m, network, atoms) if with_speech else _learn_alone(m, network, atoms)
    return dataclasses.replace(model, network=with_noise_atoms(network, learnt, replace))


def _observations(features: FeatureConfig, network: DeepNMF, samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return context-stacked magnitudes at unit level, as the network sees them, ``(T·F, N)``."""
    spec = spec_at_rate(features.stft, rate_hz)
    power = np.square(np.abs(stft(samples, spec))).mean(axis=0)
    m = model_band(np.sqrt(power), features.stft, spec)
    m = m / LevelTracker(features.level_seconds, spec.hop / rate_hz).push(m)
    return stack_context(m, network.dictionaries[0].shape[0] // features.stft.bins)


def _learn_alone(m: np.ndarray, network: DeepNMF, atoms: int) -> np.ndarray:
    snmf = SparseNMF(atoms, network.beta, network.sparsity, iterations=ITERATIONS)
    return np.asarray(snmf.fit(m).components_)


def _learn_beside(m: np.ndarray, network: DeepNMF, atoms: int) -> np.ndarray:
    """Learn atoms for what the network's first dictionary, held fixed, leaves unexplained in ``(T·F, N)``."""
    fixed = network.dictionaries[network.layers[0]]
    new = normalised_atoms(m[:, np.random.default_rng(0).integers(m.shape[1], size=atoms)] + m.mean(axis=1)[:, None])
    floor = guard(m)
    W = np.concatenate([fixed, new], axis=1)
    h = np.broadcast_to(m.sum(axis=0) / W.sum(), (W.shape[1], m.shape[1])).copy()
    for _ in range(ITERATIONS):
        h = update_activations(m, W, h, network.sparsity, network.beta)
        new = _refined(m, W @ h + floor, new, h[-atoms:], network.beta)
        W = np.concatenate([fixed, new], axis=1)
    return new


def _refined(m: np.ndarray, estimate: np.ndarray, W: np.ndarray, h: np.ndarray, beta: float) -> np.ndarray:
    """Return atoms `W` after one update of the normalised objective (MODEL.md §1), the rest of the model fixed."""
    above = (m * power(estimate, beta - 2)) @ h.T
    below = (power(estimate, beta - 1) * np.ones_like(m)) @ h.T
    numerator = above + W * (W * below).sum(axis=0)
    denominator = below + W * (W * above).sum(axis=0) + guard(m) * len(W)
    return normalised_atoms(W * power(numerator / denominator, mu_exponent(beta)))


def with_noise_atoms(network: DeepNMF, atoms: np.ndarray, replace: bool) -> DeepNMF:
    """Return the network with unit-norm noise atoms ``(T·F, r)`` in every layer and the output.

    Training changes the scale of a layer's atoms, so the new ones are brought to the mean norm of that layer's own.
    """
    speech = network.speech_atoms
    kept = speech if replace else network.output.shape[1]
    current = atoms[-network.output.shape[0] :]
    first = network.dictionaries[network.layers[0]]
    gain = _mean_norm(network.output[:, speech:]) / _mean_norm(first[-len(current) :, speech:])

    def joined(W: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.concatenate([W[:, :kept], new.astype(W.dtype)], axis=1)

    dictionaries = tuple(joined(W, atoms * _mean_norm(W[:, speech:])) for W in network.dictionaries)
    return network.replaced(dictionaries, joined(network.output, current * (gain * _mean_norm(first[:, speech:]))))


def _mean_norm(W: np.ndarray) -> float:
    return float(np.sqrt(np.square(W).sum(axis=0)).mean())


@dataclass(frozen=True)
class Profile:
    """Where the noise is to be learnt from.

    Attributes
    ----------
    source : Path, (float, float) or None
        A file of noise alone; the start and end of noise alone in each recording, in seconds; or, if ``None``, each
        recording as it is.
    replace : bool
        Whether the atoms take the place of the model's noise atoms.
    atoms : int
        How many to learn.
    """

    source: Path | tuple[float, float] | None
    replace: bool = False
    atoms: int = ATOMS

    def model_for(self, model: Model, recording: Path | None) -> Model:
        """Return `model` adapted for a recording, or for any if the profile is a file and `recording` is ``None``."""
        path = self.source if isinstance(self.source, Path) else recording
        if path is None:
            raise DeepnmfError("-: stdin cannot be heard twice; give --noise-profile a file")
        with AudioReader(path) as reader:
            samples = np.concatenate(self._parts(reader), axis=1)
            rate_hz = reader.encoding.rate_hz
        try:
            return adapted(
                model, samples, rate_hz, atoms=self.atoms, replace=self.replace, with_speech=self.source is None
            )
        except DeepnmfError as error:
            raise DeepnmfError(f"{path}: {error}") from None

    def _parts(self, reader: AudioReader) -> list[np.ndarray]:
        rate_hz, frames = reader.encoding.rate_hz, reader.encoding.frames or 0
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
