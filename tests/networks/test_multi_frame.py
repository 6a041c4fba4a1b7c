"""The filter over several frames: streams, agrees with torch, changes nothing at first, survives its file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.config import StftSpec
from deepnmf.dsp.past_frames import PastFrames, turns
from deepnmf.dsp.stft import stft
from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.unfolded.multi_frame import MultiFrameFilter
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training import multi_frame
from deepnmf.training.modules import RecurrentModule
from helpers.networks import FEATURES, untrained

SPEC = FEATURES.stft
UNIT = np.ones(1000, np.float32)


def network(seed: int = 0, **settings: int) -> RecurrentDeepNMF:
    """Return a small network whose filter has random outputs."""
    rng = np.random.default_rng(seed)
    start = untrained("recurrent-deep-nmf", filter_units=4, **settings)
    module = RecurrentModule(start)  # type: ignore[arg-type]
    with torch.no_grad():
        module.multi_frame.output.weight.copy_(
            torch.from_numpy(rng.normal(size=module.multi_frame.output.weight.shape))
        )
    return module.to_numpy()


def spectra(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return noise, ``(channels, F, N)``."""
    rng = np.random.default_rng(seed)
    shape = channels, SPEC.bins, frames
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def estimated(net: RecurrentDeepNMF, X: np.ndarray, edges: list[int]) -> np.ndarray:
    """Return the filtered speech ``(F, N)`` of a spectrum ``(F, N)``, in blocks between the edges."""
    multi_frame = net.multi_frame
    assert multi_frame is not None
    estimator, past = net.estimator(), PastFrames(turns(SPEC, multi_frame.bins, multi_frame.past_frames), 1)
    parts = []
    for start, stop in itertools.pairwise(edges):
        block = X[:, start:stop]
        advances = past.push(block[None], UNIT[: block.shape[1]])
        mask, weights = estimator.push_with_filter(np.abs(block), advances)
        estimate = mask * block
        estimate[: multi_frame.bins] += mask[: multi_frame.bins] * (weights * past.frames[0]).sum(axis=1).T
        parts.append(estimate)
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("past_frames", [1, 2, 5])
def test_streams_are_the_forward_pass_of_training(past_frames: int) -> None:
    net, X = network(filter_frames=past_frames), spectra(30, channels=2)
    with torch.inference_mode():
        batch = RecurrentModule(net).estimate(torch.from_numpy(X), SPEC)
    for found, of in zip(batch.numpy(), X, strict=True):
        np.testing.assert_allclose(estimated(net, of, [0, 30]), found, atol=1e-4)
        np.testing.assert_allclose(estimated(net, of, [0, 1, 2, 3, 10, 30]), found, atol=1e-4)


def test_long_recordings_are_filtered_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module, X = RecurrentModule(network()), torch.from_numpy(spectra(31, channels=2))
    expected = module.estimate(X, SPEC)
    monkeypatch.setattr(multi_frame, "BLOCK_FRAMES", 7)
    torch.testing.assert_close(module.estimate(X, SPEC), expected, rtol=1e-4, atol=1e-5)


def test_a_new_filter_changes_nothing() -> None:
    X = torch.from_numpy(spectra(20))
    start = untrained("recurrent-deep-nmf", filter_units=4)
    module = RecurrentModule(start)  # type: ignore[arg-type]
    torch.testing.assert_close(module.estimate(X, SPEC), module(X.abs()) * X)


def test_gradients_reach_every_weight_of_a_trained_filter() -> None:
    module = RecurrentModule(network())
    module.estimate(torch.from_numpy(spectra(20)), SPEC).abs().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in module.multi_frame.parameters())


