"""STFT: reconstruction is exact, streams equal whole signals, and channels stay apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.config import StftSpec
from deepnmf.dsp.stft import Analyser, Synthesiser, istft, padding, stack_context, stft, window
from helpers.examples import at_rate

SIZES = [(400, 160, 512), (400, 100, 512), (400, 200, 400), (400, 133, 401), (400, 300, 512), (7, 3, 9), (5, 1, 5)]


def spec_of(window_size: int, hop: int, fft_size: int) -> StftSpec:
    """Return a spec whose sizes in samples are the given ones (1 kHz makes milliseconds samples)."""
    spec = StftSpec(rate_hz=1000, window_ms=float(window_size), hop_ms=float(hop), fft_size=fft_size)
    assert (spec.window, spec.hop) == (window_size, hop)
    return spec


def noise(channels: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (channels, length)).astype(np.float32)


@st.composite
def specs(draw: st.DrawFn) -> StftSpec:
    size = draw(st.integers(3, 40))
    hop = draw(st.integers(1, (2 * size) // 3))
    return spec_of(size, hop, max(4, size + draw(st.integers(0, 9))))


def blocks(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Cut ``(channels, n)`` into blocks of `sizes`, used again and again."""
    cut, start, index = [], 0, 0
    while start < samples.shape[1]:
        size = sizes[index % len(sizes)]
        cut.append(samples[:, start : start + size])
        start, index = start + size, index + 1
    return cut


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("length", [1, 2, 399, 400, 401, 1600, 1607])
def test_an_all_ones_mask_returns_the_input(sizes: tuple[int, int, int], length: int) -> None:
    spec, samples = spec_of(*sizes), noise(2, length)
    spectrum = stft(samples, spec)
    restored = istft(spectrum * np.ones(spectrum.shape[1:], np.float32), spec, length)
    assert restored.dtype == np.float32
    assert restored.shape == samples.shape
    assert np.abs(restored - samples).max() <= 1e-5


@given(spec=specs(), length=st.integers(0, 200), seed=st.integers(0, 99))
@at_rate(100)
def test_reconstruction_holds_for_any_spec_and_length(spec: StftSpec, length: int, seed: int) -> None:
    samples = noise(1, length, seed)
    restored = istft(stft(samples, spec), spec, length)
    assert restored.shape == samples.shape
    assert np.abs(restored - samples).max(initial=0) <= 1e-5


@given(spec=specs(), length=st.integers(1, 200), sizes=st.lists(st.integers(1, 90), min_size=1, max_size=5))
@at_rate(100)
def test_a_stream_equals_the_whole_signal(spec: StftSpec, length: int, sizes: list[int]) -> None:
    samples = noise(2, length)
    analyser, synthesiser = Analyser(spec, 2), Synthesiser(spec, 2)
    padded = np.pad(samples, ((0, 0), (0, padding(spec, length))))
    spectra = [analyser.push(block) for block in blocks(padded, sizes)]
    sounds = [synthesiser.push(spectrum) for spectrum in spectra]
    whole = stft(samples, spec)
    assert np.array_equal(np.concatenate(spectra, axis=2), whole)
    restored = np.concatenate(sounds, axis=1)[:, :length]
    assert np.abs(restored - istft(whole, spec, length)).max() <= 1e-6


@pytest.mark.parametrize("sizes", SIZES)
def test_one_sample_at_a_time_comes_back_one_window_later(sizes: tuple[int, int, int]) -> None:
    spec, samples = spec_of(*sizes), noise(1, 900)
    analyser, synthesiser = Analyser(spec), Synthesiser(spec)
    out = np.zeros((1, 0), np.float32)
    for received in range(1, samples.shape[1] + 1):
        out = np.concatenate([out, synthesiser.push(analyser.push(samples[:, received - 1 : received]))], axis=1)
        assert received - spec.window <= out.shape[1] <= received  # never ahead, never more than a window late
    assert np.abs(out - samples[:, : out.shape[1]]).max() <= 1e-5


@pytest.mark.parametrize("quiet", [0, 1])
def test_two_channels_stay_apart(quiet: int) -> None:
    spec, samples = StftSpec(), noise(2, 5000)
    samples[quiet] = 0
    restored = istft(stft(samples, spec), spec, 5000)
    assert not restored[quiet].any()
    alone = stft(samples[1 - quiet : 2 - quiet], spec)
    assert np.array_equal(stft(samples, spec)[1 - quiet], alone[0])


