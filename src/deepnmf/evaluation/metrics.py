"""Objective scores of one estimate, most of them against its clean reference, as pure functions of two signals.

Silence: a silent reference has no score (NaN, which tables leave out and count); a silent estimate has the
worst one (`-LIMIT_DB` dB, STOI and ESTOI 0), but no PESQ (NaN).
"""

from __future__ import annotations

import functools
import importlib.util
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.files import resample
from ..errors import MissingExtra, is_installed
from .dnsmos import BAK, OVRL, P808, SIG, dnsmos
from .dnsmos import PACKAGES as DNSMOS_PACKAGES
from .dnsmos import PARTS as DNSMOS_PARTS

LIMIT_DB = 100.0
"""SI-SDR and SDR stay within ± this: a perfect estimate would be infinite, and values beyond are rounding error."""
SDR_TAPS = 512
PESQ_RATE_HZ = 16000
PESQ_MAX_SECONDS = 20.0
"""On longer recordings the reference code of PESQ overflows its table of 50 utterances and crashes."""
STOI_MIN_SECONDS = 0.4
"""STOI uses segments of 30 frames (0.4 s)."""
STOI_TOO_SHORT = 1e-5
"""What pystoi returns when fewer than 30 frames are left after it has dropped the silent ones."""


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB, zero-mean variant.

    With both signals freed of their mean and a = ⟨e, r⟩ / ⟨r, r⟩: 10 log₁₀(‖a r‖² / ‖e − a r‖²).

    Parameters
    ----------
    reference, estimate : ndarray
        Shape ``(samples,)``, equal lengths.

    Returns
    -------
    float
        Between −100 and 100; NaN if the reference is silent or constant.

    Examples
    --------
    >>> r = np.array([1.0, -1.0, 1.0, -1.0])
    >>> round(si_sdr(r, 5 * r + np.array([1.0, 1.0, -1.0, -1.0])), 2)
    13.98
    """
    r, e = _unit(_centred(reference)), _unit(_centred(estimate))
    if not r.any():
        return math.nan
    projection = float(e @ r)
    distortion = e - projection * r
    return _ratio_db(projection**2, float(distortion @ distortion))


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the signal-to-distortion ratio of BSS-eval v3 in dB: any 512-tap filtering of the reference is allowed.

    `fast_bss_eval.sdr` with ``filter_length=512`` by direct solution, in float64, means kept. Of one source, so that
    interference and artefacts count alike.

    Parameters
    ----------
    reference, estimate : ndarray
        Shape ``(samples,)``, equal lengths.

    Returns
    -------
    float
        Between −100 and 100; NaN if the reference is silent.
    """
    # The correlations need as many samples as taps; zeros change nothing in the full convolution of BSS-eval.
    padding = (0, max(0, SDR_TAPS - len(reference)))
    r, e = (np.pad(_unit(np.asarray(x, np.float64)), padding)[None] for x in (reference, estimate))
    if not r.any():
        return math.nan
    solve = functools.partial(_bss_eval().sdr, r, e, filter_length=SDR_TAPS, clamp_db=LIMIT_DB)
    try:
        return float(solve()[0])
    except np.linalg.LinAlgError:  # a reference without content in some band: its shifts are linearly dependent
        return float(solve(load_diag=1e-10)[0])


