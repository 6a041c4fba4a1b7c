"""Calibrated dictionaries: the same masks, and W h has the mean spectrum of the mixtures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from deepnmf.networks.kinds import KINDS
from deepnmf.networks.settings import DeepNMFConfig
from deepnmf.networks.unfolded.deep_nmf import DeepNMF, starting_activations
from helpers.networks import deep_nmf, untrained, with_weights

F, T, FRAMES = 6, 2, 40


def trained(trained_layers: int, tied: bool = False, beta: float = 1.0, spread: float = 2.0) -> DeepNMF:
    """Return a network as training leaves it: with scales of bins and atoms of many magnitudes."""
    rng = np.random.default_rng(0)
    plain = deep_nmf(*rng.random((2, F * T, 3)), F, 0.1, beta, layers=3, trained_layers=trained_layers, tied=tied)
    arrays = {name: np.asarray(W) for name, W in plain.arrays().items()}
    for name in plain.trained_arrays(DeepNMFConfig(layers=3, trained_layers=trained_layers, tied=tied)):
        rows, atoms = arrays[name].shape
        arrays[name] = arrays[name] * 10 ** rng.uniform(-spread, spread, (rows, 1)) * 10 ** rng.uniform(0, 1, atoms)
    *dictionaries, output = (W for name, W in arrays.items() if name.startswith(("dictionary", "output")))
    return with_weights(plain, dictionaries, output)


def mixtures() -> np.ndarray:
    return np.random.default_rng(1).exponential(1, (F * T, FRAMES)) * np.linspace(0.2, 2, F * T)[:, None]


def models(network: DeepNMF, m: np.ndarray) -> Iterator[np.ndarray]:
    """Yield W h of each layer and of the output."""
    h = np.asarray(starting_activations(network))
    for k, index in enumerate(network.layers):
        yield np.asarray(network.dictionaries[index]) @ h
        h = np.asarray(network.layer(m, h, k))
    yield np.asarray(network.output) @ h


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layers", [0, 1, 2, 4])
def test_masks_stay_and_the_mean_of_the_model_is_that_of_the_mixtures(layers: int, tied: bool, beta: float) -> None:
    net, m = trained(layers, tied, beta), mixtures()
    names = net.trained_arrays(DeepNMFConfig(layers=3, trained_layers=layers, tied=tied))
    calibrated = net.calibrated(lambda: m, names)
    np.testing.assert_allclose(calibrated.mask(m), net.mask(m), atol=1e-3 if beta > 1 else 1e-4)  # the guard
    canonical = net.canonical() if names else net
    for name, W in canonical.arrays().items():
        if name not in (*names, "gains", "sparsities"):
            np.testing.assert_array_equal(calibrated.arrays()[name], W)
    *layer_models, output = models(calibrated, m)
    means = [model.mean(axis=1) for model in layer_models]
    if layers:
        np.testing.assert_allclose(np.linalg.norm(calibrated.output, axis=0), 1, rtol=1e-9)
        np.testing.assert_allclose(output.mean(axis=1), m[-F:].mean(axis=1), rtol=1e-3)
    if beta == 1 and layers > 1:
        np.testing.assert_allclose(means[-1], m.mean(axis=1), rtol=1e-3)
    if beta == 1 and layers == 4 and not tied:
        np.testing.assert_allclose(means, [m.mean(axis=1)] * 3, rtol=1e-3)


def test_bins_without_sound_keep_their_scale() -> None:
    net, m = trained(4), mixtures()
    m[2], m[F + 3] = 0, 0
    arrays = net.calibrated(lambda: m, net.trained_arrays(DeepNMFConfig(layers=3))).arrays()
    assert all(np.isfinite(np.asarray(W)).all() for W in arrays.values())
    nothing = net.calibrated(lambda: m[:, :0], net.trained_arrays(DeepNMFConfig(layers=3)))
    np.testing.assert_allclose(nothing.mask(mixtures()), net.mask(mixtures()), atol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "deep-nmf"])
def test_kinds_without_arbitrary_scales_stay_as_they_are(kind: str) -> None:
    network = untrained(kind)
    assert network.calibrated(lambda: pytest.fail("drawn for nothing"), ["output"]) is network
