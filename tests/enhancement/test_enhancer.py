"""Properties of the enhancer that hold at any rate, for any channels and any blocks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import soundfile

import deepnmf
from deepnmf import DeepnmfError, Enhancer
from deepnmf.dsp.stft import istft, stft
from deepnmf.enhancement.rates import spec_at_rate
from deepnmf.enhancement.warm_up import opening
from deepnmf.model import Model
from helpers import ROOT
from helpers.enhance_models import constant_model, recurrent_model, small_model

FILTERING = recurrent_model(filter_units=4)
LARGEST = np.finfo(np.float32).max
RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000]


def noise(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


def in_blocks(enhancer: Enhancer, samples: np.ndarray, sizes: np.random.Generator, largest: int) -> np.ndarray:
    parts, at = [], 0
    while at < samples.shape[1]:
        size = int(sizes.integers(1, largest))
        parts.append(enhancer.process(samples[:, at : at + size]))
        at += size
    return np.concatenate([*parts, enhancer.flush()], axis=1)


def in_one_block(enhancer: Enhancer, samples: np.ndarray) -> np.ndarray:
    return np.concatenate([enhancer.process(samples), enhancer.flush()], axis=1)


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_mask_of_ones_returns_the_input_at_any_rate(rate_hz: int) -> None:
    samples = noise(2, rate_hz // 2 + 7)
    assert np.abs(deepnmf.enhance(samples, rate_hz, constant_model(1.0)) - samples).max() <= 1e-5


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("model", [small_model(1), small_model(3), FILTERING], ids=["plain", "context", "filter"])
@pytest.mark.parametrize("independent", [False, True])
def test_a_warmed_stream_in_blocks_of_any_size_gives_the_whole_file_result(
    rate_hz: int, model: Model, independent: bool
) -> None:
    samples = noise(2, rate_hz)
    whole = deepnmf.enhance(samples, rate_hz, model, independent=independent)
    enhancer = Enhancer(model, rate_hz, 2, independent=independent)
    sizes = np.random.default_rng(1)
    for largest in (rate_hz, 200):
        enhancer.warm_up(opening(samples, rate_hz))
        streamed = in_blocks(enhancer, samples, sizes, largest)
        assert streamed.shape == samples.shape
        assert np.abs(streamed - whole).max() <= 1e-6


def test_blocks_of_one_sample() -> None:
    samples = noise(1, 2000)
    streamed = in_blocks(Enhancer(small_model(), 16000), samples, np.random.default_rng(0), 2)
    assert np.abs(streamed - in_one_block(Enhancer(small_model(), 16000), samples)).max() <= 1e-6


def test_a_block_longer_than_the_inner_pieces() -> None:
    samples = noise(1, 16000 * 5 + 123)
    streamed = in_blocks(Enhancer(small_model(), 16000), samples, np.random.default_rng(0), 9000)
    assert np.abs(streamed - in_one_block(Enhancer(small_model(), 16000), samples)).max() <= 1e-6


@pytest.mark.parametrize("length", [0, 1, 2, 159, 160, 161, 399, 400, 401, 1000])
def test_as_many_samples_come_out_as_go_in(length: int) -> None:
    assert deepnmf.enhance(noise(1, length), 16000, small_model()).shape == (1, length)


def test_the_enhancer_is_causal_and_its_latency_is_as_stated() -> None:
    enhancer = Enhancer(small_model(), 48000)
    assert enhancer.latency_ms == 25
    first, second = noise(1, 48000), noise(1, 48000)
    second[:, 24000:] *= -3
    returned = enhancer.process(first[:, :24000])
    assert 24000 - returned.shape[1] <= enhancer.latency_samples
    whole = in_one_block(Enhancer(small_model(), 48000), second)
    assert np.abs(returned - whole[:, : returned.shape[1]]).max() <= 1e-6


@pytest.mark.parametrize("model", [small_model(3), FILTERING], ids=["context", "filter"])
def test_flush_leaves_a_fresh_enhancer(model: Model) -> None:
    enhancer, samples = Enhancer(model, 16000), noise(1, 5000)
    once = np.concatenate([enhancer.process(samples), enhancer.flush()], axis=1)
    again = np.concatenate([enhancer.process(samples), enhancer.flush()], axis=1)
    assert np.array_equal(once, again)


def rising(samples: int) -> np.ndarray:
    """Noise that grows, so that level and states of its start are not those of its end."""
    return noise(1, samples) * np.linspace(0.05, 1, samples, dtype=np.float32)


@pytest.mark.parametrize("model", [small_model(), recurrent_model()], ids=["level", "states"])
def test_warming_up_continues_from_what_was_heard_and_gives_nothing_back(model: Model) -> None:
    samples = rising(48000)
    gains: list[np.ndarray] = []
    warmed = Enhancer(model, 16000, observer=lambda _, g, __: gains.append(g))
    warmed.warm_up(samples)
    assert not gains
    output = warmed.process(samples)
    straight = Enhancer(model, 16000, observer=lambda _, g, __: gains.append(g))
    straight.process(np.concatenate([samples, samples], axis=1))
    first, second = gains[0][0], np.concatenate([g[0] for g in gains[2:]], axis=1)[:, 300:]
    assert np.abs(first[:, 30:150] - second[:, 30:150]).max() < 0.05  # the frames across the seam differ
    cold = in_one_block(Enhancer(model, 16000), samples)
    assert np.abs(output[:, :4000] - cold[:, :4000]).max() > 1e-6
    warmed.flush()
    assert np.array_equal(in_one_block(warmed, samples), cold)  # fresh again


def test_nothing_of_the_warm_up_is_in_the_output() -> None:
    enhancer = Enhancer(FILTERING, 16000)
    enhancer.warm_up(noise(1, 16000))
    assert not enhancer.process(np.zeros((1, 1600), np.float32)).any()


@pytest.mark.parametrize("model", [small_model(), FILTERING], ids=["plain", "filter"])
def test_observers_see_the_spectrum_of_the_output(model: Model) -> None:
    seen: list[np.ndarray] = []
    samples = noise(1, 16000)
    output = in_one_block(Enhancer(model, 16000, observer=lambda *spectra: seen.append(spectra[2])), samples)
    found = istft(np.concatenate(seen, axis=2), model.features.stft, 16000)
    np.testing.assert_allclose(found, output, atol=1e-6)


def test_warming_up_in_the_middle_is_refused() -> None:
    enhancer = Enhancer(small_model(), 16000)
    enhancer.process(noise(1, 100))
    with pytest.raises(DeepnmfError, match="before the first block"):
        enhancer.warm_up(noise(1, 100))


def test_channels_share_one_mask_unless_told_otherwise() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 437 * np.arange(16000) / 16000)
    samples = np.stack([tone, noise(1, 16000)[0]]).astype(np.float32)
    gains = []
    for independent in (False, True):
        Enhancer(small_model(), 16000, 2, independent=independent, observer=lambda _, g, __: gains.append(g)).process(
            samples
        )
    assert [g.shape[0] for g in gains] == [1, 2]
    # A louder copy stays a louder copy: the stereo image holds.
    for model in (small_model(), FILTERING):
        panned = deepnmf.enhance(np.stack([tone, 0.25 * tone]), 16000, model)
        assert np.abs(panned[1] - 0.25 * panned[0]).max() < 1e-6


@pytest.mark.parametrize("model", [small_model(), FILTERING], ids=["plain", "filter"])
def test_channels_alike_give_what_one_alone_gives(model: Model) -> None:
    samples = noise(1, 16000)
    mono = deepnmf.enhance(samples, 16000, model)
    eight = deepnmf.enhance(np.repeat(samples, 8, axis=0), 16000, model)
    assert np.abs(eight - mono).max() < 1e-6


@pytest.mark.parametrize("rate_hz", [32000, 44100, 48000, 96000])
def test_gains_below_the_model_band_edge_do_not_depend_on_the_rate(rate_hz: int) -> None:
    import soxr

    samples = soxr.resample(noise(1, 16000)[0], 16000, rate_hz)[None]
    found: dict[int, np.ndarray] = {}
    for rate, x in ((16000, noise(1, 16000)), (rate_hz, samples)):
        Enhancer(small_model(), rate, observer=lambda _, g, __, rate=rate: found.update({rate: g[0]})).process(x)  # type: ignore[misc]
    bins, frames = 225, min(found[16000].shape[1], found[rate_hz].shape[1])
    difference = found[rate_hz][:bins, 5:frames] - found[16000][:bins, 5:frames]
    assert np.abs(difference).mean() < 0.01


@pytest.mark.parametrize("rate_hz", [32000, 44100, 48000])
def test_the_filter_does_not_depend_on_the_rate(rate_hz: int) -> None:
    import soxr

    samples = np.random.default_rng(0).standard_normal(16000) * np.sin(np.arange(16000) / 500)
    wide = soxr.resample(samples, 16000, rate_hz)
    expected, found = (deepnmf.enhance(x[None], rate, FILTERING)[0] for x, rate in ((samples, 16000), (wide, rate_hz)))
    first, second = (spectrum(x, rate) for x, rate in ((expected, 16000), (found, rate_hz)))
    assert np.linalg.norm(first - second) < 0.2 * np.linalg.norm(first)  # with other phases, 0.9


def spectrum(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the spectrum from 100 Hz to 3 kHz."""
    transform = np.fft.rfft(samples) / rate_hz
    return transform[100 * len(samples) // rate_hz : 3000 * len(samples) // rate_hz]


@pytest.mark.parametrize("rate_hz", [8000, 11025])
def test_a_narrow_band_is_not_taken_for_a_sign(rate_hz: int) -> None:
    import soxr

    wide = noise(1, 16000)
    narrow = soxr.resample(wide[0], 16000, rate_hz)[None]
    found: dict[int, np.ndarray] = {}
    for rate, x in ((16000, wide), (rate_hz, narrow)):
        Enhancer(small_model(), rate, observer=lambda _, g, __, rate=rate: found.update({rate: g[0]})).process(x)  # type: ignore[misc]
    bins, frames = int(0.9 * rate_hz / 2 / 31.25), min(found[16000].shape[1], found[rate_hz].shape[1])
    difference = found[rate_hz][:bins, 5:frames] - found[16000][:bins, 5:frames]
    assert abs(difference.mean()) < 0.02
    assert np.abs(difference).mean() < 0.1


def band_db(samples: np.ndarray, rate_hz: int, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(samples.shape[-1], 1 / rate_hz)
    return float(10 * np.log10(spectrum[(frequency >= low_hz) & (frequency < high_hz)].mean() + 1e-20))


def test_a_48_khz_recording_keeps_its_air_and_loses_its_hiss() -> None:
    rate_hz, n = 48000, np.arange(96000)
    model = small_model()
    hiss = noise(1, len(n))[0]
    # Pulses at 500 Hz have harmonics up to 24 kHz; those up to 8 kHz are speech to the model.
    speech = (n % 96 == 0).astype(np.float32)
    cleaned = deepnmf.enhance(hiss, rate_hz, model)
    kept = deepnmf.enhance(speech, rate_hz, model)
    for low_hz, high_hz in ((500, 7000), (9000, 23000)):
        assert band_db(cleaned, rate_hz, low_hz, high_hz) < band_db(hiss, rate_hz, low_hz, high_hz) - 5
        assert band_db(kept, rate_hz, low_hz, high_hz) > band_db(speech, rate_hz, low_hz, high_hz) - 3


def test_the_attenuation_is_bounded() -> None:
    samples = noise(1, 16000)
    full = deepnmf.enhance(samples, 16000, constant_model(0.0))
    gentle = deepnmf.enhance(samples, 16000, constant_model(0.0), max_attenuation_db=6)
    assert np.abs(full).max() == 0
    assert np.abs(gentle - samples * 10 ** (-6 / 20)).max() < 1e-6
    for model in (small_model(), FILTERING):
        assert np.abs(deepnmf.enhance(samples, 16000, model, max_attenuation_db=0) - samples).max() < 1e-5


@pytest.mark.parametrize("limit_db", [0.1, 3.0, 6.0, 12.0, 20.0])
@pytest.mark.parametrize("of", ["filter", "default"])
def test_no_stretch_is_attenuated_beyond_the_limit(of: str, limit_db: float) -> None:
    """Also where what the filter adds is opposite to the masked spectrum."""
    model = deepnmf.load_model() if of == "default" else FILTERING
    noisy, rate_hz = soundfile.read(ROOT / "examples/noisy.wav", always_2d=True)
    samples = np.concatenate([noisy.T, noise(1, rate_hz)[:, :rate_hz]], axis=1).astype(np.float32)
    enhanced = deepnmf.enhance(samples, rate_hz, model, max_attenuation_db=limit_db)
    assert stretch_gains_db(samples, enhanced, rate_hz // 5).min() > -limit_db - 0.1


def stretch_gains_db(samples: np.ndarray, enhanced: np.ndarray, length: int) -> np.ndarray:
    """Return the gains in energy over all stretches of a length."""
    before, after = (np.convolve(np.square(x[0], dtype=float), np.ones(length), "valid") for x in (samples, enhanced))
    return 10 * np.log10(after / before)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(16000),
        np.full(16000, 0.5),
        np.full(16000, 1e-30),
        np.full(16000, 1e-42),
        np.where(np.arange(16000) % 80 < 40, 1.0, -1.0),
        np.eye(1, 16000, 8000)[0],
        np.concatenate([np.zeros(8000), noise(1, 8000)[0]]),
        1e6 * np.ones(1600),
    ],
    ids=["silence", "dc", "tiny", "denormal", "square", "click", "late", "huge"],
)
def test_odd_signals_give_finite_output(samples: np.ndarray) -> None:
    assert np.isfinite(deepnmf.enhance(samples.astype(np.float32), 16000, FILTERING)).all()
    output = deepnmf.enhance(samples.astype(np.float32), 16000, small_model())
    assert np.isfinite(output).all()
    assert np.abs(output).max() <= 1.1 * np.abs(samples).max()


@pytest.mark.parametrize("model", [small_model(), FILTERING], ids=["plain", "filter"])
def test_loudness_does_not_matter(model: Model) -> None:
    samples = noise(1, 16000)
    loud = deepnmf.enhance(samples, 16000, model)
    quiet = deepnmf.enhance(samples * 1e-3, 16000, model)
    assert np.abs(1e3 * quiet - loud).max() < 1e-5


@pytest.mark.parametrize("context", [1, 3])
def test_the_numpy_engine_gives_what_the_training_network_gives(context: int) -> None:
    from deepnmf.enhancement.device import on_device

    model = small_model(context, layers=6)
    in_torch = on_device(model, "cpu")
    samples = noise(2, 16000)
    assert np.abs(deepnmf.enhance(samples, 16000, model) - deepnmf.enhance(samples, 16000, in_torch)).max() <= 1e-5
    m = np.abs(stft(samples, model.features.stft)[0]) / 10
    assert np.abs(model.estimator().push(m) - in_torch.estimator().push(m)).max() <= 1e-5


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_devices_that_are_not_there_are_named(device: str) -> None:
    from deepnmf.enhancement.device import on_device

    with pytest.raises(DeepnmfError, match=f"'{device}' cannot be used"):
        on_device(small_model(), device)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16, np.int32])
