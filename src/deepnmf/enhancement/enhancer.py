"""The stateful, block-based enhancer behind files, folders, pipes and the microphone.

Every sampling rate is supported without resampling. The transform runs at the recording's own rate with the model's
window and hop in milliseconds and the model's bin spacing in hertz, so bin f of a 48 kHz transform is bin f of the
16 kHz model: the mask is estimated on the common bins, and the bins above the model's band get gains extrapolated from
the top of it (:mod:`deepnmf.dsp.upper_band`). No band is cut off, a mask of ones returns the input at any rate, and the
delay is one window. A network with a filter over several frames adds to the lowest bins what the filter makes of them.
Recurrent deep NMF is followed by further attenuation in pauses (:mod:`deepnmf.dsp.pauses`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from ..audio.formats import LARGEST_SAMPLE
from ..config import StftSpec
from ..dsp.attenuation_limit import limited
from ..dsp.level import LevelTracker
from ..dsp.past_frames import PastFrames, turns
from ..dsp.pauses import Pauses
from ..dsp.stft import Analyser, Synthesiser, padding
from ..errors import DeepnmfError
from .rates import ModelBand, spec_at_rate, upper_band

if TYPE_CHECKING:
    from ..model import Model
    from ..networks.base import FilterEstimator

CHUNK_SECONDS = 2.0
"""Longer blocks are processed in pieces of this length, so that memory stays bounded."""
FLOAT32 = np.dtype(np.float32)

Observer = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""Called for each piece with its spectrum ``(channels, F, N)``, its gains ``(channels or 1, F, N)``, and the spectrum
of the output, which is their product but for what a filter adds."""


