"""Noise atoms learnt at run time: they help, and nothing else changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import deepnmf
from deepnmf.audio import files as audio
from deepnmf.enhancement.adapt import adapt_to_noise
from deepnmf.enhancement.profile import Profile
from deepnmf.errors import DeepnmfError
from deepnmf.model import save_model
from helpers.enhance_cli import run
from helpers.enhance_models import small_model
from helpers.networks import untrained, with_weights

RATE = 16000


def speech(seconds: float) -> np.ndarray:
    """Pulses at 500 Hz, which are speech to the test model, on and off."""
    n = np.arange(int(seconds * RATE))
    return ((n % 32 == 0) * (np.sin(2 * np.pi * 2 * n / RATE) > 0)).astype(np.float32)[None]


def rumble(seconds: float) -> np.ndarray:
    """A rumble below 1.5 kHz for which the test model, whose noise is white, has no atom."""
    white = np.random.default_rng(0).standard_normal(int(seconds * RATE))
    spectrum = np.fft.rfft(white)
    spectrum[np.fft.rfftfreq(len(white), 1 / RATE) > 1500] *= 0.05
    return (0.1 * np.fft.irfft(spectrum, len(white))).astype(np.float32)[None]


def error_db(estimate: np.ndarray, clean: np.ndarray) -> float:
    return float(10 * np.log10(np.square(estimate - clean).sum() / np.square(clean).sum()))


@pytest.mark.parametrize("context", [1, 2])
@pytest.mark.parametrize("rate_hz", [16000, 48000])
@pytest.mark.parametrize("replace", [False, True])
def test_a_profile_of_the_noise_helps(context: int, rate_hz: int, replace: bool) -> None:
    model, clean, noise = small_model(context), speech(2), rumble(4)
    profile = audio.resample(noise[:, 2 * RATE :], RATE, rate_hz)
    fitted = adapt_to_noise(model, profile, rate_hz, replace=replace)
    before, after = (error_db(deepnmf.enhance(clean + noise[:, : 2 * RATE], RATE, m), clean) for m in (model, fitted))
    assert after < before - 1


def test_listening_to_the_recording_itself_helps() -> None:
    model, noisy = small_model(), speech(4) + rumble(4)
    fitted = adapt_to_noise(model, noisy, RATE, with_speech=True)
    before, after = (error_db(deepnmf.enhance(noisy, RATE, m), speech(4)) for m in (model, fitted))
    assert after < before - 1


def test_only_noise_atoms_are_new() -> None:
    model = small_model(2)
    before = model.network
    for replace in (False, True):
        after = adapt_to_noise(model, rumble(1), RATE, atoms=5, replace=replace).network
        kept = before.speech_atoms if replace else before.output.shape[1]
        assert after.speech_atoms == before.speech_atoms
        for old, new in zip((*before.dictionaries, before.output), (*after.dictionaries, after.output), strict=True):
            assert new.shape == (old.shape[0], kept + 5)
            assert np.array_equal(new[:, :kept], old[:, :kept])
            assert (new >= 0).all()
            assert new.dtype == old.dtype
    assert model.network is before


def test_a_trained_output_of_any_scale_in_its_rows_is_served() -> None:
    """The mask does not depend on the scale of the output's rows, and neither does it after adaptation."""
    model = small_model()
    scales = (10 ** np.random.default_rng(0).uniform(0, 6, (257, 1))).astype(np.float32)
    scaled = with_weights(model.network, model.network.dictionaries, scales * model.network.output)
    outputs = []
    for network in (model.network, scaled):
        fitted = adapt_to_noise(dataclasses.replace(model, network=network), rumble(2), RATE)
        outputs.append(deepnmf.enhance(speech(2) + rumble(2), RATE, fitted))
    assert np.abs(outputs[0] - outputs[1]).max() < 2e-3