def test_frames_match_the_definition() -> None:
    spec, samples = StftSpec(), noise(1, 2000)
    spectrum = stft(samples, spec)
    padded = np.concatenate([np.zeros(spec.window - spec.hop), samples[0], np.zeros(spec.window)])
    n = np.arange(spec.window)
    sine = np.sin(np.pi * n / spec.window)  # the square root of a periodic Hann window
    for frame in (0, 3, spectrum.shape[2] - 1):
        part = padded[frame * spec.hop :][: spec.window] * sine
        assert np.allclose(spectrum[0, :, frame], np.fft.rfft(part, spec.fft_size), atol=1e-4)


@pytest.mark.parametrize("sizes", [(400, 160, 512), (400, 100, 512), (400, 200, 400), (401, 133, 512)])
def test_frames_are_those_of_librosa(sizes: tuple[int, int, int]) -> None:
    librosa = pytest.importorskip("librosa")
    spec, samples = spec_of(*sizes), noise(2, 2000)
    spectrum = stft(samples, spec)
    shift = (spec.fft_size - spec.window) // 2  # librosa has the window in the middle of the FFT
    start = np.zeros((2, spec.window - spec.hop), np.float32)
    padded = np.concatenate([np.zeros((2, shift)), start, samples, np.zeros((2, 1024))], axis=1)
    expected = librosa.stft(
        padded, n_fft=spec.fft_size, hop_length=spec.hop, win_length=spec.window, window=window(spec), center=False
    )
    turned = spectrum * np.exp(-2j * np.pi * np.arange(spec.bins) * shift / spec.fft_size)[:, None]
    assert np.allclose(turned, expected[..., : spectrum.shape[2]], atol=1e-4)


def test_a_frame_needs_no_later_sample() -> None:
    spec, samples = StftSpec(), noise(1, 3200)
    changed = samples.copy()
    changed[:, 1600:] = 0
    frames = 1600 // spec.hop  # frame t ends at sample (t + 1) * hop
    assert np.array_equal(stft(samples, spec)[..., :frames], stft(changed, spec)[..., :frames])
    assert not np.array_equal(stft(samples, spec)[..., frames], stft(changed, spec)[..., frames])


def test_a_tone_lands_in_its_bin() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 16000)[None]
    assert np.abs(stft(tone, StftSpec()))[0, :, 20].argmax() == 1000 * 512 // 16000


def test_types_and_shapes() -> None:
    spec = StftSpec()
    assert stft(np.zeros((3, 100)), spec).dtype == np.complex64
    assert Analyser(spec, 3).push(np.zeros((3, 10))).shape == (3, 257, 0)
    assert Synthesiser(spec, 3).push(np.zeros((3, 257, 0), np.complex64)).shape == (3, 0)
    assert window(spec).dtype == np.float32


@pytest.mark.parametrize("level", [0.0, 1e-45, 1e-38, 1e-30, 1.0, 1e30])
def test_extreme_levels_stay_finite(level: float) -> None:
    samples = np.full((1, 1000), level, np.float32)
    restored = istft(stft(samples, StftSpec()), StftSpec(), 1000)
    assert np.isfinite(restored).all()
    assert np.allclose(restored, samples, rtol=1e-5, atol=1e-44)


@pytest.mark.parametrize("context", [1, 2, 3, 9])
def test_context_stacks_older_frames_first(context: int) -> None:
    magnitudes = noise(4, 20)
    stacked = stack_context(magnitudes, context)
    assert stacked.shape == (context * 4, 20)
    for frame in range(20):
        for lag in range(context):
            rows = stacked[(context - 1 - lag) * 4 :][:4, frame]
            expected = magnitudes[:, frame - lag] if frame >= lag else np.zeros(4)
            assert np.array_equal(rows, expected)


@given(context=st.integers(1, 6), cut=st.integers(0, 20))
@at_rate(40)
def test_stacking_goes_on_where_the_last_block_ended(context: int, cut: int) -> None:
    magnitudes = noise(3, 20)
    past = np.concatenate([np.zeros((3, context - 1), np.float32), magnitudes[:, :cut]], axis=1)
    second = stack_context(magnitudes[:, cut:], context, past[:, past.shape[1] - (context - 1) :])
    both = np.concatenate([stack_context(magnitudes[:, :cut], context), second], axis=1)
    assert np.array_equal(both, stack_context(magnitudes, context))
