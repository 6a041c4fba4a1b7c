"""DR-NMF (Wisdom et al. 2017): warm-started sparse coding; streams, gradients through time, non-negative weights."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.kinds import KINDS, configuration
from deepnmf.networks.unfolded.dr_nmf import DRNMF, LARGEST_ACTIVATION
from deepnmf.networks.unfolded.ista import update
from deepnmf.nmf.updates import wiener_mask
from deepnmf.training.batches import MixedExample
from deepnmf.training.modules import DRNMFModule
from deepnmf.training.step import TrainingStep
from helpers.examples import at_rate
from helpers.networks import FEATURES, F, untrained

R_S, R_N, SPARSITY = 3, 2, 0.05


def network(layers: int = 3, seed: int = 0, dtype: type = np.float64) -> DRNMF:
    """Return a canonical network whose layers differ; the steps are short enough for descent."""
    rng, R = np.random.default_rng(seed), R_S + R_N
    W = rng.random((layers, F, R))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    steps = 0.9 / np.linalg.norm(W, 2, axis=(1, 2)) ** 2
    arrays = W, steps, SPARSITY * np.tile(steps[:, None], R), 0.2 * rng.random((R, R)), rng.random((F, R))
    return DRNMF(*(array.astype(dtype) for array in arrays), R_S).canonical()


def magnitudes(frames: int, dtype: type = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (F, frames)).astype(dtype)


def test_frames_start_from_the_transition_and_take_a_step_of_ista_in_each_layer() -> None:
    net, m = network(), magnitudes(12)
    h, masks = np.zeros((R_S + R_N, 1)), []
    for t in range(12):
        h = net.transition @ h
        for W, step, threshold in zip(net.atoms, net.steps, net.thresholds, strict=True):
            h = update(h, m[:, t : t + 1], W, step, threshold[:, None])
        masks.append(wiener_mask(net.output, h, R_S))
    np.testing.assert_allclose(net.mask(m), np.concatenate(masks, axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_many_tied_layers_from_the_last_frame_solve_the_sparse_nmf_of_each_frame(seed: int) -> None:
    one, m = network(1, seed), magnitudes(6, seed=seed)
    repeated = {name: np.repeat(getattr(one, name), 3000, axis=0) for name in ("atoms", "steps", "thresholds")}
    net = dataclasses.replace(one, **repeated, transition=np.eye(R_S + R_N))
    *_, last = net.layer_activations(m)
    slope = one.atoms[0].T @ (one.atoms[0] @ last - m) + SPARSITY  # of ½‖m − W h‖² + μ‖h‖₁
    assert np.abs(slope[last > 0]).max() < 1e-6  # the conditions of Karush, Kuhn and Tucker
    assert slope[last == 0].min(initial=0) > -1e-6
    assert (last >= 0).all()


def test_a_warm_start_is_nearer_to_the_solution_of_a_steady_sound_than_a_cold_one() -> None:
    warm, m = dataclasses.replace(network(2), transition=np.eye(R_S + R_N)), np.repeat(magnitudes(1), 40, axis=1)
    tied = {name: np.repeat(getattr(warm, name)[:1], 2, axis=0) for name in ("atoms", "steps", "thresholds")}
    warm = dataclasses.replace(warm, **tied)
    cold = dataclasses.replace(warm, transition=np.zeros((R_S + R_N, R_S + R_N)))
    objective = []
    for net in (warm, cold):
        *_, h = net.layer_activations(m)
        objective.append(0.5 * np.square(m - net.atoms[0] @ h).sum(axis=0) + SPARSITY * h.sum(axis=0))
    assert objective[0][0] == pytest.approx(objective[1][0])
    assert (np.diff(objective[0]) <= 1e-9).all()
    assert objective[0][-1] < objective[1][-1]


@pytest.mark.parametrize("layers", [1, 4])
def test_inference_is_the_forward_pass_of_training(layers: int) -> None:
    net, m = network(layers), magnitudes(30)
    batch = DRNMFModule(net, logarithmic=False)(torch.tensor(np.stack([m, m[:, ::-1].copy()])))
    for mask, of in zip(batch.detach().numpy(), (m, m[:, ::-1]), strict=True):
        np.testing.assert_allclose(net.mask(of), mask, atol=1e-10)


def test_the_gradient_through_layers_and_frames_is_that_of_finite_differences() -> None:
    net, m = network(2), torch.tensor(magnitudes(9)[None])
    module = DRNMFModule(net, logarithmic=True)
    weights = list(module.weights.nonnegative)
    rng, directions = np.random.default_rng(0), []
    module(m).square().sum().backward()
    for W in weights:
        directions.append(torch.tensor(rng.normal(size=tuple(W.shape))))
    expected = sum(float((W.grad * d).sum()) for W, d in zip(weights, directions, strict=True))  # type: ignore[operator]
    errors, size = [], 1e-6
    for sign in (1, -1):
        with torch.no_grad():
            for W, d in zip(weights, directions, strict=True):
                W += sign * size * d
            errors.append(float(module(m).square().sum()))
            for W, d in zip(weights, directions, strict=True):
                W -= sign * size * d
    assert (errors[0] - errors[1]) / (2 * size) == pytest.approx(expected, rel=1e-5)
    assert all(float(W.grad.abs().max()) > 0 for W in weights)  # type: ignore[union-attr]


def toy_training(layers: int, **train: Any) -> tuple[TrainingStep, MixedExample]:
    """Return a training, and a batch whose speech and noise have every second bin for themselves."""
    features = {"stft": {"rate_hz": 1000, "window_ms": 10.0, "hop_ms": 4.0, "fft_size": 32}}
    config = configuration({"features": features, "network": {"kind": "dr-nmf", "layers": layers}, "train": train})
    rng = np.random.default_rng(0)
    turns = np.exp(2j * np.pi * rng.random((2, 3, F, 40)))
    speech, noise = (rng.exponential(1, (2, 3, F, 40)) * turns).astype(np.complex64)
    speech[:, ::2], noise[:, 1::2] = 0, 0
    return TrainingStep(untrained("dr-nmf", layers=layers), config, updates=10**5), MixedExample(speech + noise, speech)


def trained_by(step: TrainingStep) -> DRNMF:
    net = step.to_numpy()
    assert isinstance(net, DRNMF)
    return net


def assert_canonical(net: DRNMF) -> None:
    assert all((W >= 0).all() and np.isfinite(W).all() for W in net.arrays().values())
    np.testing.assert_allclose(np.linalg.norm(net.atoms, axis=1), 1, rtol=1e-5)
    assert np.linalg.norm(net.output, axis=0).max() == pytest.approx(1, rel=1e-5)
    assert (net.steps * np.linalg.norm(net.atoms, 2, axis=(1, 2)) ** 2 < 2 + 1e-4).all()
    assert net.transition.sum(axis=1).max() < LARGEST_ACTIVATION * (1 + 1e-5)
    assert net.gain < 1 + 1e-5


@pytest.mark.parametrize("optimiser", ["adam", "multiplicative"])
def test_training_lowers_the_error_and_estimates_as_its_network_does(optimiser: str) -> None:
    step, batch = toy_training(2, optimiser=optimiser)
    errors = [step.step([batch])[0] for _ in range(100)]
    assert errors[-1] < 0.8 * errors[0]
    net, mixture = trained_by(step), batch.mixture[0]
    assert_canonical(net)
    np.testing.assert_allclose(step.estimate(mixture), net.mask(np.abs(mixture)) * mixture, atol=1e-3)


@pytest.mark.parametrize(
    ("layers", "train"),
    [
        (2, {"optimiser": "multiplicative", "eta": 0.2}),  # without the canonical form, not finite after 197 updates
        (2, {"optimiser": "multiplicative", "eta": 0.2, "gradient_decay": 0.0}),
        (4, {"optimiser": "multiplicative", "eta": 1.0}),
        (2, {"optimiser": "adam", "dictionary_learning_rate": 1.0}),
    ],
)
def test_weights_stay_canonical_over_a_long_training_whatever_its_rate(layers: int, train: dict[str, Any]) -> None:
    step, batch = toy_training(layers, **train)
    for _ in range(250):
        step.step([batch])
    assert_canonical(trained_by(step))


@pytest.mark.parametrize("optimiser", ["adam", "multiplicative"])
def test_a_restored_training_goes_on_to_the_same_weights(optimiser: str) -> None:
    whole, batch = toy_training(2, optimiser=optimiser)
    for _ in range(20):
        whole.step([batch])
    restored, _ = toy_training(2, optimiser=optimiser)
    restored.load_state_dict(whole.state_dict())
    for step in (whole, restored):
        for _ in range(20):
            step.step([batch])
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(restored.state_dict()[name], value)


@pytest.mark.parametrize("optimiser", ["adam", "multiplicative"])
def test_activations_of_a_recording_much_longer_than_the_segments_stay_bounded(optimiser: str) -> None:
    step, batch = toy_training(2, optimiser=optimiser)
    for _ in range(150):
        step.step([batch])
    m = np.tile(np.abs(batch.mixture[0]), (1, 100))
    *_, h = trained_by(step).layer_activations(m)
    segment, rest = h[:, :40], h[:, 40:]
    assert rest.max() < 2 * segment.max()
    assert h.max() <= LARGEST_ACTIVATION * np.linalg.norm(m, axis=0).max()


@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([1e-3, 0.1, 0.3, 1e6]))
@at_rate(50)
def test_no_activation_of_any_canonical_network_grows_with_the_frames(seed: int, layers: int, step: float) -> None:
    rng, R = np.random.default_rng(seed), R_S + R_N
    W, A = rng.random((layers, F, R)) ** rng.uniform(0, 20), 100 * rng.random((R, R)) ** rng.uniform(0, 20)
    net = DRNMF(W, np.full(layers, step), 1e-3 * rng.random((layers, R)), A, rng.random((F, R)), R_S).canonical()
    assert_canonical(net)
    m = magnitudes(1000, seed=seed)
    *_, h = net.layer_activations(m)
    assert h.max() <= LARGEST_ACTIVATION * np.linalg.norm(m, axis=0).max()


@pytest.mark.parametrize("layers", [1, 4])
def test_the_untrained_network_is_canonical_so_that_it_stays_sparse_coding_with_a_warm_start(layers: int) -> None:
    net = untrained("dr-nmf", layers=layers)
    assert isinstance(net, DRNMF)
    for name, W in net.canonical().arrays().items():
        np.testing.assert_allclose(W, getattr(net, name), rtol=1e-6)
    np.testing.assert_allclose(net.steps * np.linalg.norm(net.atoms, 2, axis=(1, 2)) ** 2, 1, rtol=1e-5)
    np.testing.assert_allclose(net.output, net.atoms[0], rtol=1e-5)


def test_the_canonical_form_changes_the_mask_of_no_network_within_its_bounds() -> None:
    net, m = network(), magnitudes(30)
    scaled = dataclasses.replace(net, output=1e3 * net.output)
    np.testing.assert_allclose(scaled.canonical().mask(m), scaled.mask(m), atol=1e-6)
    for name, W in net.canonical().arrays().items():
        np.testing.assert_allclose(W, getattr(net, name), rtol=1e-12)


@given(st.lists(st.integers(0, 17), max_size=12))
@at_rate(25)
def test_blocks_of_any_size_give_the_mask_of_the_whole(sizes: list[int]) -> None:
    net, m = network(dtype=np.float32), magnitudes(sum(sizes) + 3, np.float32)
    estimator = net.estimator()
    edges = [0, *np.cumsum(sizes).tolist(), m.shape[1]]
    parts = [estimator.push(m[:, a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), net.mask(m), atol=1e-5)


def test_the_past_matters_and_the_future_does_not() -> None:
    net, m, other = network(), magnitudes(40), magnitudes(40, seed=1)
    future, past = m.copy(), m.copy()
    future[:, 20:], past[:, :10] = other[:, 20:], other[:, :10]
    mask = net.mask(m)
    np.testing.assert_allclose(net.mask(future)[:, :20], mask[:, :20], atol=1e-12)
    assert np.abs(net.mask(past)[:, 10] - mask[:, 10]).max() > 1e-4


@pytest.mark.parametrize("value", [0.0, 1e-42, 1e-30, 1.0, 1e6])
def test_masks_of_any_input_are_between_zero_and_one(value: float) -> None:
    mask = network(dtype=np.float32).mask(np.full((F, 50), value, np.float32))
    assert mask.dtype == np.float32
    assert ((mask >= 0) & (mask <= 1)).all()


def test_a_model_file_gives_the_network_back_and_names_it(tmp_path: Path) -> None:
    net = network(dtype=np.float32)
    save_model(tmp_path / "a.safetensors", Model(net, FEATURES, {"seed": 0}))
    loaded = load_model(tmp_path / "a.safetensors")
    m = magnitudes(9, np.float32)
    np.testing.assert_array_equal(loaded.estimator().push(m), net.mask(m))
    assert "Wisdom" in loaded.title()
    assert "dr-nmf" in KINDS
    assert net.parameters == sum(W.size for W in net.arrays().values())


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("at_bound", [False, True])
def test_a_canonical_model_is_loaded_as_it_is_or_to_rounding(tmp_path: Path, half: bool, at_bound: bool) -> None:
    net = network(dtype=np.float32)
    if at_bound:
        steps = np.full_like(net.steps, 1e-4)
        net = dataclasses.replace(net, steps=steps, transition=50 * net.transition).canonical()
    save_model(tmp_path / "a.safetensors", Model(net, FEATURES), half)
    loaded = load_model(tmp_path / "a.safetensors").network
    m = magnitudes(200, np.float32)
    np.testing.assert_allclose(loaded.mask(m), net.mask(m), atol=5e-3 if half else 1e-6)


@pytest.mark.parametrize("change", ["transition", "transition of one atom", "atoms"])
def test_a_model_whose_activations_can_grow_is_to_be_trained_again(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, R = network(dtype=np.float32), R_S + R_N
    rows = np.where(np.arange(R) == (2 if "one" in change else np.arange(R)), 20, 1)[:, None]
    net = dataclasses.replace(net, transition=net.transition * rows.astype(np.float32))
    if change == "atoms":
        net = dataclasses.replace(net.canonical(), atoms=0.3 * net.atoms)
    with pytest.raises(DeepnmfError, match="grow"):
        save_model(tmp_path / "a.safetensors", Model(net, FEATURES))
    with monkeypatch.context() as earlier:
        earlier.setattr(DRNMF, "checked", lambda self: self)
        save_model(tmp_path / "a.safetensors", Model(net, FEATURES))
    with pytest.raises(DeepnmfError, match=r"a\.safetensors: .*0\.4.*train it again"):
        load_model(tmp_path / "a.safetensors")


def test_one_step_of_an_exported_graph_is_one_frame() -> None:
    from deepnmf.export.steps import mask_step

    net, m = network(dtype=np.float32), magnitudes(8, np.float32)
    step = mask_step(net)
    states = [torch.zeros(shape) for shape in step.states.values()]
    masks = []
    for t in range(8):
        mask, *states = step(torch.tensor(m[:, t]), *states)
        masks.append(mask.numpy())
    np.testing.assert_allclose(np.stack(masks, axis=1), net.mask(m), atol=1e-5)
