"""The model file: it comes back whole, estimates the same in any blocks, and is refused when it is not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.artifacts import load_tensors, save_tensors
from deepnmf.config import FeatureConfig, StftSpec
from deepnmf.dsp.stft import stack_context
from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from helpers.examples import at_rate
from helpers.networks import deep_nmf, with_weights

SPEC = StftSpec(rate_hz=1000, window_ms=10.0, hop_ms=4.0, fft_size=10)
F = SPEC.bins


def model(context: int = 3, tied: bool = False, layers: int = 12) -> Model:
    """Return a model of more than ten dictionaries, so that their order by name is not their order by number."""
    rng = np.random.default_rng(0)
    speech, noise = rng.random((F * context, 3), np.float32), rng.random((F * context, 2), np.float32)
    net = deep_nmf(speech, noise, F, layers=layers, tied=tied)
    net = with_weights(net, tuple(W * np.float32(1 + 0.1 * k) for k, W in enumerate(net.dictionaries)), net.output)
    return Model(net, FeatureConfig(stft=SPEC), {"seed": 7})


def magnitudes(frames: int) -> np.ndarray:
    return np.random.default_rng(1).random((F, frames)).astype(np.float32)


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_comes_back_whole(tmp_path: Path, tied: bool) -> None:
    saved = model(tied=tied)
    save_model(tmp_path / "m.safetensors", saved)
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.features == saved.features
    assert loaded.metadata["seed"] == 7
    assert loaded.network.layers == saved.network.layers
    assert (loaded.network.speech_atoms, loaded.network.sparsity, loaded.network.beta) == (3, 0.1, 1.0)
    assert np.array_equal(loaded.estimator().push(magnitudes(9)), saved.estimator().push(magnitudes(9)))


def test_a_file_of_a_version_without_gains_gives_the_same_masks(tmp_path: Path) -> None:
    saved = model()
    save_model(tmp_path / "new.safetensors", saved)
    arrays, metadata = load_tensors(tmp_path / "new.safetensors", "model")
    del arrays["gains"], arrays["sparsities"]
    save_tensors(tmp_path / "old.safetensors", arrays, "model", metadata)
    loaded = load_model(tmp_path / "old.safetensors")
    assert np.array_equal(loaded.estimator().push(magnitudes(9)), saved.estimator().push(magnitudes(9)))
    arrays["gains"] = np.ones((13, 5), np.float32)
    save_tensors(tmp_path / "half.safetensors", arrays, "model", metadata)
    with pytest.raises(DeepnmfError, match="sparsities"):
        load_model(tmp_path / "half.safetensors")


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(tmp_path / name, model())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_half_the_bytes_give_nearly_the_same_masks(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    saved = model()
    save_model(whole, saved)
    save_model(half, saved, half=True)
    saved_bytes = whole.stat().st_size - half.stat().st_size
    assert saved_bytes == pytest.approx(2 * sum(w.size for w in saved.network.arrays().values()), abs=500)
    loaded = load_model(half)
    assert all(weights.dtype == np.float32 for weights in loaded.network.arrays().values())
    masks = [network.estimator().push(magnitudes(9)) for network in (loaded, saved)]
    np.testing.assert_allclose(*masks, atol=2e-3)
    large = with_weights(saved.network, saved.network.dictionaries, 1e6 * saved.network.output)
    with pytest.raises(DeepnmfError, match="need 32 bits"):
        save_model(half, Model(large, saved.features), half=True)
    assert load_model(half).network.parameters == saved.network.parameters


def test_saving_what_was_loaded_changes_nothing(tmp_path: Path) -> None:
    save_model(tmp_path / "a.safetensors", model())
    save_model(tmp_path / "b.safetensors", load_model(tmp_path / "a.safetensors"))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@given(context=st.sampled_from([1, 2, 5]), cuts=st.lists(st.integers(0, 20), max_size=6))
@at_rate(30)
def test_a_stream_of_masks_equals_the_whole(context: int, cuts: list[int]) -> None:
    one = model(context, layers=3)
    whole = one.network.mask(stack_context(magnitudes(20), context))
    estimator = one.estimator()
    parts = [estimator.push(block) for block in np.split(magnitudes(20), sorted(cuts), axis=1)]
    assert np.allclose(np.concatenate(parts, axis=1), whole, rtol=1e-4, atol=1e-6)


def test_estimators_of_one_model_do_not_share_their_past() -> None:
    one = model(context=3)
    first, second = one.estimator(), one.estimator()
    first.push(magnitudes(5))
    assert np.array_equal(second.push(magnitudes(5)), one.estimator().push(magnitudes(5)))


def test_an_unknown_name_is_answered_by_those_there_are() -> None:
    with pytest.raises(DeepnmfError, match="unheard-of: no such file and no such model in the package"):
        load_model("unheard-of")


def test_a_dictionary_file_is_not_a_model(tmp_path: Path) -> None:
    save_tensors(tmp_path / "d.safetensors", {"speech": np.ones((2, 2))}, "dictionary", {})
    with pytest.raises(DeepnmfError, match="this is a dictionary file; a model file is needed here"):
        load_model(tmp_path / "d.safetensors")


def test_a_feature_setting_of_a_later_version_is_named(tmp_path: Path) -> None:
    save_tensors(tmp_path / "m.safetensors", {"output": np.ones((2, 2))}, "model", _metadata("colour"))
    with pytest.raises(DeepnmfError, match=r"m\.safetensors: features: unknown key features.colour"):
        load_model(tmp_path / "m.safetensors")


def _metadata(feature: str) -> dict[str, object]:
    network = {"layers": [], "speech_atoms": 1, "sparsity": 0.1, "beta": 1.0}
    return {"network": network, "features": {feature: 1}}
