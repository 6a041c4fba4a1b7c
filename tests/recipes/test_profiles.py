"""Training with profiles: the torch module is the network, a stopped run goes on, workers change nothing."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf.audio import files as audio
from deepnmf.config import StftSpec
from deepnmf.data.prepare import prepare
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.unfolded.multi_frame import MultiFrameFilter
from deepnmf.networks.unfolded.profile_input import PROFILE_KINDS
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from helpers import ROOT
from helpers.enhance_models import recurrent_model
from helpers.signals import TinyCorpus

FOLDER = ROOT / "recipes" / "profiles"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("mixtures", "modules", "learner", "embed", "train", "attach", "bounds"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def magnitudes(frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((257, frames)).astype(np.float32)


@pytest.mark.parametrize("fusion", [0, 5])
@pytest.mark.parametrize("kinds", [(), ("noise",), ("voice",), PROFILE_KINDS])
def test_the_module_is_the_network_and_starts_without_effect(fusion: int, kinds: tuple[str, ...]) -> None:
    torch = pytest.importorskip("torch")
    import modules

    from deepnmf.training.modules import log_bands

    rng, start = np.random.default_rng(0), recurrent_model(fusion=fusion).network
    network: Any = modules.with_inputs(start, rng)
    m, profile = magnitudes(20, 0), magnitudes(30, 1)
    profiles = dict.fromkeys(kinds, profile)
    np.testing.assert_allclose(network.with_profiles(profiles).mask(m), start.mask(m), atol=1e-6)
    arrays = {name: W + np.float32(0.1) * rng.standard_normal(W.shape).astype(np.float32) * ("profile" in name)
              for name, W in network.arrays().items()}  # fmt: skip
    network = RecurrentDeepNMF.from_arrays(arrays, network.hyperparameters())
    module = modules.ConditionedModule(network, torch.float32)
    given = {name: torch.tensor([float(name in kinds)]) for name in PROFILE_KINDS}
    bands = log_bands(torch.tensor(profile)[None], module.base.prior.pooling).transpose(0, 1)
    spectra = torch.tensor(m, dtype=torch.complex64)[None]
    masks = (module.estimate(spectra, bands, given, StftSpec()) / spectra).detach().numpy()[0]
    expected = network.with_profiles(profiles).mask(m)
    np.testing.assert_allclose(masks, expected, atol=1e-5)
    assert not kinds or np.abs(expected - network.mask(m)).max() > 1e-3


def filtered(model: Model) -> Any:
    """Return a model with a filter of random weights."""
    network: Any = model.network
    rng, subband_units = np.random.default_rng(0), network.prior.subband[0].units
    added = MultiFrameFilter.start(2, 4, subband_units, model.features.stft, rng)
    added = dataclasses.replace(added, output=0.1 * rng.standard_normal(added.output.shape).astype(np.float32))
    return dataclasses.replace(model, network=dataclasses.replace(network, multi_frame=added))


@pytest.fixture(scope="module")
def experiment(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus and a model to start from, ``m.safetensors``."""
    folder = tmp_path_factory.mktemp("profiles")
    prepare(folder, tiny_corpus.speech, tiny_corpus.noise)
    model = dataclasses.replace(recurrent_model(), metadata={"config": {"network": {"kind": "recurrent-deep-nmf"}}})
    save_model(folder / "m.safetensors", model)
    return folder


def trained(experiment: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Model:
    import train

    options = ["--start", str(experiment / "m.safetensors"), "--precision", "float32", "--segments", "3", *more]
    monkeypatch.setattr(sys, "argv", ["train.py", str(experiment), "-o", str(output), *options])
    train.main()
    return load_model(output / train.MODEL)


def assert_equal(model: Model, other: Model) -> None:
    arrays = other.network.arrays()
    for name, array in model.network.arrays().items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-6)


@pytest.mark.slow
def test_a_run_that_stopped_goes_on_and_workers_change_nothing(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    import train

    class StoppedError(Exception):
        pass

    def stop(run: Any) -> Any:
        batches = iter(range(2))
        step = run.learner.step

        def counted(batch: Any, share: float) -> None:
            if next(batches) == 1:
                raise StoppedError
            step(batch, share)
            run.keep()

        monkeypatch.setattr(run.learner, "step", counted)
        return lines(run)

    lines = train.Run.lines
    at_once = trained(experiment, tmp_path / "a", monkeypatch, "--updates", "2")
    assert at_once.network.profile_inputs() == set(PROFILE_KINDS)
    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "lines", stop)
        with pytest.raises(StoppedError):
            trained(experiment, tmp_path / "b", monkeypatch, "--updates", "2")
    assert_equal(trained(experiment, tmp_path / "b", monkeypatch, "--updates", "2"), at_once)
    assert_equal(trained(experiment, tmp_path / "c", monkeypatch, "--updates", "2", "--workers", "2"), at_once)


