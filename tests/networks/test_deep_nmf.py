"""The deep NMF network: it is K multiplicative updates and a Wiener filter, in NumPy and torch alike."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from deepnmf.config import StftSpec
from deepnmf.dsp.arrays import epsilon
from deepnmf.dsp.level import LevelTracker
from deepnmf.dsp.stft import istft, stack_context, stft
from deepnmf.errors import DeepnmfError
from deepnmf.networks.unfolded.deep_nmf import DeepNMF, trained_dictionaries
from deepnmf.nmf.sparse_nmf import normalised_atoms
from deepnmf.nmf.updates import source_models, update_activations, wiener_mask
from helpers.networks import deep_nmf, with_weights

BETAS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
F, T, R_S, R_N = 6, 2, 3, 2


def network(
    layers: int = 3, trained: int = 4, tied: bool = False, beta: float = 1.0, dtype: type = np.float64
) -> DeepNMF:
    """Return a network whose distinct dictionaries really differ."""
    rng = np.random.default_rng(0)
    speech, noise = (normalised_atoms(rng.random((F * T, atoms))) for atoms in (R_S, R_N))
    plain = deep_nmf(speech, noise, F, 0.1, beta, layers=layers, trained_layers=trained, tied=tied)
    dictionaries = tuple(W * rng.uniform(0.5, 1.5, W.shape) for W in plain.dictionaries)
    output = plain.output * rng.uniform(0.5, 1.5, plain.output.shape)
    return with_weights(plain, tuple(W.astype(dtype) for W in dictionaries), output.astype(dtype))


def mixtures(frames: int = 9, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(1).random((F * T, frames)).astype(dtype)


def mask_by_hand(net: DeepNMF, m: np.ndarray) -> np.ndarray:
    """Follow docs/model.md §3 and the reconstruction of §1 for β = 1, entry by entry, without guards."""
    frames, atoms = m.shape[1], net.output.shape[1]
    h = np.full((atoms, frames), 1 / atoms)
    for index in net.layers:
        W, new = net.dictionaries[index], np.empty_like(h)
        for t in range(frames):
            model = [sum(W[i, r] * h[r, t] for r in range(atoms)) for i in range(len(m))]
            for r in range(atoms):
                n = sum(W[i, r] * m[i, t] / model[i] for i in range(len(m)))
                new[r, t] = h[r, t] * n / (sum(W[:, r]) + net.sparsity)
        h = new
    mask = np.empty((F, frames))
    for i, t in itertools.product(range(F), range(frames)):
        a = sum(net.output[i, r] * h[r, t] for r in range(net.speech_atoms))
        b = sum(net.output[i, r] * h[r, t] for r in range(net.speech_atoms, atoms))
        mask[i, t] = a / (a + b)
    return mask


@pytest.mark.parametrize("layers", [1, 4])
def test_the_mask_is_the_one_written_down(layers: int) -> None:
    net, m = network(layers, layers + 1), mixtures()
    assert np.allclose(net.mask(m), mask_by_hand(net, m), atol=1e-6)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("tied", [False, True])
def test_numpy_and_torch_agree(beta: float, tied: bool) -> None:
    net, m = network(beta=beta, tied=tied), mixtures()
    same = with_weights(net, tuple(torch.tensor(W) for W in net.dictionaries), torch.tensor(net.output))
    assert np.allclose(net.mask(m), same.mask(torch.tensor(m)).numpy(), rtol=1e-10)


@pytest.mark.parametrize("beta", BETAS)
def test_with_nothing_trained_it_is_sparse_nmf(beta: float) -> None:
    net, m = network(4, 0, beta=beta), mixtures()
    h = np.full((R_S + R_N, 9), 1 / (R_S + R_N))
    for _ in range(4):
        h = update_activations(m, net.dictionaries[0], h, net.sparsity, beta)
    np.testing.assert_allclose(net.activations(m), h, rtol=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_speech_and_noise_add_up_to_the_mixture(beta: float) -> None:
    net, m = network(beta=beta), mixtures()
    mask, m_o = net.mask(m), m[-F:]
    a, b = source_models(net.output, net.activations(m), R_S)
    assert (mask >= 0).all()
    assert (mask <= 1).all()
    assert np.allclose(mask * m_o + b / (a + b) * m_o, m_o, atol=1e-5)


def test_exchanging_the_sources_exchanges_the_masks() -> None:
    net, m = network(), mixtures()
    order = [*range(R_S, R_S + R_N), *range(R_S)]
    swapped = DeepNMF(
        tuple(W[:, order] for W in net.dictionaries),
        net.layers,
        net.output[:, order],
        R_N,
        net.sparsity,
        net.beta,
        net.gains[:, order],
        net.sparsities[:, order],
    )
    assert np.allclose(net.mask(m) + swapped.mask(m), 1, atol=1e-5)


def test_frames_do_not_see_each_other() -> None:
    net, m = network(), mixtures()
    assert np.allclose(net.mask(m)[:, 3:5], net.mask(m[:, 3:5]), rtol=1e-12)


@pytest.mark.parametrize(
    ("trained", "tied", "layers", "changed"),
    [
        (0, False, (0, 0, 0, 0), []),
        (1, False, (0, 0, 0, 0), []),
        (2, False, (0, 0, 0, 1), [1]),
        (4, False, (0, 1, 2, 3), [1, 2, 3]),
        (5, False, (0, 1, 2, 3), [0, 1, 2, 3]),
        (1, True, (0, 0, 0, 0), []),
        (3, True, (0, 0, 1, 1), [1]),
        (5, True, (0, 0, 0, 0), [0]),
    ],
)
def test_which_layers_share_and_which_are_trained(
    trained: int, tied: bool, layers: tuple[int, ...], changed: list[int]
) -> None:
    net = network(4, trained, tied)
    assert net.layers == layers
    assert trained_dictionaries(net, trained) == changed
    assert net.parameters == (len(set(layers)) * T + 1) * F * (R_S + R_N)


def test_every_layer_starts_as_the_pretrained_dictionary() -> None:
    rng = np.random.default_rng(0)
    speech, noise = rng.random((F * T, 2)), rng.random((F * T, 3))
    net = deep_nmf(speech, noise, F, 0.1, 1.0, layers=3, trained_layers=4)
    assert all(np.array_equal(W, np.concatenate([speech, noise], axis=1)) for W in net.dictionaries)
    assert np.array_equal(net.output, net.dictionaries[0][-F:])  # the current frame is the last
    assert net.speech_atoms == 2


@pytest.mark.parametrize(("layers", "trained"), [(0, 0), (3, -1), (3, 5)])
def test_an_impossible_depth_is_refused(layers: int, trained: int) -> None:
    with pytest.raises(DeepnmfError, match="network"):
        network(layers, trained)


def test_operations_of_a_frame() -> None:
    size = F * T * (R_S + R_N)
    assert network(4, 5).multiplications_per_frame == 4 * 2 * size + size // T
    assert network(4, 5, beta=2.0).multiplications_per_frame == 4 * 3 * size + size // T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype: type) -> None:
    assert network(dtype=dtype).mask(mixtures(dtype=dtype)).dtype == dtype


def drifted(dtype: type = np.float64, **settings: Any) -> DeepNMF:
    """Return a network whose atoms have norms from 1e-6 to 1e6 and one atom of zeros in each dictionary."""
    net, rng = network(dtype=dtype, **settings), np.random.default_rng(2)
    scaled = [(W * 10 ** rng.uniform(-6, 6, R_S + R_N)).astype(dtype) for W in (*net.dictionaries, net.output)]
    for W in scaled:
        W[:, 1] = 0
    return with_weights(net, scaled[:-1], scaled[-1])


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("tied", [False, True])
def test_the_canonical_form_has_unit_atoms_and_the_same_masks(beta: float, tied: bool) -> None:
    net, m = drifted(layers=4, trained=5, beta=beta, tied=tied), mixtures()
    canonical = net.canonical()
    for W in (*canonical.dictionaries, canonical.output):
        norms = np.linalg.norm(W, axis=0)
        np.testing.assert_allclose(np.delete(norms, 1), 1, rtol=1e-12)
        assert norms[1] == 0
    np.testing.assert_allclose(canonical.mask(m), net.mask(m), atol=1e-3 if beta > 1 else 1e-6)  # the guard differs
    np.testing.assert_allclose(canonical.canonical().mask(m), canonical.mask(m), rtol=1e-9)
    assert canonical.parameters == net.parameters


def test_the_canonical_form_is_exact_without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("updates", "sparse_nmf"):
        monkeypatch.setattr(f"deepnmf.nmf.{module}.epsilon", lambda *_: 0.0)
    net, m = network(4, 5), mixtures()
    scales = 10 ** np.random.default_rng(0).uniform(-6, 6, (5, R_S + R_N))
    scaled = with_weights(net, [W * c for W, c in zip(net.dictionaries, scales, strict=False)], net.output * scales[4])
    np.testing.assert_allclose(scaled.canonical().mask(m), scaled.mask(m), rtol=1e-13)


def test_the_canonical_form_of_single_precision_has_no_denormal_numbers() -> None:
    net = drifted(np.float32)
    net.output[0, 0] = np.finfo(np.float32).tiny / 8
    canonical = net.canonical()
    for W in canonical.arrays().values():
        assert W.dtype == np.float32
        assert not ((W > 0) & (np.finfo(np.float32).tiny > W)).any()
    assert np.abs(canonical.mask(mixtures(dtype=np.float32)) - net.mask(mixtures(dtype=np.float32))).max() < 1e-3


def test_the_description_has_the_sparsity_that_acts() -> None:
    net = network(4, 5)
    scaled = with_weights(net, [1000 * W for W in net.dictionaries], net.output)
    described = [dict(one.describe())["inference"] for one in (net, scaled, scaled.canonical())]
    assert described[1] == described[2]
    assert described[0] != described[1]
    assert "e-05" in described[1]


def test_sparse_nmf_is_canonical_already() -> None:
    rng = np.random.default_rng(0)
    W = normalised_atoms(rng.random((F, 5))).astype(np.float32)
    net = deep_nmf(W[:, :3], W[:, 3:], F, layers=3, trained_layers=0)
    for name, array in net.canonical().arrays().items():
        np.testing.assert_array_equal(array, net.arrays()[name])


def test_what_layers_activate_does_not_depend_on_the_form() -> None:
    net = drifted()
    for raw, canonical in zip(
        net.layer_activations(mixtures()[:F]), net.canonical().layer_activations(mixtures()[:F]), strict=True
    ):
        masks = [wiener_mask(one.output, h, R_S) for one, h in ((net, raw), (net.canonical(), canonical))]
        np.testing.assert_allclose(*masks, atol=1e-6)


SIGNALS = {
    "silence": np.zeros(3000),
    "one click": np.eye(1, 3000, 1500)[0],
    "denormals": np.full(3000, 1e-42),
    "1e-30": np.full(3000, 1e-30),
    "DC": np.ones(3000),
    "square wave": np.sign(np.sin(np.arange(3000) / 20) + 1e-9),
    "loud after silence": np.concatenate([np.zeros(1500), np.ones(1500)]),
    "loud, then nearly nothing": np.concatenate([np.ones(1500), np.full(1500, 1e-20)]),
}


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", SIGNALS)
def test_any_signal_gives_a_finite_output(name: str, beta: float) -> None:
    samples = SIGNALS[name][None].astype(np.float32)
    spec = StftSpec(rate_hz=1000, window_ms=10.0, hop_ms=4.0, fft_size=10)
    spectrum = stft(samples, spec)
    magnitudes = np.abs(spectrum[0])
    m = stack_context(magnitudes / LevelTracker(3.0, 0.01).push(magnitudes), T)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        mask = network(25, 26, beta=beta, dtype=np.float32).mask(m)
    assert spec.bins == F
    assert (mask >= 0).all()
    assert (mask <= 1).all()
    assert np.isfinite(istft(spectrum * mask, spec, 3000)).all()


def test_the_guard_hardly_changes_the_mask_at_working_level() -> None:
    m = mixtures()
    exact, single = network().mask(m), network(dtype=np.float32).mask(m.astype(np.float32))
    assert np.abs(exact - single).max() < 10 * epsilon(single)