def test_the_dtype_of_an_array_comes_back(dtype: type) -> None:
    samples = noise(2, 4000)
    scale = np.iinfo(dtype).max + 1.0 if np.issubdtype(dtype, np.integer) else 1.0
    given = (samples * scale).astype(dtype)
    output = deepnmf.enhance(given, 16000, constant_model(1.0))
    assert output.dtype == dtype
    assert np.abs(output / scale - given / scale).max() <= 1e-5 + (1e-3 if dtype == np.float16 else 0)


def test_one_dimension_stays_one_dimension() -> None:
    samples = noise(1, 4000)
    mono = deepnmf.enhance(samples[0], 16000, small_model())
    assert mono.shape == (4000,)
    assert np.array_equal(mono, deepnmf.enhance(samples, 16000, small_model())[0])


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (np.zeros((16000, 2)), "look transposed"),
        (np.zeros((1, 2, 100)), "must have shape"),
        (np.zeros(100, np.int64), "no agreed full scale"),
        (np.zeros(100, complex), "no agreed full scale"),
        (np.zeros((0, 100)), "no channels"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf]), "NaN, infinite"),
        (np.array([0.0, 1e30]), "beyond"),
    ],
)
def test_arrays_that_make_no_sense_are_refused(samples: np.ndarray, fault: str) -> None:
    with pytest.raises(DeepnmfError, match=fault):
        deepnmf.enhance(samples, 16000, small_model())


