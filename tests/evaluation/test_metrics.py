"""Metrics: their invariances, an independent SDR, and what silence gives."""

import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import lstsq

from deepnmf.evaluation import metrics
from deepnmf.evaluation.metrics import METRICS, estoi, pesq_wb, sdr, si_sdr, stoi

RATE = 16000
INSTALLED = metrics.available_metrics()
"""PESQ is an extra."""


def speech_like(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise in a few bands with syllable-like bursts."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    carrier = np.convolve(rng.standard_normal(n), np.hanning(9), "same")
    return (0.1 * carrier * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * t)) ** 2).astype(np.float32)


def noisy(x: np.ndarray, snr_db: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(x)).astype(np.float32)
    return x + noise * np.float32(x.std() / noise.std() * 10 ** (-snr_db / 20))


def projected_sdr(reference: np.ndarray, estimate: np.ndarray, taps: int = 512) -> float:
    """SDR by its definition: least squares on the shifted references, in full length."""
    r, e = (np.asarray(x, np.float64) for x in (reference, estimate))
    shifts = np.zeros((len(r) + taps - 1, taps))
    for k in range(taps):
        shifts[k : k + len(r), k] = r
    padded = np.pad(e, (0, taps - 1))
    target = shifts @ lstsq(shifts, padded)[0]
    return float(10 * np.log10(np.sum(target**2) / np.sum((padded - target) ** 2)))


@pytest.mark.parametrize("snr_db", [-10, 0, 30])
def test_sdr_is_the_projection_on_512_shifts(snr_db: float) -> None:
    x = speech_like(0.15)
    y = np.convolve(noisy(x, snr_db), [0.7, 0.2, -0.4])[: len(x)]
    assert sdr(x, y) == pytest.approx(projected_sdr(x, y), abs=1e-4)


@pytest.mark.parametrize("samples", [1, 100, 511])
def test_sdr_of_signals_shorter_than_the_filter(samples: int) -> None:
    x = speech_like()[:samples]
    assert sdr(x, noisy(x, 10.0) if samples > 1 else x) > 5


@pytest.mark.parametrize("name", INSTALLED)
def test_level_changes_no_score(name: str) -> None:
    x = speech_like()
    y = noisy(x, 5)
    score = METRICS[name].score
    for gain in (1e-3, 0.5, 4):
        assert score(x, gain * y, RATE) == pytest.approx(score(x, y, RATE), rel=2e-3 if name == "pesq_wb" else 1e-5)


@pytest.mark.parametrize("score", [si_sdr, sdr])
def test_any_scale_even_denormal(score: Callable[[np.ndarray, np.ndarray], float]) -> None:
    x = speech_like().astype(np.float64)
    y = noisy(x, 5)
    for gain in (1e-300, 1e-30, -1.0, 1e30):
        assert score(x * abs(gain), y * gain) == pytest.approx(score(x, y), abs=1e-6)


def test_si_sdr_ignores_the_mean_and_is_the_snr() -> None:
    rng = np.random.default_rng(0)
    r = rng.standard_normal(10000)
    d = rng.standard_normal(10000)
    r, d = r - r.mean(), d - d.mean()
    d -= r * (d @ r) / (r @ r)
    d *= np.linalg.norm(r) / np.linalg.norm(d) * 10 ** (-12.5 / 20)
    assert si_sdr(r, r + d) == pytest.approx(12.5)
    assert si_sdr(r + 3, 2 * (r + d) - 7) == pytest.approx(12.5)


@pytest.mark.parametrize("snr_db", [-20, 0, 20])
def test_sdr_forgives_filters_and_is_at_least_si_sdr(snr_db: float) -> None:
    x = speech_like()
    y = noisy(x, snr_db)
    assert sdr(x, y) >= si_sdr(x - x.mean(), y) - 1e-6
    delayed = np.concatenate([np.zeros(100, np.float32), x])[: len(x)]
    filtered = np.convolve(x, [1, -0.5, 0.25])[: len(x)]
    assert si_sdr(x, delayed) < 10 < 30 < sdr(x, delayed)
    assert si_sdr(x, filtered) < 25 < 30 < sdr(x, filtered)