class Enhancer:
    """Enhance a stream of blocks of any size; the output does not depend on the block sizes.

    Parameters
    ----------
    model : Model
        Estimates the masks.
    rate_hz : int
        Sampling rate of the stream, 2 to 768 kHz.
    channels : int
        Channels of every block.
    max_attenuation_db : float, optional
        Maximum attenuation; 6 is gentle, ``None`` sets no limit.
    independent : bool
        Whether each channel has its own mask. By default one mask, estimated from the mean power of the channels, is
        applied to all, which preserves the stereo image.
    observer : callable, optional
        Called with spectrum ``(channels, F, N)``, gains ``(channels or 1, F, N)`` and output spectrum of each piece.

    Raises
    ------
    DeepnmfError
        If the rate, the number of channels or the attenuation is out of range, or a weight is not finite.

    Examples
    --------
    >>> from deepnmf import load_model
    >>> enhancer = Enhancer(load_model(), rate_hz=48000, channels=2)
    >>> blocks = [enhancer.process(np.zeros((2, n))) for n in (1, 480, 5000)]
    >>> sum(block.shape[1] for block in [*blocks, enhancer.flush()])
    5481
    """

    def __init__(
        self,
        model: Model,
        rate_hz: int,
        channels: int = 1,
        *,
        max_attenuation_db: float | None = None,
        independent: bool = False,
        observer: Observer | None = None,
    ) -> None:
        if channels < 1:
            raise DeepnmfError(f"channels must be at least 1, not {channels}")
        if max_attenuation_db is not None and not max_attenuation_db >= 0:
            raise DeepnmfError(f"max_attenuation_db must be at least 0 dB, not {max_attenuation_db}")
        if not all(np.isfinite(weights).all() for weights in model.network.arrays().values()):
            raise DeepnmfError("the model has weights that are not finite; use another model")
        self.model = model
        self.channels = channels
        self.spec = spec_at_rate(model.features.stft, rate_hz)
        self._least_gain = np.float32(0 if max_attenuation_db is None else 10 ** (-max_attenuation_db / 20))
        self._masks = channels if independent else 1
        self._longest = max(1, int(CHUNK_SECONDS * rate_hz))
        self._observer = observer
        self._reset()

    @property
    def rate_hz(self) -> int:
        """Sampling rate of the stream."""
        return self.spec.rate_hz

    @property
    def latency_samples(self) -> int:
        """Algorithmic latency in samples: one window."""
        return self.spec.window

    @property
    def latency_ms(self) -> float:
        """Algorithmic latency in milliseconds."""
        return 1000 * self.latency_samples / self.rate_hz

    def warm_up(self, samples: np.ndarray) -> None:
        """Warm up level and states on samples, usually the first seconds of the recording; return nothing.

        Call it before the first block. Without it, level and recurrent states settle in the first second of the
        output, which has more residual noise.

        Parameters
        ----------
        samples : ndarray
            Shape ``(channels, n)``, as for :meth:`process`.

        Raises
        ------
        DeepnmfError
            If the samples are not valid for :meth:`process`, or some were processed before.
        """
        if self._received:
            raise DeepnmfError("warm up before the first block, or after flush")
        samples = self._checked(samples)
        analyser = Analyser(self.spec, self.channels)
        for piece in self._pieces(samples):
            if (spectrum := analyser.push(piece)).shape[2]:
                with np.errstate(all="ignore"):
                    self._estimate(spectrum)
        for track in self._tracks:
            track.forget_frames()

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take the next samples and return those that are ready.

        Parameters
        ----------
        block : ndarray
            Shape ``(channels, n)``, float, full scale 1; n ≥ 0.

        Returns
        -------
        ndarray
            Shape ``(channels, k)``, float32, which continue those returned before.

        Raises
        ------
        DeepnmfError
            If the shape is wrong or a sample is NaN, infinite or absurdly large.
        """
        block = self._checked(block)
        if block.shape[1] <= self._longest:
            ready = self._piece(block)
        else:
            ready = np.concatenate([*map(self._piece, self._pieces(block))], axis=1)
        self._received += block.shape[1]
        self._returned += ready.shape[1]
        return ready

    def flush(self) -> np.ndarray:
        """Return the remaining samples, ``(channels, k)``, so that output and input have equal length; reset."""
        due = self._received - self._returned
        silence = np.zeros((self.channels, padding(self.spec, self._received)), np.float32)
        rest = self._piece(silence)[:, :due]
        self._reset()
        return rest

    def _reset(self) -> None:
        self._analyser = Analyser(self.spec, self.channels)
        self._synthesiser = Synthesiser(self.spec, self.channels)
        with np.errstate(all="ignore"):
            self._tracks = [_Track(self.model, self.spec, self.channels // self._masks) for _ in range(self._masks)]
        self._received = self._returned = 0

    def _checked(self, block: np.ndarray) -> np.ndarray:
        block = np.asarray(block)
        if block.ndim != 2 or len(block) != self.channels:
            raise DeepnmfError(f"a block must have shape ({self.channels}, samples), not {block.shape}")
        if block.dtype != FLOAT32 and block.dtype.kind != "f":
            raise DeepnmfError(f"a block must hold floats of full scale 1, not {block.dtype}")
        energy = np.vdot(block, block)  # not less than any sample's, and not a number if one is not; a dot would warn
        if not energy <= LARGEST_SAMPLE and not np.abs(block).max() <= LARGEST_SAMPLE:
            raise DeepnmfError(f"a block holds samples that are NaN, infinite or beyond {LARGEST_SAMPLE:.0e}")
        return block if block.dtype == FLOAT32 else block.astype(FLOAT32)

    def _pieces(self, block: np.ndarray) -> list[np.ndarray]:
        step = self._longest
        return [block[:, at : at + step] for at in range(0, block.shape[1], step)]

    def _piece(self, samples: np.ndarray) -> np.ndarray:
        spectrum = self._analyser.push(samples)
        if not spectrum.shape[2]:
            return np.zeros((self.channels, 0), np.float32)
        with np.errstate(all="ignore"):  # what is not finite gets an error instead of warnings
            gains, added = self._estimate(spectrum)
            enhanced = spectrum if self._observer is None else spectrum.copy("K")
            if added is not None:
                enhanced[:, : added.shape[1]] += added
            enhanced *= gains.astype(np.complex64)  # the product would convert them in pieces
            ready = self._synthesiser.push(enhanced)
            values = ready.ravel()
            energy = values.dot(values)
        if not math.isfinite(energy):  # before PCM turns it into silence
            raise DeepnmfError("the model's gains are NaN or infinite: its weights are damaged; use another model")
        if self._observer is not None:
            self._observer(spectrum, gains, enhanced)
        return ready

    def _estimate(self, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return gains ``(channels or 1, F, N)``, and what a filter adds to the lowest bins, as :meth:`_Track.push`."""
        gains, added = self._tracks[0].push(spectrum) if self._masks == 1 else self._estimate_each(spectrum)
        return limited(spectrum, gains, added, self._least_gain) if self._least_gain else (gains, added)

    def _estimate_each(self, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        found = [track.push(part) for track, part in zip(self._tracks, np.split(spectrum, self._masks), strict=True)]
        added = [each for _, each in found if each is not None]
        return np.concatenate([each for each, _ in found]), np.concatenate(added) if added else None


class _Track:
    """Channels that share a mask, at the recording's rate: level, the model's mask and filter, and the band above."""

    def __init__(self, model: Model, spec: StftSpec, channels: int) -> None:
        features = model.features
        self._bins, self._band = spec.bins, ModelBand(features.stft, spec)
        self._level = LevelTracker(features.level_seconds, spec.hop / spec.rate_hz, self._band.scale)
        self._scale_of_one = np.empty((), np.float32)
        self._estimator = model.estimator()
        self._above = upper_band(features.stft, spec) if spec.bins > features.stft.bins else None
        self._pauses = Pauses(features.stft.bins) if model.network.ATTENUATES_PAUSES else None
        self._past: PastFrames | None = None
        if (multi_frame := model.network.multi_frame) is not None:
            self._past = PastFrames(turns(spec, multi_frame.bins, multi_frame.past_frames), channels)

    def forget_frames(self) -> None:
        """Clear the frames that a filter reads; level and states stay."""
        if self._past is not None:
            self._past.clear()

    def push(self, spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the gains ``(1, F, N)`` of spectra ``(channels, F, N)``, and what a filter adds before them.

        That is of the lowest bins, ``(channels, L, N)``, and of a single frame valid until the next but one.
        """
        magnitudes = np.abs(spectra)
        magnitudes = magnitudes[0] if len(magnitudes) == 1 else np.sqrt(np.square(magnitudes).mean(axis=0))
        inside = self._band.of(magnitudes)
        scale = self._scale(inside)
        inside = inside * scale
        if self._past is None:
            mask, added = self._estimator.push(inside), None
        else:
            mask, added = self._filtered(spectra, inside, scale, self._past)
        if self._pauses is not None:
            mask = self._pauses.push(mask, inside)
        if self._above is None:
            return mask[None, : self._bins], added
        known = self._above.top.stop
        above = self._above.push(mask, inside, np.square(magnitudes[known:]))
        return np.concatenate([mask[:known], above])[None], added

    def _scale(self, inside: np.ndarray) -> np.ndarray:
        """Return the factors ``(N,)`` that bring magnitudes ``(F, N)`` to unit level; of one frame ``()``."""
        if inside.shape[1] == 1:
            self._scale_of_one[()] = self._band.scale / self._level.next(inside[:, 0])
            return self._scale_of_one
        return self._band.scale / self._level.push(inside)

    def _filtered(
        self, spectra: np.ndarray, inside: np.ndarray, scale: np.ndarray, past: PastFrames
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the mask ``(F, N)``, and what the filter adds to the lowest bins before it, ``(channels, L, N)``."""
        advances = past.push(spectra, scale)
        mask, weights = cast("FilterEstimator", self._estimator).push_with_filter(inside, advances)
        return mask, past.weighted(weights)
