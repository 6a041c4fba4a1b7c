"""Dynamic mixing: training mixtures generated on the fly, never the same one twice.

Speech has a random speed and onset, and sometimes reverberation; noise is drawn by :mod:`deepnmf.data.noise_scenes`.
Both are filtered and mixed at a random SNR. Some segments are nearly clean, without speech, or from a poor channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import FeatureConfig, PrepareConfig
from ..dsp.level import LevelTracker
from ..dsp.stft import stft
from ..errors import DeepnmfError
from .babble import Babble
from .channels import NOISE_COLOUR_DB, SPEECH_COLOUR_DB, band_limits, clipping, colour, level_jump
from .decoded import MAP_BYTES
from .excerpts import ExcerptSampler
from .manifest import read_manifest
from .noise_scenes import NoiseScenes
from .rooms import Rooms, convolved
from .waveforms import at_level, at_some_speed, unit_power

CLEAN_SHARE, CLEAN_SNR_DB = 0.15, (30.0, 60.0)
"""Share of segments that are nearly clean: clean speech must pass without distortion."""
GOOD_SHARE, GOOD_SNR_DB = 0.08, (12.0, 30.0)
NOISE_ONLY_SHARE = 0.08
SNR_MARGIN_DB = 3.0
"""Margin of the SNR of all others beyond the bounds of the corpus' own mixtures."""
SPEED_SHARE, SPEECH_SPEED = 0.4, (0.88, 1.14)
"""Share of utterances played at another speed, which changes pitch and formants too, and the bounds of the factor."""
LONGEST_PAUSE_SECONDS = 0.5
"""Longest pause between the utterances that fill a segment."""
LATE_SHARE, LATE_SECONDS = 0.25, (0.2, 1.5)
"""Share of segments with leading noise, as in most recordings, and its length."""
ROOM_SHARE, LATE_REFLECTIONS_DB = 0.1, (-10.0, 0.0)
"""Share of noisy voices in a room; the late reflections are attenuated, as halls outnumber living rooms."""
NOISE_ROOM_SHARE = 0.2
BAND_LIMIT_SHARE, JUMP_SHARE, CLIPPING_SHARE = 0.08, 0.04, 0.03
CLIPPED_SNR_DB = (0.0, 15.0)
"""SNR of the mixture that is clipped."""
ATTEMPTS = 20
"""Draws before giving up on recordings that are silent or cannot be read."""


@dataclass(frozen=True)
class Sources:
    """Waveforms of a segment, each ``(samples,)``, float32, before they are brought to an SNR."""

    speech: np.ndarray
    noise: np.ndarray
    residue: np.ndarray | None = None
    """Interference that scales with the speech: late reflections, distortion."""