def stoi(reference: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
    """Return the short-time objective intelligibility (Taal et al. 2011, by pystoi), about 0 to 1.

    Parameters
    ----------
    reference, estimate : ndarray
        Shape ``(samples,)``, equal lengths.
    rate_hz : int
        Sampling rate of both.

    Returns
    -------
    float
        NaN if the reference is silent or has less than 0.4 s of speech.
    """
    return _pystoi(reference, estimate, rate_hz, extended=False)


def estoi(reference: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
    """Return the extended STOI (Jensen and Taal 2016, by pystoi); as :func:`stoi`."""
    return _pystoi(reference, estimate, rate_hz, extended=True)


def pesq_wb(reference: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
    """Return wide-band PESQ (ITU-T P.862.2, MOS-LQO 1 to 4.64, by the pesq package).

    Signals are resampled to 16 kHz. Recordings over 20 s get the mean over equal parts of at most 20 s, weighted
    equally, without the parts that have no speech.

    Parameters
    ----------
    reference, estimate : ndarray
        Shape ``(samples,)``, equal lengths.
    rate_hz : int
        Sampling rate of both.

    Returns
    -------
    float
        NaN if either is silent, no speech is found, or they last less than a quarter of a second.

    Raises
    ------
    ImportError
        If the pesq package is not installed.
    """
    r, e = (resample(np.asarray(x, np.float32), rate_hz, PESQ_RATE_HZ) for x in (reference, estimate))
    parts = max(1, math.ceil(len(r) / (PESQ_MAX_SECONDS * PESQ_RATE_HZ)))
    scores = [_pesq_part(a, b) for a, b in zip(np.array_split(r, parts), np.array_split(e, parts), strict=True)]
    valid = [score for score in scores if not math.isnan(score)]
    return sum(valid) / len(valid) if valid else math.nan


@dataclass(frozen=True)
class Metric:
    """A score as tables show it; larger is better for all of them."""

    label: str
    unit: str
    variant: str
    """Exact variant, so that scores can be compared with published ones."""
    decimals: int
    score: Callable[[np.ndarray, np.ndarray, int], float]
    """Of reference, estimate and rate in Hz."""
    packages: tuple[str, ...] = ()
    """Those that it needs, as they are imported."""
    needs_reference: bool = True
    """Whether it compares with the clean recording; others are computed on request, or where there is none."""


def _dnsmos_metric(name: str, label: str, recommendation: str) -> Metric:
    variant = f"DNSMOS {recommendation}: networks of speechmos, 16 kHz, mean of windows of 9.01 s, short files repeated"
    return Metric(label, "MOS", variant, 2, lambda _, e, rate_hz: dnsmos(e, rate_hz)[name], DNSMOS_PACKAGES, False)


METRICS: dict[str, Metric] = {
    "si_sdr": Metric("SI-SDR", "dB", "zero-mean, clamped to ±100 dB", 2, lambda r, e, _: si_sdr(r, e)),
    "sdr": Metric(
        "SDR", "dB", "BSS-eval v3: fast_bss_eval.sdr, numpy, filter_length=512, zero_mean=False, clamped to ±100 dB",
        2, lambda r, e, _: sdr(r, e), ("fast_bss_eval", "scipy"),
    ),
    "stoi": Metric("STOI", "", "pystoi.stoi, extended=False, 10 kHz", 3, stoi, ("pystoi", "scipy")),
    "estoi": Metric("ESTOI", "", "pystoi.stoi, extended=True, 10 kHz", 3, estoi, ("pystoi", "scipy")),
    "pesq_wb": Metric(
        "PESQ-WB", "MOS", "ITU-T P.862.2: pesq.pesq, mode wb, 16 kHz, mean of equal parts of at most 20 s", 2, pesq_wb,
        ("pesq",),
    ),
    SIG: _dnsmos_metric(SIG, "DNSMOS SIG", "P.835"),
    BAK: _dnsmos_metric(BAK, "DNSMOS BAK", "P.835"),
    OVRL: _dnsmos_metric(OVRL, "DNSMOS OVRL", "P.835"),
    P808: _dnsmos_metric(P808, "DNSMOS P.808", "P.808"),
}  # fmt: skip
GROUPS = {"dnsmos": DNSMOS_PARTS}
"""Metrics that have a name together."""


def metrics_of(has_reference: bool) -> list[str]:
    """Return the names of the metrics that recordings with, or without, a clean reference are scored by."""
    return [name for name, metric in METRICS.items() if metric.needs_reference == has_reference]


def available_metrics() -> list[str]:
    """Return the names of the metrics that need a clean reference and whose packages are installed."""
    return [name for name in metrics_of(True) if all(map(is_installed, METRICS[name].packages))]


def _centred(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples, np.float64)
    centred = samples - samples.mean()
    # The residual of a constant is the rounding error of its mean, not a signal.
    noise_floor = 1e-12 * float(np.abs(samples).max(initial=0.0))
    return centred if float(np.abs(centred).max(initial=0.0)) > noise_floor else np.zeros_like(centred)


def _unit(samples: np.ndarray) -> np.ndarray:
    """Return float64 `samples` at unit energy, so that no score depends on the level; silence stays silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0:
        return samples
    scaled = samples / peak  # first, as the squares of denormal samples would vanish
    return scaled / float(np.linalg.norm(scaled))


def _ratio_db(signal: float, distortion: float) -> float:
    if signal == 0:
        return -LIMIT_DB
    limit = 10 ** (-LIMIT_DB / 10)
    return 10 * math.log10(max(signal, limit * distortion) / max(distortion, limit * signal))


@functools.cache
def _bss_eval() -> Any:
    """Return the NumPy half of fast_bss_eval, loaded alone: the package imports torch, which takes seconds."""
    package = importlib.util.find_spec("fast_bss_eval")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra("the SDR", "fast_bss_eval")
    folder = Path(package.submodule_search_locations[0]) / "numpy"
    name = f"{__package__}._fast_bss_eval_numpy"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder}: no NumPy half in this fast_bss_eval")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pystoi(reference: np.ndarray, estimate: np.ndarray, rate_hz: int, extended: bool) -> float:
    import pystoi

    r, e = (_unit(np.asarray(x, np.float64)) for x in (reference, estimate))
    if not r.any() or len(r) < STOI_MIN_SECONDS * rate_hz:
        return math.nan
    if not e.any():
        return 0.0
    # pystoi is not scale-invariant: its guards against zero assume samples of about unit size.
    scale = math.sqrt(len(r))
    # ESTOI dithers with the global generator of NumPy; equal signals must give equal scores.
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            score = float(pystoi.stoi(r * scale, e * scale, rate_hz, extended=extended))
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return math.nan if score == STOI_TOO_SHORT else score


def _pesq_part(reference: np.ndarray, estimate: np.ndarray) -> float:
    import pesq

    if not reference.any() or not estimate.any():
        return math.nan
    try:
        return float(pesq.pesq(PESQ_RATE_HZ, reference, estimate, "wb"))
    except (pesq.PesqError, ValueError):  # no utterance found, under 1/4 s; ValueError: its C code came to NaN
        return math.nan
