"""Training mixtures made anew for every batch, so that no two are alike however small the corpus.

Speech and noise are drawn apart, played faster or slower, filtered, and mixed at a random SNR. Now and then the noise
is two noises at once, or there is next to none, or no speech.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..audio.files import resample
from ..config import FeatureConfig, PrepareConfig
from ..dsp.level import LevelTracker
from ..dsp.stft import stft
from ..errors import DeepnmfError
from .excerpts import Excerpts
from .manifest import read_manifest

CLEAN_SHARE, CLEAN_SNR_DB = 0.08, (30.0, 60.0)
"""Share of segments that are nearly clean: speech without noise must pass unharmed."""
GOOD_SHARE, GOOD_SNR_DB = 0.08, (12.0, 30.0)
NOISE_ONLY_SHARE = 0.06
SNR_MARGIN_DB = 3.0
"""All others have an SNR within the bounds of the corpus' own mixtures, and this much beyond."""
SPEED_SHARE, SPEECH_SPEED, NOISE_SPEED = 0.4, (0.88, 1.14), (0.8, 1.25)
"""Share of recordings played at another speed, which changes pitch and formants too, and the bounds of the factor."""
SECOND_NOISE_SHARE, SECOND_NOISE_DB = 0.2, (-12.0, 0.0)
LONGEST_PAUSE_SECONDS = 0.5
"""Utterances shorter than a segment follow each other with pauses up to this."""
COLOUR_DB, WAVES = 3.0, 6
"""Standard deviation of the slowest of the cosine waves over frequency that a random equaliser is made of."""
ATTEMPTS = 20
"""Draws before giving up on recordings that are silent or cannot be read."""


class FreshMixtures:
    """Draw training segments from the recordings of a manifest's training split.

    Parameters
    ----------
    manifest : Path
        What :func:`deepnmf.data.prepare.prepare` wrote.
    config : FeatureConfig
        Transform and level.
    prepare : PrepareConfig
        The bounds of the SNR.
    frames : int
        N, the frames of a segment.
    """

    def __init__(self, manifest: Path, config: FeatureConfig, prepare: PrepareConfig, frames: int) -> None:
        self._config, self._prepare = config, prepare
        self._samples = frames * config.stft.hop - (config.stft.window - config.stft.hop)
        rows = read_manifest(manifest, "train")
        self._excerpts = Excerpts(rows, config.stft.rate_hz)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return the magnitudes ``(3, F, N)`` of a mixture, its speech and its noise, at unit level.

        Raises
        ------
        DeepnmfError
            If recordings are silent or unreadable again and again.
        """
        for _ in range(ATTEMPTS):
            try:
                speech, noise = self._speech(rng), self._noise(rng)
            except DeepnmfError as error:
                reason = str(error)
                continue
            if speech.any() and noise.any():
                return self._mixed(stft(np.stack([speech, noise]), self._config.stft), rng)
            reason = "they are silent"
        raise DeepnmfError(f"cannot mix training recordings anew: {reason}")

    def _speech(self, rng: np.random.Generator) -> np.ndarray:
        longest_pause = int(LONGEST_PAUSE_SECONDS * self._config.stft.rate_hz)
        return self._at_some_speed(lambda n: self._excerpts.speech(n, longest_pause, rng), SPEECH_SPEED, rng)

    def _noise(self, rng: np.random.Generator) -> np.ndarray:
        noise = self._one_noise(rng)
        if rng.random() < SECOND_NOISE_SHARE:
            second = self._one_noise(rng)
            noise = noise + np.float32(_ratio(rng.uniform(*SECOND_NOISE_DB))) * second
        return noise

    def _one_noise(self, rng: np.random.Generator) -> np.ndarray:
        return _unit(self._at_some_speed(lambda n: self._excerpts.noise(n, rng), NOISE_SPEED, rng))

    def _at_some_speed(
        self, read: Callable[[int], np.ndarray], bounds: tuple[float, float], rng: np.random.Generator
    ) -> np.ndarray:
        if rng.random() > SPEED_SHARE:
            return read(self._samples)
        rate_hz = self._config.stft.rate_hz
        played_hz = round(rate_hz * rng.uniform(*bounds))
        samples = resample(read(int(self._samples * played_hz / rate_hz) + 1), played_hz, rate_hz)
        return np.pad(samples, (0, max(0, self._samples - len(samples))))[: self._samples]

    def _mixed(self, spectra: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the magnitudes of the filtered mixture of spectra ``(2, F, N)`` of speech and noise."""
        speech, noise = (spectrum * _colour(len(spectrum), rng) for spectrum in spectra)
        powers = [float(np.square(np.abs(spectrum)).mean()) for spectrum in (speech, noise)]
        noise = noise * np.float32(np.sqrt(powers[0] / powers[1]) * _ratio(-self._snr_db(rng)))
        if rng.random() < NOISE_ONLY_SHARE:
            speech = 0 * speech
        magnitudes = np.abs(np.stack([speech + noise, speech, noise]))
        frame_seconds = self._config.stft.hop / self._config.stft.rate_hz
        return magnitudes / LevelTracker(self._config.level_seconds, frame_seconds).push(magnitudes[0])

    def _snr_db(self, rng: np.random.Generator) -> float:
        draw = rng.random()
        if draw < CLEAN_SHARE:
            return rng.uniform(*CLEAN_SNR_DB)
        if draw < CLEAN_SHARE + GOOD_SHARE:
            return rng.uniform(*GOOD_SNR_DB)
        return rng.uniform(self._prepare.snr_db_low - SNR_MARGIN_DB, self._prepare.snr_db_high + SNR_MARGIN_DB)


def _colour(bins: int, rng: np.random.Generator) -> np.ndarray:
    """Return the gains ``(F, 1)`` of a random equaliser that is smooth over frequency."""
    waves = np.cos(np.pi * np.arange(1, WAVES + 1)[:, None] * np.arange(bins) / bins)
    heights = COLOUR_DB * rng.standard_normal(WAVES) / np.sqrt(np.arange(1, WAVES + 1))
    return np.asarray(_ratio(heights @ waves)[:, None], np.float32)


def _unit(samples: np.ndarray) -> np.ndarray:
    """Return samples at unit power, or silence."""
    power = float(np.square(samples).mean())
    return samples / np.float32(np.sqrt(power)) if power > 0 else samples


def _ratio(decibels: np.ndarray | float) -> np.ndarray:
    return np.asarray(10 ** (np.asarray(decibels) / 20))