class DynamicMixtures:
    """Draw training segments from the recordings of a manifest's training split.

    The decoded recordings are stored in the folder ``decoded`` beside the manifest; measured room responses are read
    from the folder ``rooms`` beside it, if present.

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
    map_bytes : int
        Most bytes of decoded recordings on disk.

    Attributes
    ----------
    excerpts : ExcerptSampler
        The recordings.
    samples : int
        Length of the waveforms of a segment.
    """

    def __init__(
        self,
        manifest: Path,
        config: FeatureConfig,
        prepare: PrepareConfig,
        frames: int,
        map_bytes: int = MAP_BYTES,
    ) -> None:
        spec, folder = config.stft, Path(manifest).parent
        self._config, self._prepare = config, prepare
        self.samples = frames * spec.hop - (spec.window - spec.hop)
        self._hertz = np.linspace(0, spec.rate_hz / 2, spec.bins)
        rows = read_manifest(manifest, "train")
        self.excerpts = ExcerptSampler(rows, spec.rate_hz, folder / "decoded", map_bytes)
        self._rooms = Rooms(folder / "rooms", spec.rate_hz)
        self._noises = self.scenes(self.samples)

    def draw(self, rng: np.random.Generator, segment: int = 0) -> np.ndarray:
        """Return the spectra ``(2, F, N)``, complex64, of a mixture and of its speech at unit level; the rest is noise.

        Parameters
        ----------
        rng : Generator
            Random source.
        segment : int
            Number of the segment, from the start of a training: the place in a corpus of tar files.

        Raises
        ------
        DeepnmfError
            If too many drawn recordings are silent or unreadable.
        """
        self.excerpts.move_to(segment)
        for _ in range(ATTEMPTS):
            try:
                sources = self.sources(rng)
            except DeepnmfError as error:
                reason = str(error)
                continue
            if sources.speech.any() and sources.noise.any():
                return self.spectra(sources, rng)
            reason = "they are silent"
        raise DeepnmfError(f"dynamic mixing of the training recordings failed: {reason}")

    def sources(self, rng: np.random.Generator) -> Sources:
        """Return the speech and the noise of a segment, not yet in rooms.

        Raises
        ------
        DeepnmfError
            If a recording that was drawn is silent or cannot be read.
        """
        return Sources(self.speech(rng), self._noises.draw(rng))

    def speech(self, rng: np.random.Generator) -> np.ndarray:
        """Return speech ``(samples,)``, which may begin late."""
        rate_hz, samples = self._config.stft.rate_hz, self.samples
        longest_pause = int(LONGEST_PAUSE_SECONDS * rate_hz)
        late = int(rng.uniform(*LATE_SECONDS) * rate_hz) if rng.random() < LATE_SHARE else 0
        speech = at_some_speed(
            lambda n: self.excerpts.speech(n, longest_pause, rng), samples, rate_hz, SPEED_SHARE, SPEECH_SPEED, rng
        )
        late = min(late, samples // 2)
        return np.pad(speech, (late, samples))[:samples]

    def scenes(self, samples: int) -> NoiseScenes:
        """Return the noise of segments of another length, ``(samples,)``."""
        rate_hz = self._config.stft.rate_hz
        return NoiseScenes(self.excerpts, Babble(self.excerpts, self._rooms, samples, rate_hz), samples, rate_hz)

    def spectra(
        self,
        sources: Sources,
        rng: np.random.Generator,
        snr_db: float | None = None,
        colours: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the spectra ``(2, F, N)``, complex64, of a mixture and of its speech at unit level.

        Parameters
        ----------
        sources : Sources
            Two waveforms of the length of a segment, neither of them silent.
        rng : Generator
            Random source of rooms, distortion and channels.
        snr_db : float, optional
            SNR of the mixture; by default it is drawn.
        colours : ndarray, optional
            Gains of the equalisers of speech and noise, ``(2, F, 1)``; by default they are drawn.
        """
        snr_db = self._snr_db(rng) if snr_db is None else snr_db
        sources = self._with_distortion(self._in_rooms(sources, snr_db, rng), rng)
        speech, noise = self._mixed(sources, snr_db, colours, rng)
        gain = self._channel(speech.shape[1], rng)
        spectra = (gain * np.stack([speech + noise, speech])).astype(np.complex64, order="C")
        spec = self._config.stft
        level = LevelTracker(self._config.level_seconds, spec.hop / spec.rate_hz).push(np.abs(spectra[0]))
        return np.divide(spectra, level, out=spectra)

    def colours(self, rng: np.random.Generator) -> np.ndarray:
        """Return the gains of random equalisers of speech and noise, ``(2, F, 1)``."""
        return np.stack([colour(self._hertz, spread_db, rng) for spread_db in (SPEECH_COLOUR_DB, NOISE_COLOUR_DB)])

    def _snr_db(self, rng: np.random.Generator) -> float:
        draw = rng.random()
        if draw < CLEAN_SHARE:
            return rng.uniform(*CLEAN_SNR_DB)
        if draw < CLEAN_SHARE + GOOD_SHARE:
            return rng.uniform(*GOOD_SNR_DB)
        return rng.uniform(self._prepare.snr_db_low - SNR_MARGIN_DB, self._prepare.snr_db_high + SNR_MARGIN_DB)

    def _in_rooms(self, sources: Sources, snr_db: float, rng: np.random.Generator) -> Sources:
        """Return the sources in rooms. Speech in little noise is left unchanged: its own reverberation must pass."""
        speech, noise, residue = sources.speech, sources.noise, sources.residue
        if rng.random() < ROOM_SHARE and snr_db < GOOD_SNR_DB[0]:
            room = self._rooms.draw(rng)
            residue = at_level(convolved(speech, room.late), rng.uniform(*LATE_REFLECTIONS_DB))
            speech = convolved(speech, room.early)
        if rng.random() < NOISE_ROOM_SHARE:
            room = self._rooms.draw(rng)
            response = room.late.copy()
            response[: len(room.early)] += room.early[: len(response)]
            noise = convolved(noise, response)
        return Sources(speech, noise, residue)

    def _with_distortion(self, sources: Sources, rng: np.random.Generator) -> Sources:
        """Return the sources, at random with clipping distortion."""
        if rng.random() >= CLIPPING_SHARE:
            return sources
        residue = np.zeros_like(sources.speech) if sources.residue is None else sources.residue
        noise = unit_power(sources.noise) * np.sqrt(np.square(sources.speech).mean())
        clipped = sources.speech + residue + at_level(noise, -rng.uniform(*CLIPPED_SNR_DB))
        return Sources(sources.speech, sources.noise, residue + clipping(clipped, rng))

    def _mixed(
        self, sources: Sources, snr_db: float, colours: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the spectra ``(F, N)`` of speech and of all interference, filtered and at their levels."""
        waves = [sources.speech, sources.noise, *([] if sources.residue is None else [sources.residue])]
        spectra = stft(np.stack(waves), self._config.stft)
        colours = self.colours(rng) if colours is None else colours
        speech, noise = spectra[0] * colours[0], spectra[1] * colours[1]
        powers = [float(np.square(np.abs(spectrum)).mean()) for spectrum in (speech, noise)]
        noise = at_level(noise * np.float32(np.sqrt(powers[0] / powers[1])), -snr_db)
        if rng.random() < NOISE_ONLY_SHARE:
            return 0 * speech, noise
        if sources.residue is not None:
            noise = noise + spectra[2] * colours[0]
        return speech, noise

    def _channel(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return the gains of the channel of both sources, ``(F, frames)`` or broadcastable to it."""
        gain = band_limits(self._hertz, rng) if rng.random() < BAND_LIMIT_SHARE else np.ones((1, 1), np.float32)
        return gain * level_jump(frames, rng) if rng.random() < JUMP_SHARE else gain
