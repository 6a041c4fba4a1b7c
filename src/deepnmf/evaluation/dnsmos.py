"""DNSMOS: quality without a clean reference, as listeners rated it (P.835 SIG, BAK and OVRL, and P.808), on a stream.

The networks are those that the package speechmos ships, run by onnxruntime on one thread; windows, loops and means are
those of ``speechmos.dnsmos.run``, which itself needs the whole recording and refuses samples above full scale.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.files import resample
from ..errors import DeepnmfError, MissingExtra
from ..onnx_runtime import open_session

RATE_HZ = 16000
WINDOW_SECONDS = 9.01
WINDOW = int(WINDOW_SECONDS * RATE_HZ)
"""Samples that the networks take; shorter recordings are repeated until they have as many."""
SIG, BAK, OVRL, P808 = PARTS = "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"
PACKAGES = ("speechmos", "onnxruntime", "librosa")
# Of speechmos: from the raw output of the network to the ratings of listeners.
_POLYNOMIALS = {
    SIG: (-0.08397278, 1.22083953, 0.0052439),
    BAK: (-0.13166888, 1.60915514, -0.39604546),
    OVRL: (-0.06766283, 1.11546468, 0.04602535),
}


class DnsmosStream:
    """The DNSMOS of a recording that arrives in blocks, in bounded memory: 10 s and a block are held.

    The scores are means over windows of 9.01 s at every second.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)  # from the start of the next window on
        self._windows = 0
        self._silent = True
        self._scores: list[list[float]] = []

    def push(self, samples: np.ndarray) -> None:
        """Add a block ``(samples,)`` at 16 kHz, full scale 1."""
        self._silent = self._silent and not samples.any()
        self._held = np.concatenate([self._held, samples.astype(np.float32, copy=False)])
        # The first window is scored as soon as it is full, others when the recording lasts a second beyond its start
        # by 10: so speechmos rounds.
        while len(self._held) >= (10 * RATE_HZ if self._windows else WINDOW):
            if _is_scored(self._windows):
                self._scores.append(_window_scores(self._held[:WINDOW]))
            self._windows += 1
            self._held = self._held[RATE_HZ:]

    def scores(self) -> dict[str, float]:
        """Return the scores by the names `PARTS`; NaN for a recording that is empty or digital silence throughout."""
        if self._silent:
            return dict.fromkeys(PARTS, math.nan)
        if not self._windows:
            repeated = DnsmosStream()
            repeated.push(_repeated(self._held))
            return repeated.scores()
        return dict(zip(PARTS, np.mean(self._scores, axis=0).tolist(), strict=True))


def dnsmos(samples: np.ndarray, rate_hz: int) -> dict[str, float]:
    """Return the DNSMOS scores of ``(samples,)`` by the names `PARTS`, each about 1 to 5.

    Parameters
    ----------
    samples : ndarray
        Shape ``(samples,)``, full scale 1; they are resampled to 16 kHz. DNSMOS depends on the level.
    rate_hz : int
        Sampling rate.

    Returns
    -------
    dict of str to float
        NaN if all samples are zero.

    Raises
    ------
    DeepnmfError
        If speechmos, onnxruntime or librosa is missing.
    """
    return dict(_dnsmos(np.asarray(samples, np.float32).tobytes(), rate_hz))


@functools.lru_cache(maxsize=2)
def _dnsmos(samples: bytes, rate_hz: int) -> dict[str, float]:
    """Return all scores of a recording; they are asked for one by one."""
    stream = DnsmosStream()
    stream.push(resample(np.frombuffer(samples, np.float32), rate_hz, RATE_HZ))
    return stream.scores()


def _is_scored(window: int) -> bool:
    """Return whether speechmos scores a window: of some, the end is rounded down, and they are left out as too short.

    Examples
    --------
    >>> [window for window in range(40) if not _is_scored(window)] == list(range(7, 24))
    True
    """
    return int((window + WINDOW_SECONDS) * RATE_HZ) - window * RATE_HZ >= WINDOW


def _repeated(samples: np.ndarray) -> np.ndarray:
    """Return samples doubled until they fill a window."""
    while len(samples) < WINDOW:
        samples = np.concatenate([samples, samples])
    return samples


def _window_scores(samples: np.ndarray) -> list[float]:
    """Return the scores of ``(WINDOW,)``, in the order of `PARTS`."""
    (p835,) = _session("sig_bak_ovr.onnx").run(None, {"input_1": samples[None]})
    (p808,) = _session("model_v8.onnx").run(None, {"input_1": _mel_spectrogram(samples[:-160])[None]})
    raw = dict(zip((SIG, BAK, OVRL), p835[0], strict=True))
    return [*(float(np.polyval(_POLYNOMIALS[name], raw[name])) for name in (SIG, BAK, OVRL)), float(p808[0, 0])]


def _mel_spectrogram(samples: np.ndarray) -> np.ndarray:
    """Return the mel spectrogram ``(frames, 120)`` that the P.808 network takes: the peak is 1, 40 dB below it 0."""
    import librosa

    power = librosa.feature.melspectrogram(y=samples, sr=RATE_HZ, n_fft=321, hop_length=160, n_mels=120)
    return ((librosa.power_to_db(power, ref=np.max) + 40) / 40).T.astype(np.float32)


@functools.cache
def _session(name: str) -> Any:
    """Return a network of speechmos; the package itself is not imported, as that needs requests and more threads."""
    package = importlib.util.find_spec("speechmos")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra("DNSMOS", "speechmos")
    path = Path(package.submodule_search_locations[0]) / "dnsmos_models" / name
    if not path.is_file():
        raise DeepnmfError(f"{path}: missing from this speechmos; install it again: pip install speechmos")
    return open_session(path, threads=1)