def test_perfect_estimates_are_finite_and_best() -> None:
    x = speech_like()
    assert si_sdr(x, x) == metrics.LIMIT_DB
    assert sdr(x, x) == pytest.approx(metrics.LIMIT_DB, abs=1.0)
    assert stoi(x, x, RATE) == pytest.approx(1)
    assert estoi(x, x, RATE) == pytest.approx(1)


@pytest.mark.parametrize("name", INSTALLED)
def test_more_noise_scores_less(name: str) -> None:
    x = speech_like()
    scores = [METRICS[name].score(x, noisy(x, snr), RATE) for snr in (20, 5, -10)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_other_rates_score_alike(rate_hz: int) -> None:
    x = speech_like(3.0)
    y = noisy(x, 5)
    x2, y2 = (metrics.resample(s, RATE, rate_hz) for s in (x, y))
    assert stoi(x2, y2, rate_hz) == pytest.approx(stoi(x, y, RATE), abs=0.1)


@pytest.mark.parametrize("name", INSTALLED)
def test_silence_has_its_documented_values(name: str) -> None:
    x, silence = speech_like(), np.zeros(2 * RATE, np.float32)
    score = METRICS[name].score
    assert math.isnan(score(silence, x, RATE))
    assert math.isnan(score(silence, silence, RATE))
    worst = {"si_sdr": -100, "sdr": -100, "stoi": 0, "estoi": 0, "pesq_wb": math.nan}[name]
    assert score(x, silence, RATE) == pytest.approx(worst, nan_ok=True)


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("samples", [1, 2, 600, 4000])
def test_short_signals_give_a_number_or_nan(name: str, samples: int) -> None:
    x = speech_like()[:samples]
    score = METRICS[name].score(x, 0.5 * x, RATE)
    assert math.isnan(score) or -100 <= score <= 100


def test_constant_and_tonal_references_do_not_crash() -> None:
    constant, tone = np.full(RATE, 0.3), np.sin(0.1 * np.arange(RATE))
    assert math.isnan(si_sdr(constant, tone))
    assert abs(sdr(constant, tone)) <= 100
    assert sdr(tone, noisy(tone, 10)) == pytest.approx(10, abs=0.3)


def test_estoi_is_repeatable_and_leaves_the_random_state_alone() -> None:
    x = speech_like()
    y = noisy(x, 0)
    np.random.seed(7)  # noqa: NPY002
    first, drawn = estoi(x, y, RATE), np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    assert drawn == np.random.random()  # noqa: NPY002
    assert estoi(x, y, RATE) == first


def test_pesq_of_any_rate_and_length() -> None:
    pytest.importorskip("pesq", reason="an extra: pip install 'deepnmf[pesq]'")
    x = speech_like()
    assert pesq_wb(x, x, RATE) > 4.6
    for rate_hz in (8000, 48000):
        resampled = (metrics.resample(s, RATE, rate_hz) for s in (x, noisy(x, 5)))
        assert 1 <= pesq_wb(*resampled, rate_hz) < 4.5
    bursts = speech_like(60.0) * (np.arange(60 * RATE) % RATE < RATE // 2)
    assert pesq_wb(bursts, noisy(bursts, 10), RATE) > 1  # more utterances than its C code has room for


def test_without_pesq_its_metric_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    assert metrics.available_metrics() == ["si_sdr", "sdr", "stoi", "estoi"]


@pytest.mark.slow
def test_metrics_load_no_torch() -> None:
    code = (
        "import sys, numpy as np; from deepnmf.evaluation.metrics import METRICS, available_metrics\n"
        "x = np.sin(np.arange(16000.0) ** 1.5)\n"
        "for name in available_metrics(): METRICS[name].score(x, x, 16000)\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