def test_discriminative_nmf_adapts_in_canonical_form_as_before() -> None:
    model = small_model()
    scales = (10 ** np.random.default_rng(0).uniform(-3, 3, model.network.output.shape[1])).astype(np.float32)
    trained = with_weights(model.network, model.network.dictionaries, scales * model.network.output)
    outputs = []
    for network in (trained, trained.canonical()):
        fitted = adapt_to_noise(dataclasses.replace(model, network=network), rumble(2), RATE)
        outputs.append(deepnmf.enhance(speech(2) + rumble(2), RATE, fitted))
    np.testing.assert_allclose(*outputs, atol=2e-3)


def test_layers_trained_to_another_scale_do_not_adapt_in_canonical_form_either() -> None:
    model = small_model()
    trained = with_weights(model.network, tuple(1.1 * W for W in model.network.dictionaries), model.network.output)
    with pytest.raises(DeepnmfError, match="no longer describe sound"):
        adapt_to_noise(dataclasses.replace(model, network=trained.canonical()), rumble(1), RATE)


def test_profiles_that_teach_nothing_are_refused() -> None:
    for samples, fault in ((np.zeros((1, RATE)), "silence"), (rumble(0.05), "at least 0.1 s")):
        with pytest.raises(DeepnmfError, match=fault):
            adapt_to_noise(small_model(), samples.astype(np.float32), RATE)
    model = small_model()
    trained = with_weights(model.network, tuple(1.1 * W for W in model.network.dictionaries), model.network.output)
    with pytest.raises(DeepnmfError, match="no longer describe sound"):
        adapt_to_noise(dataclasses.replace(model, network=trained), rumble(1), RATE)
    with pytest.raises(DeepnmfError, match="not a deep NMF"):
        adapt_to_noise(dataclasses.replace(small_model(), network=untrained("gru")), rumble(1), RATE)


def test_profiles_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(Path("m.safetensors"), small_model())
    recording = np.concatenate([rumble(5)[:, : 2 * RATE], speech(3) + rumble(5)[:, 2 * RATE :]], axis=1)
    audio.write(Path("x.wav"), recording, RATE, "FLOAT")
    audio.write(Path("rumble.wav"), rumble(2), RATE, "FLOAT")
    errors = {}
    for name, options in {
        "plain": [],
        "file": ["--noise-profile", "rumble.wav"],
        "span": ["--noise-profile", "0:2", "--profile-mode", "replace"],
        "adapt": ["--adapt"],
    }.items():
        assert run(monkeypatch, "enhance", "x.wav", "-o", f"{name}.wav", "--model", "m.safetensors", *options) == 0
        errors[name] = error_db(audio.read(Path(f"{name}.wav"))[0][:, 2 * RATE :], speech(3))
    assert max(errors["file"], errors["span"], errors["adapt"]) < errors["plain"] - 1
    capsys.readouterr()
    bad = (["--noise-profile", "9:12"], ["--noise-profile", "2:1"], ["--noise-profile", "none.wav"])
    for options in bad:
        assert run(monkeypatch, "enhance", "x.wav", "-o", "no.wav", "--model", "m.safetensors", *options) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert not Path("no.wav").exists()


def test_a_long_recording_is_read_in_parts_from_all_over_it(tmp_path: Path) -> None:
    from deepnmf.audio.reader import AudioReader
    from deepnmf.enhancement.profile import SAMPLED_SECONDS

    rate_hz = 2000
    ramp = np.linspace(0.1, 1, 200 * rate_hz, dtype=np.float32)[None]
    audio.write(tmp_path / "x.wav", ramp, rate_hz, "FLOAT")
    with AudioReader(tmp_path / "x.wav") as reader:
        parts = np.concatenate(Profile(None)._parts(reader), axis=1)
    assert abs(parts.shape[1] / rate_hz - SAMPLED_SECONDS) < 1
    assert parts[0, 0] < 0.11
    assert parts[0, -1] > 0.99


def test_a_recording_that_is_cut_short_is_adapted_to_if_it_is_to_be_salvaged(tmp_path: Path) -> None:
    path, model = tmp_path / "x.wav", small_model()
    audio.write(path, speech(2) + rumble(2), RATE)
    path.write_bytes(path.read_bytes()[:40000])
    with pytest.raises(DeepnmfError, match="truncated"):
        Profile(None).model_for(model, path)
    assert Profile(None, salvage=True).model_for(model, path).model is not model
