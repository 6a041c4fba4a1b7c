"""Adaptation at run time to a profile of the noise, or of the wanted voice.

A network with an input for profiles is given the profile. In a sparse NMF, new noise atoms are learned from it, and the
speech atoms are fixed.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config import FeatureConfig
from ..dsp.arrays import Array
from ..dsp.level import LevelTracker
from ..dsp.stft import stack_context, stft
from ..errors import DeepnmfError
from ..model import Model
from ..networks.unfolded.deep_nmf import DeepNMF, uniform_scale
from ..networks.unfolded.profile_input import NOISE
from ..nmf.sparse_nmf import SparseNMF
from .rates import ModelBand, spec_at_rate

PROFILE_ATOMS = 64
RECORDING_ATOMS = 32
"""Noise atoms learned by default; the score on dev noises rises up to this number (benchmarks/adaptation.py)."""
PAUSE_SHARE = 0.2
"""Share of a recording's frames, those with least speech, from which its noise is learned."""
PAUSE_FRAMES = 31
"""Shortest pauses, about, that an input for profiles gets: it compares neighbouring frames."""
SHORTEST_SECONDS = 0.1
SILENCE = 1e-3
"""Frames with less than this share of the magnitude of the loudest are silent."""
ITERATIONS = 50
MOST_SPEECH_IN_NOISE, LEAST_SPEECH_IN_VOICE = 0.3, 0.4
"""Of 5 s of the dev noises at most 3 % of the energy seems to be speech, of 0.5 s 19 %; of dev speech, 64 to 96 %."""
CHECKED_FRAMES = 3000
"""Of a long profile, the first half minute is checked for speech."""


class TooLittleSound(DeepnmfError):  # noqa: N818 - named for its reason
    """There is not enough sound to adapt to."""


def adapt_to_noise(
    model: Model,
    samples: np.ndarray,
    rate_hz: int,
    *,
    atoms: int | None = None,
    replace: bool = False,
    with_speech: bool = False,
) -> Model:
    """Return the model adapted to a few seconds of noise: by its input for profiles, or by noise atoms.

    Parameters
    ----------
    model : Model
        The speech atoms of a sparse NMF are fixed.
    samples : ndarray
        Shape ``(channels, n)``: the noise alone, or with `with_speech` the noisy recording itself.
    rate_hz : int
        Sampling rate of the samples.
    atoms : int, optional
        Noise atoms to learn; 64 by default, 32 with speech. Only of a sparse NMF.
    replace : bool
        Whether they replace the model's noise atoms instead of being appended to them. Only of a sparse NMF.
    with_speech : bool
        Whether to learn only from the frames in which the model estimates the least speech.

    Raises
    ------
    DeepnmfError
        If the samples are silent, hold less than 0.1 s of sound, or the model has no input for profiles and is not a
        sparse or discriminative NMF, or has one and `atoms` or `replace` is given.
    """
    m = profile_magnitudes(model.features, samples, rate_hz)
    return adapt_to_magnitudes(model, m, atoms=atoms, replace=replace, with_speech=with_speech)


def adapt_to_magnitudes(
    model: Model,
    m: np.ndarray,
    *,
    kind: str = NOISE,
    atoms: int | None = None,
    replace: bool = False,
    with_speech: bool = False,
) -> Model:
    """Return the model adapted to a profile of a kind, ``noise`` or ``voice``, given as magnitudes ``(F, N)``.

    The other parameters, and the errors, are those of :func:`adapt_to_noise`.
    """
    if kind in model.network.profile_inputs():
        if replace or atoms is not None:
            raise DeepnmfError("this model has an input for profiles and learns no noise atoms, so none are replaced")
        frames = m[:, np.sort(_pauses(model, m, PAUSE_FRAMES))] if with_speech else m
        return dataclasses.replace(model, network=model.network.with_profiles({kind: frames}))
    if kind != NOISE:
        raise DeepnmfError(f"this model has no input for a {kind} profile; use another model")
    network = model.network.adaptable()
    stacked = stack_context(m, network.dictionaries[0].shape[0] // len(m))
    frames = stacked[:, _pauses(model, m)] if with_speech else stacked
    atoms = atoms or (RECORDING_ATOMS if with_speech else PROFILE_ATOMS)
    snmf = SparseNMF(
        atoms, beta=network.beta, sparsity=network.sparsity, max_iter=ITERATIONS, tol=0, random_state=0
    ).fit(frames.T)
    return dataclasses.replace(model, network=with_noise_atoms(network, snmf.components_.T, frames, replace))


def profile_magnitudes(features: FeatureConfig, samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return magnitudes at unit level of samples ``(channels, n)``, as input to the model, ``(F, N)``.

    Silent frames are left out, as they hold neither the noise nor the voice.

    Raises
    ------
    DeepnmfError
        If the samples are silent or hold less than 0.1 s of sound.
    """
    if not samples.any():
        raise TooLittleSound("a profile of digital silence; give one with sound")
    spec = spec_at_rate(features.stft, rate_hz)
    power = np.square(np.abs(stft(samples, spec))).mean(axis=0)
    band = ModelBand(features.stft, spec)
    m = band.of(np.sqrt(power)) * band.scale
    m = m[:, _sounding(m)]  # before the level is estimated, which silence lowers
    if min(samples.shape[1], m.shape[1] * spec.hop) < SHORTEST_SECONDS * rate_hz:
        raise TooLittleSound("a profile needs at least 0.1 s of sound; 5 s is good")
    return m / LevelTracker(features.level_seconds, spec.hop / rate_hz).push(m)


def profile_warnings(model: Model, m: np.ndarray, kind: str) -> list[str]:
    """Return warnings about a profile ``(F, N)`` that seems to hold another sound than its kind.

    Models without an input for profiles of the kind give none: a sparse NMF cannot separate speech from new noise.
    """
    if kind not in model.network.profile_inputs():
        return []
    m = m[:, :CHECKED_FRAMES]
    speech = float(np.square(model.estimator().push(m) * m).sum() / np.square(m).sum())
    if kind == NOISE and speech > MOST_SPEECH_IN_NOISE:
        return [f"{speech:.0%} of the noise profile seems to be speech; give a part with noise alone"]
    if kind != NOISE and speech < LEAST_SPEECH_IN_VOICE:
        return [f"only {speech:.0%} of the voice profile seems to be speech; give the voice without noise"]
    return []


def _pauses(model: Model, m: np.ndarray, together: int = 1) -> np.ndarray:
    """Return the indices of the frames of ``(F, N)`` with the least estimated speech, silence excluded.

    The share of speech in a frame is that over so many frames `together`, from the least on.
    """
    speech = (model.estimator().push(m) * m).sum(axis=0)
    total, sounding = m.sum(axis=0), _sounding(m)
    around = np.ones(min(together, len(sounding)))
    shares = np.convolve(speech[sounding], around, "same") / np.convolve(total[sounding], around, "same")
    order = sounding[np.argsort(shares)]
    return order[: max(1, round(PAUSE_SHARE * len(order)))]


def _sounding(m: np.ndarray) -> np.ndarray:
    """Return the indices of the frames of ``(F, N)`` that are not silent."""
    total = m.sum(axis=0)
    return np.flatnonzero(total > SILENCE * total.max())


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
