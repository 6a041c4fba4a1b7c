"""The training of inputs for profiles: the torch module is the network, and a stopped run goes on."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.data.prepare import prepare
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.unfolded.profile_input import PROFILE_KINDS
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from helpers import ROOT
from helpers.enhance_models import recurrent_model
from helpers.signals import TinyCorpus

FOLDER = ROOT / "recipes" / "profiles"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("mixtures", "modules", "train"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def magnitudes(frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((257, frames)).astype(np.float32)


@pytest.mark.parametrize("fusion", [0, 5])
def test_the_module_is_the_network_and_starts_without_effect(fusion: int) -> None:
    torch = pytest.importorskip("torch")
    import modules

    rng, start = np.random.default_rng(0), recurrent_model(fusion=fusion).network
    network: Any = modules.with_inputs(start, rng)
    m, profile = magnitudes(20, 0), magnitudes(30, 1)
    for kind in PROFILE_KINDS:
        np.testing.assert_array_equal(network.with_profiles({kind: profile}).mask(m), start.mask(m))
    arrays = {name: W + np.float32(0.1) * rng.standard_normal(W.shape).astype(np.float32) * ("profile" in name)
              for name, W in network.arrays().items()}  # fmt: skip
    network = RecurrentDeepNMF.from_arrays(arrays, network.hyperparameters())
    module = modules.ConditionedModule(network, torch.float32)
    for kind in PROFILE_KINDS:
        given = {name: torch.tensor([float(name == kind)]) for name in PROFILE_KINDS}
        masks = module(torch.tensor(m)[None], torch.tensor(profile)[None], given).detach().numpy()[0]
        expected = network.with_profiles({kind: profile}).mask(m)
        np.testing.assert_allclose(masks, expected, atol=1e-5)
        assert np.abs(expected - network.mask(m)).max() > 1e-4


@pytest.mark.slow
def test_a_stopped_run_goes_on(tiny_corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    import train

    prepare(tmp_path, tiny_corpus.speech, tiny_corpus.noise)
    model = recurrent_model()
    config = {"network": {"kind": "recurrent-deep-nmf"}}
    save_model(tmp_path / "m.safetensors", dataclasses.replace(model, metadata={"config": config}))

    options = ["--start", str(tmp_path / "m.safetensors"), "--every", "1", "--precision", "float32", "--updates", "2"]

    def trained(name: str) -> Model:
        monkeypatch.setattr(sys, "argv", ["train.py", str(tmp_path), "-o", str(tmp_path / name), *options])
        train.main()
        return load_model(tmp_path / name / train.MODEL)

    class StoppedError(Exception):
        pass

    def stop(run: Any, update: int, step: Any = train.Run.step) -> None:
        if update:
            raise StoppedError
        step(run, update)

    at_once = trained("a")
    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "step", stop)
        with pytest.raises(StoppedError):
            trained("b")
    stopped = trained("b")
    assert at_once.network.profile_inputs() == set(PROFILE_KINDS)
    for name, array in at_once.network.arrays().items():
        np.testing.assert_allclose(stopped.network.arrays()[name], array, atol=1e-6)