@pytest.mark.parametrize("rate_hz", [16000.0, np.int64(16000), np.float32(16000), np.array(16000)])
def test_whole_rates_of_any_type_are_taken(rate_hz: Any) -> None:
    samples, model = noise(1, 8000), small_model()
    assert np.array_equal(deepnmf.enhance(samples, rate_hz, model), deepnmf.enhance(samples, 16000, model))


@pytest.mark.parametrize("rate_hz", [16000.5, "16000", None, float("nan"), float("inf"), 0])
def test_rates_that_make_no_sense_are_refused(rate_hz: Any) -> None:
    with pytest.raises(DeepnmfError, match="sampling rate"):
        deepnmf.enhance(noise(1, 100), rate_hz, small_model())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DeepnmfError, match="sampling rate"):
        Enhancer(small_model(), 500)
    with pytest.raises(DeepnmfError, match="channels"):
        Enhancer(small_model(), 16000, 0)
    with pytest.raises(DeepnmfError, match="max_attenuation_db"):
        Enhancer(small_model(), 16000, max_attenuation_db=-3)
    with pytest.raises(DeepnmfError, match=r"shape \(2, samples\)"):
        Enhancer(small_model(), 16000, 2).process(noise(1, 100))
    with pytest.raises(DeepnmfError, match="int16"):
        Enhancer(small_model(), 16000).process(np.zeros((1, 100), np.int16))