@pytest.mark.slow
def test_a_run_of_limited_time_ends_with_a_model(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    model = trained(experiment, tmp_path, monkeypatch, "--seconds", "1", "--workers", "1")
    assert model.network.profile_inputs() == set(PROFILE_KINDS)
    assert int(capsys.readouterr().out.splitlines()[-1].split()[0]) > 0


def test_segments_of_each_kind(experiment: Path) -> None:
    pytest.importorskip("torch")
    from mixtures import KINDS, NONE, PROFILE_FRAMES, ProfileMixtures

    prior: Any = load_model(experiment / "m.safetensors").network
    mixtures = ProfileMixtures(experiment / "manifest.jsonl", prior.prior.pooling)
    found = [mixtures.segment(np.random.default_rng(seed)) for seed in range(40)]
    assert {segment.kind for segment in found} == set(KINDS)
    for segment in found:
        mixture, voice = segment.spectra
        m, speech, noise = np.abs(np.stack([mixture, voice, mixture - voice]))
        assert segment.profile.shape == (PROFILE_FRAMES, len(prior.prior.pooling))
        assert segment.profile.any() == (segment.kind != NONE)
        assert (m <= speech + noise + 1e-4 * m.max()).all()


def test_bounds_of_what_a_profile_gives(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("fast_bss_eval")
    import bounds

    rng = np.random.default_rng(0)
    for name, seconds in (("noise/dev/hiss/a.flac", 7), ("speech/dev/anna/a.flac", 1)):
        (tmp_path / name).parent.mkdir(parents=True)
        audio.write(tmp_path / name, 0.1 * rng.standard_normal((1, seconds * 16000)).astype(np.float32), 16000)
    options = ["--model", str(experiment / "m.safetensors"), "--updates", "1", "--rate", "0"]
    monkeypatch.setattr(sys, "argv", ["bounds.py", str(experiment), str(tmp_path), *options])
    bounds.main()
    *_, noise, mean = capsys.readouterr().out.splitlines()
    cells = noise.strip("| ").split(" | ")
    assert cells[0] == "hiss"
    assert mean.strip("| ").split(" | ")[1:] == cells[1:]
    assert all(abs(float(cell)) < 0.1 for cell in cells[2:4])  # steps of zero


def test_an_attached_input_changes_nothing_without_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import attach
    from modules import with_inputs

    start = filtered(recurrent_model(fusion=5))
    other = dataclasses.replace(start, network=with_inputs(start.network, np.random.default_rng(0)))
    for name, model in (("start", start), ("other", other)):
        save_model(tmp_path / f"{name}.safetensors", model)
    paths = [str(tmp_path / f"{name}.safetensors") for name in ("start", "other", "both")]
    monkeypatch.setattr(sys, "argv", ["attach.py", *paths[:2], "-o", paths[2]])
    attach.main()
    attached = load_model(paths[2]).network
    assert attached.profile_inputs() == {"noise"}
    np.testing.assert_allclose(attached.mask(magnitudes(20, 0)), start.network.mask(magnitudes(20, 0)), atol=2e-3)
    assert attached.multi_frame is not None
    for name, array in start.network.multi_frame.arrays().items():
        np.testing.assert_allclose(attached.multi_frame.arrays()[name], array, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_a_filter_is_part_of_the_output_and_trained(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    import modules

    from deepnmf.training.modules import RecurrentModule

    start = filtered(load_model(experiment / "m.safetensors"))
    spec, rng = start.features.stft, np.random.default_rng(1)
    spectra = torch.view_as_complex(torch.tensor(rng.standard_normal((2, spec.bins, 20, 2)), dtype=torch.float32))
    module = modules.ConditionedModule(modules.with_inputs(start.network, rng), torch.float32)
    absent = {name: torch.zeros(2) for name in PROFILE_KINDS}
    found = module.estimate(spectra, torch.zeros(2, 30, len(start.network.prior.pooling)), absent, spec)
    torch.testing.assert_close(found, RecurrentModule(start.network).estimate(spectra, spec))
    save_model(tmp_path / "f.safetensors", start)
    options = "--start", str(tmp_path / "f.safetensors"), "--updates", "2"
    trained_filter = trained(experiment, tmp_path / "out", monkeypatch, *options).network.multi_frame
    assert trained_filter is not None
    assert np.abs(trained_filter.output - start.network.multi_frame.output).max() > 0


def test_inputs_that_a_model_has_are_kept_and_others_are_added() -> None:
    pytest.importorskip("torch")
    import modules

    rng, start = np.random.default_rng(0), recurrent_model().network
    both = modules.with_inputs(start, rng).prior
    for kind in PROFILE_KINDS:
        one = dataclasses.replace(start, prior=dataclasses.replace(both, profiles={kind: both.profiles[kind]}))
        found = modules.with_inputs(one, rng).prior.profiles
        assert set(found) == set(PROFILE_KINDS)
        assert found[kind] is both.profiles[kind]


@pytest.mark.slow
def test_an_embedding_separates_speakers_and_training_takes_it(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    import embed
    from mixtures import ProfileMixtures
    from modules import EMBEDDING_ARRAYS, ProfileModule, with_inputs

    start, output = experiment / "m.safetensors", tmp_path / "e.safetensors"
    options = [str(experiment), "-o", str(output), "--start", str(start), "--speakers", "2", "--updates", "20"]
    monkeypatch.setattr(sys, "argv", ["embed.py", *options])
    embed.main()
    network: Any = load_model(start).network
    embedded: Any = load_model(output).network
    mixtures = ProfileMixtures(experiment / "manifest.jsonl", network.prior.pooling)
    pairs = torch.tensor(mixtures.voice_pairs(2, np.random.default_rng(9)))
    random = with_inputs(network, np.random.default_rng(0)).prior.profiles["voice"]
    errors = [
        float(embed.loss(ProfileModule(p), pairs)[0].detach()) for p in (random, embedded.prior.profiles["voice"])
    ]
    assert errors[1] < errors[0]
    taken = with_inputs(network, np.random.default_rng(1), embedded).prior.profiles["voice"]
    for name in EMBEDDING_ARRAYS:
        np.testing.assert_array_equal(getattr(taken, name), getattr(embedded.prior.profiles["voice"], name))
    assert not any(getattr(taken, head).any() for head in ("gates", "gains", "output", "local_gates"))
