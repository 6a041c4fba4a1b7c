"""Training segments with profiles: 5 s of the same noise, or of the same voice among other voices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepnmf.config import FeatureConfig, PrepareConfig
from deepnmf.data.channels import band_limits
from deepnmf.data.dynamic_mixing import SPEECH_SPEED, SPEED_SHARE, DynamicMixtures, Sources
from deepnmf.data.waveforms import at_level, at_some_speed, unit_power
from deepnmf.dsp.level import LevelTracker
from deepnmf.dsp.stft import stft
from deepnmf.errors import DeepnmfError
from deepnmf.networks.layers import FEATURE_FLOOR
from deepnmf.networks.settings import RecurrentDeepNMFTraining
from deepnmf.networks.unfolded.profile_input import NOISE, VOICE

NONE = "none"
KINDS, SHARES = (NONE, NOISE, VOICE), (0.40, 0.18, 0.42)
"""Kinds of segments, and the default share of each. Those without a profile are those of all training, so that the
model stays as good without one."""
SEGMENT_FRAMES, PROFILE_FRAMES = 300, 500
NOISE_SNR_DB, VOICE_SNR_DB = (-9.0, 12.0), (-5.0, 8.0)
CLEAN_SHARE, CLEAN_SNR_DB = 0.05, (25.0, 50.0)
"""Share of segments with a profile that are nearly clean."""
OTHER_VOICES = (1, 1, 3)
LEVEL_SPREAD_DB = 3.0
"""Standard deviation of the levels of the other voices."""
NOISE_TOO_SHARE, NOISE_TOO_DB = 0.2, (-15.0, 3.0)
"""Share of segments of voices with noise too, and its level below or above them."""
LATE_SHARE, LATE_SECONDS = 0.3, (0.2, 1.2)
"""Share of voices that begin late."""
OTHER_CHANNEL_SHARE, BAND_LIMIT_SHARE = 0.25, 0.05
"""Share of profiles that come from another channel than the segment, and of channels with limits."""
LONGEST_PAUSE_SECONDS = 0.5
ATTEMPTS = 20


class Segment(NamedTuple):
    """Spectra ``(2, F, N)`` at unit level of mixture and speech, and the log bands of a profile."""

    spectra: np.ndarray
    kind: str
    profile: np.ndarray
    """``(P, bands)``; zeros if there is none."""


class Drawn(NamedTuple):
    """Waveforms of a segment and of its profile."""

    sources: Sources
    profile: np.ndarray
    snr_db: float


class ProfileMixtures:
    """Draw segments with profiles from the recordings of a manifest.

    Parameters
    ----------
    manifest : Path
        What :func:`deepnmf.data.prepare.prepare` wrote.
    pooling : ndarray
        ``(bands, F)``.
    shares : sequence of float
        Share of the segments of each of `KINDS`.
    """

    def __init__(self, manifest: Path, pooling: np.ndarray, shares: Sequence[float] = SHARES) -> None:
        self._config, self._pooling = FeatureConfig(), pooling
        self._shares = np.array(shares) / sum(shares)
        map_bytes = int(RecurrentDeepNMFTraining().cache_gb * 1e9)  # the memory map of trainings with these settings
        self._mixtures = DynamicMixtures(manifest, self._config, PrepareConfig(), SEGMENT_FRAMES, map_bytes)
        spec = self._config.stft
        self._hertz = np.linspace(0, spec.rate_hz / 2, spec.bins)
        self._profile = PROFILE_FRAMES * spec.hop - (spec.window - spec.hop)
        self._scenes = self._mixtures.scenes(self._mixtures.samples + self._profile)

    def segment(self, rng: np.random.Generator) -> Segment:
        """Return a segment of a random kind."""
        kind = str(rng.choice(KINDS, p=self._shares))
        if kind == NONE:
            absent = np.zeros((PROFILE_FRAMES, len(self._pooling)), np.float32)
            return Segment(self._mixtures.draw(rng), kind, absent)
        for _ in range(ATTEMPTS):
            try:
                drawn = self._voices(rng) if kind == VOICE else self._noise(rng)
            except DeepnmfError:
                continue
            if drawn.sources.speech.any() and drawn.sources.noise.any() and drawn.profile.any():
                return self._with_profile(kind, drawn, rng)
        raise DeepnmfError("too many recordings are silent or cannot be read")

    def _noise(self, rng: np.random.Generator) -> Drawn:
        """Return speech in noise, and other noise of the same scene."""
        scene, speech = self._scenes.draw(rng), self._mixtures.speech(rng)
        noise, profile = np.split(scene, [self._mixtures.samples])
        if rng.random() < 0.5:
            profile, noise = np.split(scene, [self._profile])
        return Drawn(Sources(speech, noise), profile, _snr_db(NOISE_SNR_DB, rng))

    def _voices(self, rng: np.random.Generator) -> Drawn:
        """Return a voice, one or three others, and other speech of the first."""
        samples, count = self._mixtures.samples, int(rng.choice(OTHER_VOICES))
        both, *others = self._different([samples + self._profile] + [samples] * count, rng)
        voices = [at_level(unit_power(self._late(voice, rng)), rng.normal(0, LEVEL_SPREAD_DB)) for voice in others]
        noise = unit_power(np.sum(voices, axis=0))
        if rng.random() < NOISE_TOO_SHARE:
            noise = noise + at_level(unit_power(self._mixtures.sources(rng).noise), rng.uniform(*NOISE_TOO_DB))
        speech = self._late(both[self._profile :], rng)
        return Drawn(Sources(speech, noise), both[: self._profile], _snr_db(VOICE_SNR_DB, rng))

    def _different(self, lengths: list[int], rng: np.random.Generator) -> list[np.ndarray]:
        """Return voices of different speakers, some at another speed, which makes others of them."""
        rate_hz, fastest = self._config.stft.rate_hz, SPEECH_SPEED[1]
        longer = [int(fastest * length) + 1 for length in lengths]
        voices = self._mixtures.excerpts.voices(longer, int(LONGEST_PAUSE_SECONDS * rate_hz), rng)
        how = rate_hz, SPEED_SHARE, SPEECH_SPEED, rng
        return [
            np.resize(at_some_speed(lambda count, voice=voice: voice[:count], length, *how), length)
            for voice, length in zip(voices, lengths, strict=True)
        ]

    def _late(self, voice: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        late = int(rng.uniform(*LATE_SECONDS) * self._config.stft.rate_hz) if rng.random() < LATE_SHARE else 0
        return np.pad(voice, (late, 0))[: len(voice)]

    def _with_profile(self, kind: str, drawn: Drawn, rng: np.random.Generator) -> Segment:
        """Return the segment of waveforms: profile and source pass the same channel, in part of the draws another."""
        own = int(kind == NOISE)
        colours = self._channels(rng)
        profile_colour = self._channels(rng)[own] if rng.random() < OTHER_CHANNEL_SHARE else colours[own]
        spectra = self._mixtures.spectra(drawn.sources, rng, drawn.snr_db, colours)
        return Segment(spectra, kind, self._log_bands(drawn.profile, profile_colour))

    def voice_pairs(self, speakers: int, rng: np.random.Generator) -> np.ndarray:
        """Return profiles of two excerpts of each of some speakers, in different channels, ``(2, S, P, bands)``."""
        halves = np.split(np.stack(self._different([2 * self._profile] * speakers, rng)), 2, axis=1)
        return np.stack([[self._log_bands(voice, self._channels(rng)[0]) for voice in half] for half in halves])

    def _log_bands(self, samples: np.ndarray, colour: np.ndarray) -> np.ndarray:
        """Return the log bands ``(P, bands)`` at unit level of a profile in a channel of these gains."""
        spec = self._config.stft
        m = np.abs(colour * stft(samples[None].astype(np.float32), spec)[0])[:, :PROFILE_FRAMES]
        m /= LevelTracker(self._config.level_seconds, spec.hop / spec.rate_hz).push(m)
        return np.log(m.T @ self._pooling.T + np.float32(FEATURE_FLOOR))

    def _channels(self, rng: np.random.Generator) -> np.ndarray:
        """Return the gains of the channels of speech and noise, ``(2, F, 1)``."""
        colours = self._mixtures.colours(rng)
        return colours * band_limits(self._hertz, rng) if rng.random() < BAND_LIMIT_SHARE else colours


def _snr_db(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    return float(rng.uniform(*(CLEAN_SNR_DB if rng.random() < CLEAN_SHARE else bounds)))