def test_transforms_have_the_model_bins_in_hertz_at_any_rate() -> None:
    model_spec = small_model().features.stft
    for rate_hz in RATES:
        spec = spec_at_rate(model_spec, rate_hz)
        edge_hz = min(rate_hz, 16000) / 2
        spacing = rate_hz / spec.fft_size
        assert abs(edge_hz / spacing - edge_hz / 31.25) < 0.5  # bins
        assert abs(1000 * spec.hop / rate_hz - 10) < 0.06


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["output", "cell.0.input_weights", "dictionary.0"])
def test_weights_that_are_not_finite_are_refused_without_a_warning(name: str, value: float) -> None:
    model = recurrent_model()
    model.network.arrays()[name].flat[0] = value
    with pytest.raises(DeepnmfError, match="not finite"):
        Enhancer(model, 16000)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e10, 1e20, 1e30, 1e38])
@pytest.mark.parametrize("filter_units", [None, 0, 4])
def test_huge_weights_give_a_finite_output_or_one_error(filter_units: int | None, scale: float) -> None:
    """Of a frame-wise network, and of a recurrent one with and without a filter."""
    template = small_model() if filter_units is None else recurrent_model(filter_units=filter_units)
    for name in template.network.arrays():
        model = copy.deepcopy(template)
        weights = model.network.arrays()[name]
        weights[...] = np.clip(weights * scale, -LARGEST, LARGEST)
        try:
            output = deepnmf.enhance(noise(2, 16000), 16000, model, max_attenuation_db=12)
        except DeepnmfError as error:
            assert "NaN or infinite" in str(error)  # noqa: PT017 - either is right
        else:
            assert np.isfinite(output).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_whose_gains_are_not_finite_is_refused(value: float) -> None:
    with pytest.raises(DeepnmfError, match="NaN or infinite"):
        deepnmf.enhance(noise(1, 4000), 16000, constant_model(value), max_attenuation_db=12)
