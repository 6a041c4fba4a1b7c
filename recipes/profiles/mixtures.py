"""Training segments with profiles: 5 s of the same noise, or of the same voice among other voices."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepnmf.config import FeatureConfig, PrepareConfig
from deepnmf.data.babble import Babble
from deepnmf.data.channels import band_limits, colour
from deepnmf.data.dynamic_mixing import ATTEMPTS, NOISE_COLOUR_DB, SPEECH_COLOUR_DB, DynamicMixtures
from deepnmf.data.noise_scenes import NoiseScenes, at_level, unit_power
from deepnmf.dsp.level import LevelTracker
from deepnmf.dsp.stft import stft
from deepnmf.errors import DeepnmfError
from deepnmf.networks.unfolded.profile_input import NOISE, VOICE

SEGMENT_FRAMES, PROFILE_FRAMES = 300, 500
VOICE_SHARE = 0.45
"""Share of segments of a voice among one or three others."""
NOISE_SNR_DB, VOICE_SNR_DB = (-9.0, 12.0), (-5.0, 8.0)
VARIED_SNR_SHARE = 0.3
"""Share of noisy segments whose SNR is that of all training, nearly clean ones included."""
NOISE_ONLY_SHARE, BAND_LIMIT_SHARE = 0.06, 0.08
LONGEST_PAUSE_SECONDS = 0.5


class Segment(NamedTuple):
    """A segment at unit level: magnitudes ``(3, F, N)`` of mixture, speech and noise, and its profile ``(F, P)``."""

    magnitudes: np.ndarray
    profile: np.ndarray
    kind: str


class ProfileMixtures(DynamicMixtures):
    """Draw segments with profiles from the recordings of a manifest."""

    def __init__(self, manifest: Path) -> None:
        super().__init__(manifest, FeatureConfig(), PrepareConfig(), SEGMENT_FRAMES)
        spec = self._config.stft
        self._profile = PROFILE_FRAMES * spec.hop - (spec.window - spec.hop)
        both = self._samples + self._profile
        babble = Babble(self._excerpts, self._rooms, both, spec.rate_hz)
        self._scenes = NoiseScenes(self._excerpts, babble, both, spec.rate_hz)

    def segment(self, rng: np.random.Generator) -> Segment:
        """Return a segment of a random kind."""
        for _ in range(ATTEMPTS):
            kind = VOICE if rng.random() < VOICE_SHARE else NOISE
            try:
                speech, noise, profile = self._voices(rng) if kind == VOICE else self._noise(rng)
            except DeepnmfError:
                continue
            if speech.any() and noise.any() and profile.any():
                return self._spectra(speech, noise, profile, kind, rng)
        raise DeepnmfError("too many recordings are silent or cannot be read")

    def _noise(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scene = self._scenes.draw(rng)
        noise, profile = np.split(scene, [self._samples])
        if rng.random() < 0.5:
            profile, noise = np.split(scene, [self._profile])
        return self._speech(rng), noise, profile

    def _voices(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a voice, one or three others, and other speech of the first."""
        rate_hz = self._config.stft.rate_hz
        pause = int(LONGEST_PAUSE_SECONDS * rate_hz)
        both = self._excerpts.speech(self._samples + self._profile, pause, rng)
        others = [self._excerpts.speech(self._samples, pause, rng) for _ in range(rng.choice([1, 1, 3]))]
        return both[: self._samples], np.sum([unit_power(voice) for voice in others], axis=0), both[self._samples :]

    def _spectra(
        self, speech: np.ndarray, noise: np.ndarray, profile: np.ndarray, kind: str, rng: np.random.Generator
    ) -> Segment:
        """Return the segment of waveforms: profile and source pass the same channel."""
        spec = self._config.stft
        parts = stft(np.stack([speech, noise]).astype(np.float32), spec)
        colours = np.stack([colour(self._hertz, spread_db, rng) for spread_db in (SPEECH_COLOUR_DB, NOISE_COLOUR_DB)])
        parts = parts * colours
        powers = np.square(np.abs(parts)).mean(axis=(1, 2))
        parts[1] = at_level(parts[1] * np.float32(np.sqrt(powers[0] / powers[1])), -self._snr(kind, rng))
        if kind == NOISE and rng.random() < NOISE_ONLY_SHARE:
            parts[0] = 0
        gain = band_limits(self._hertz, rng) if rng.random() < BAND_LIMIT_SHARE else np.ones((1, 1), np.float32)
        m = np.abs(gain * np.stack([parts[0] + parts[1], *parts]))
        own = np.abs(gain * colours[int(kind == NOISE)] * stft(profile[None].astype(np.float32), spec)[0])
        return Segment(m / self._level(m[0]), own / self._level(own), kind)

    def _snr(self, kind: str, rng: np.random.Generator) -> float:
        if kind == VOICE:
            return float(rng.uniform(*VOICE_SNR_DB))
        return self._snr_db(rng) if rng.random() < VARIED_SNR_SHARE else float(rng.uniform(*NOISE_SNR_DB))

    def _level(self, m: np.ndarray) -> np.ndarray:
        spec = self._config.stft
        return LevelTracker(self._config.level_seconds, spec.hop / spec.rate_hz).push(m)