def test_the_future_does_not_matter() -> None:
    net, X = network(), spectra(40)[0]
    other = X.copy()
    other[:, 20:] = spectra(20, seed=1)[0]
    found, expected = (estimated(net, each, [0, 40])[:, :20] for each in (other, X))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_steady_sinusoid_is_its_own_past() -> None:
    spec, bin_of = StftSpec(), 40
    wave = np.cos(2 * np.pi * bin_of / spec.fft_size * np.arange(4000)).astype(np.float32)
    X = stft(wave[None], spec).astype(np.complex64)[:, :, 4:-4]
    past = PastFrames(turns(spec, spec.bins, 2), 1)
    advances = past.push(X, UNIT[: X.shape[2]])
    present = np.broadcast_to(X[0, bin_of, 2:, None], (X.shape[2] - 2, 3))
    np.testing.assert_allclose(past.frames[0, 2:, :, bin_of], present, rtol=1e-2)
    np.testing.assert_allclose(advances[2:, 0, :, bin_of], 1, atol=1e-2)
    np.testing.assert_allclose(advances[2:, 1, :, bin_of], 0, atol=1e-2)


@given(st.integers(1, 4), st.integers(1, 5))
def test_copies_of_a_channel_have_its_phase_advances(channels: int, past_frames: int) -> None:
    X, factors = spectra(9), turns(SPEC, SPEC.bins, past_frames)
    of_one = PastFrames(factors, 1).push(X, UNIT[: X.shape[2]])
    past = PastFrames(factors, channels)
    of_copies = past.push(np.repeat(X, channels, axis=0), UNIT[:9])
    np.testing.assert_allclose(of_copies, of_one, atol=1e-5)
    assert past.frames.shape == (channels, 9, 1 + past_frames, SPEC.bins)


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, SPEC.bins))
def test_weighted_sums_are_at_the_level_of_the_spectra(channels: int, past_frames: int, given_bins: int) -> None:
    X, rng = spectra(7, channels)[:, :given_bins], np.random.default_rng(0)
    shape = 7, 1 + past_frames, SPEC.bins
    weights = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    scale = rng.uniform(0.1, 10, 7).astype(np.float32)
    whole, stream = (PastFrames(turns(SPEC, SPEC.bins, past_frames), channels) for _ in range(2))
    whole.push(X, scale)
    expected = ((whole.frames * weights).sum(axis=2).swapaxes(1, 2) / scale)[:, :given_bins]
    np.testing.assert_allclose(whole.weighted(weights), expected, atol=1e-3, rtol=1e-4)
    for t in range(7):
        stream.push(X[:, :, t : t + 1], scale[t])
        found = stream.weighted(weights[t : t + 1])
        np.testing.assert_allclose(found, expected[:, :, t : t + 1], atol=1e-3, rtol=1e-4)


def test_advances_of_several_channels_are_within_the_unit_circle() -> None:
    X = spectra(9, channels=2)
    advances = PastFrames(turns(SPEC, SPEC.bins, 3), 2).push(X, UNIT[: X.shape[2]])
    assert np.hypot(advances[:, 0], advances[:, 1]).max() <= 1


def test_a_model_file_gives_the_filter_back(tmp_path: Path) -> None:
    net = network(filter_frames=3)
    save_model(tmp_path / "m.safetensors", Model(net, FEATURES, {"seed": 0}))
    loaded = load_model(tmp_path / "m.safetensors").network
    assert isinstance(loaded, RecurrentDeepNMF)
    assert isinstance(loaded.multi_frame, MultiFrameFilter)
    X = spectra(12)[0]
    np.testing.assert_array_equal(estimated(loaded, X, [0, 12]), estimated(net, X, [0, 12]))
    assert loaded.parameters == net.parameters == sum(p.numel() for p in RecurrentModule(net).parameters())


def test_a_filter_of_more_bins_than_a_frame_has_is_refused(tmp_path: Path) -> None:
    net = network()
    assert net.multi_frame is not None
    too_wide = MultiFrameFilter.from_arrays(SPEC.bins + 1, net.multi_frame.arrays())
    object.__setattr__(net, "multi_frame", too_wide)
    with pytest.raises(DeepnmfError, match="filtered_bins"):
        save_model(tmp_path / "m.safetensors", Model(net, FEATURES, {"seed": 0}))
