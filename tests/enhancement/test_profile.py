"""Profiles: the input of a network for them, the file that holds one, and the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from deepnmf.artifacts import save_tensors
from deepnmf.audio import files as audio
from deepnmf.enhancement import Enhancer
from deepnmf.enhancement.adapt import adapt_to_noise
from deepnmf.enhancement.profile import Profile, load_profile, profile
from deepnmf.enhancement.setup import parse_profile
from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.unfolded.profile_input import PROFILE_KINDS, ProfileInput
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training.verify import verify
from helpers.enhance_cli import run
from helpers.enhance_models import recurrent_model

RATE = 16000


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """White noise, ``(1, n)``."""
    return 0.1 * np.random.default_rng(seed).standard_normal((1, int(seconds * RATE))).astype(np.float32)


def hum(seconds: float) -> np.ndarray:
    """A tone, ``(1, n)``."""
    return 0.1 * np.sin(2 * np.pi * 500 * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)[None]


def profiled_model(kinds: tuple[str, ...] = PROFILE_KINDS) -> Model:
    """A recurrent model with inputs of random weights for profiles."""
    model, rng = recurrent_model(fusion=5), np.random.default_rng(1)
    assert isinstance(model.network, RecurrentDeepNMF)
    prior = model.network.prior
    bands, (atoms, known) = len(prior.pooling), prior.output.shape
    gates = len(prior.cells[0].input_bias) + len(prior.fusion[0].input_bias)
    statistics = (3, 3 * bands + 8), (3,), (gates, 3), (known, 3), (atoms, 3)
    shapes = (4, 2 * bands), (4,), (4, 4), (4,), (4,), *statistics, (2, 24), (len(prior.subband[0].input_bias), 2)
    inputs = {kind: ProfileInput(*(rng.standard_normal(s).astype(np.float32) for s in shapes)) for kind in kinds}
    prior = dataclasses.replace(prior, profiles=inputs)
    return dataclasses.replace(model, network=dataclasses.replace(model.network, prior=prior))


def enhanced(model: Model, samples: np.ndarray, block: int | None = None) -> np.ndarray:
    enhancer = Enhancer(model, RATE)
    step = block or samples.shape[1]
    blocks = [enhancer.process(samples[:, at : at + step]) for at in range(0, samples.shape[1], step)]
    return np.concatenate([*blocks, enhancer.flush()], axis=1)


def test_without_a_profile_the_input_adds_nothing() -> None:
    np.testing.assert_array_equal(enhanced(profiled_model(), sound(1)), enhanced(recurrent_model(fusion=5), sound(1)))


def test_the_profile_counts_its_level_does_not_and_blocks_do_not() -> None:
    model, noisy = profiled_model(), sound(1)
    by_noise = enhanced(adapt_to_noise(model, sound(2, 3), RATE), noisy)
    by_hum = enhanced(adapt_to_noise(model, hum(2), RATE), noisy)
    assert np.abs(by_noise - by_hum).max() > 1e-3
    louder = adapt_to_noise(model, 4 * sound(2, 3), RATE)
    np.testing.assert_allclose(enhanced(louder, noisy, 160), by_noise, atol=1e-4)


@pytest.mark.parametrize("options", [{"replace": True}, {"atoms": 8}])
def test_what_is_for_noise_atoms_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(DeepnmfError, match="noise atoms"):
        adapt_to_noise(profiled_model(), sound(1), RATE, **options)  # type: ignore[arg-type]


def test_noise_and_voice_add_up_in_any_order() -> None:
    network, rng = profiled_model().network, np.random.default_rng(0)
    noise, voice, m = (rng.random((257, n)).astype(np.float32) for n in (30, 40, 20))
    at_once = network.with_profiles({"noise": noise, "voice": voice})
    after = network.with_profiles({"voice": voice}).with_profiles({"noise": noise})
    assert not at_once.profile_inputs()
    np.testing.assert_allclose(at_once.estimator().push(m), after.estimator().push(m), atol=1e-5)


@pytest.mark.parametrize("kinds", [(), ("noise",), PROFILE_KINDS])
def test_a_model_file_holds_the_inputs(kinds: tuple[str, ...], tmp_path: Path) -> None:
    model = profiled_model(kinds)
    save_model(tmp_path / "m.safetensors", model)
    network = load_model(tmp_path / "m.safetensors").network
    assert network.profile_inputs() == set(kinds)
    assert network.arrays().keys() == model.network.arrays().keys()


def test_an_input_of_another_size_is_refused(tmp_path: Path) -> None:
    model = profiled_model(("noise",))
    arrays = model.network.arrays() | {"noise_profile.gates": np.zeros((5, 3), np.float32)}
    broken = type(model.network).from_arrays(arrays, model.network.hyperparameters())
    with pytest.raises(DeepnmfError, match="array noise_profile"):
        save_model(tmp_path / "m.safetensors", dataclasses.replace(model, network=broken))


def test_a_profile_file_is_as_good_as_the_recording(tmp_path: Path) -> None:
    audio.write(tmp_path / "n.wav", np.concatenate([hum(1), sound(2, 3)], axis=1), RATE, "FLOAT")
    profile(str(tmp_path / "n.wav"), str(tmp_path / "n.safetensors"), span="1:3")
    assert load_profile(tmp_path / "n.safetensors").shape[0] == 257
    assert verify(tmp_path / "n.safetensors").problems == []
    model = profiled_model()
    direct = adapt_to_noise(model, sound(2, 3), RATE)
    magnitudes = load_profile(tmp_path / "n.safetensors", model.features)
    stored = dataclasses.replace(model, network=model.network.with_profiles({"noise": magnitudes}))
    np.testing.assert_allclose(enhanced(stored, sound(1)), enhanced(direct, sound(1)), atol=1e-3)


@pytest.mark.parametrize("pieces", [(2, 1), (0, 1, 1), (1, 0.5, 0.6, 0.4)])
@pytest.mark.parametrize("level", [0, 1e-5])
def test_silence_in_a_profile_changes_nothing(pieces: tuple[float, ...], level: float) -> None:
    """`pieces` are seconds of sound and of silence in turn, or of sound of the level that recorders leave."""
    model, given = profiled_model(), sound(sum(pieces[::2]))
    parts, at = [], 0
    for number, seconds in enumerate(pieces):
        samples = int(seconds * RATE)
        parts.append(level * sound(seconds, 1) if number % 2 else given[:, at : at + samples])
        at += 0 if number % 2 else samples
    with_silence = np.concatenate(parts, axis=1)
    expected, found = (enhanced(adapt_to_noise(model, p, RATE), sound(1, 2)) for p in (given, with_silence))
    other = enhanced(adapt_to_noise(model, hum(2), RATE), sound(1, 2))
    assert np.square(found - expected).mean() < 0.06 * np.square(other - expected).mean()  # cuts leave a little


@pytest.mark.parametrize("kind", PROFILE_KINDS)
def test_a_profile_of_something_else_is_reported(kind: str, tmp_path: Path) -> None:
    """A model to which everything is speech, or everything noise, doubts one kind of profile and not the other."""
    audio.write(tmp_path / "x.wav", sound(1), RATE)
    model = profiled_model()
    assert isinstance(model.network, RecurrentDeepNMF)
    is_speech = np.arange(model.network.output.shape[1]) < model.network.speech_atoms
    output = np.zeros_like(model.network.output)
    output[:, is_speech == (kind == "noise")] = 1
    model = dataclasses.replace(model, network=dataclasses.replace(model.network, output=output))
    for given in PROFILE_KINDS:
        warnings = Profile(tmp_path / "x.wav", kind=given).model_for(model, None).warnings
        assert len(warnings) == (given == kind)
        assert all("x.wav" in line and "speech" in line for line in warnings)


@pytest.mark.parametrize("samples", [0 * sound(1), sound(0.05)], ids=["silent", "short"])
def test_a_recording_without_enough_sound_is_enhanced_unadapted(
    samples: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(Path("m.safetensors"), profiled_model())
    audio.write(Path("x.wav"), samples, RATE)
    for name, options, doubted in (("a", [], False), ("b", ["--adapt"], True)):
        assert run(monkeypatch, "enhance", "x.wav", "-o", f"{name}.wav", "--model", "m.safetensors", *options) == 0
        assert ("too little sound" in capsys.readouterr().err) == doubted
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


@pytest.mark.parametrize("span", ["0:0,5", "0-5:1", "0:5s", "1:30:2:00", ":5", "5:"])
def test_a_mistyped_span_is_not_called_a_missing_file_alone(span: str) -> None:
    with pytest.raises(DeepnmfError, match=r"no such file.*START:END"):
        parse_profile(span, adapt=False, replace=False)


def test_a_file_with_a_colon_in_its_name_is_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "12:30 fan.wav").touch()
    found = parse_profile("12:30 fan.wav", adapt=False, replace=False)
    assert found is not None
    assert found.source == Path("12:30 fan.wav")


def test_what_is_no_profile_is_refused_in_one_line(tmp_path: Path) -> None:
    audio.write(tmp_path / "n.wav", sound(1), RATE)
    audio.write(tmp_path / "click.wav", np.concatenate([sound(0.05), 0 * sound(3)], axis=1), RATE)
    audio.write(tmp_path / "silent.wav", 0 * sound(1), RATE)
    audio.write(tmp_path / "short.wav", sound(0.05), RATE)
    out = tmp_path / "o.safetensors"
    cases = {"silent.wav": "silence", "short.wav": "at least", "click.wav": "at least", "none.wav": "none.wav"}
    for name, words in cases.items():
        with pytest.raises(DeepnmfError, match=words):
            profile(tmp_path / name, out)
    with pytest.raises(DeepnmfError, match="not a recording"):
        profile(out, tmp_path / "p.safetensors")
    with pytest.raises(DeepnmfError, match="suffix"):
        profile(tmp_path / "n.wav", tmp_path / "o.wav")
    for span, words in (("3:5", "no samples"), ("a:b", "START:END")):
        with pytest.raises(DeepnmfError, match=words):
            profile(tmp_path / "n.wav", out, span=span)
    assert not out.exists()
    save_tensors(out, {"magnitudes": np.full((257, 9), -1, np.float16)}, "profile", {"features": {}})
    assert verify(out).problems
    save_model(tmp_path / "m.safetensors", recurrent_model())
    with pytest.raises(DeepnmfError):
        load_profile(tmp_path / "m.safetensors")


def test_profiles_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(Path("m.safetensors"), profiled_model())
    save_model(Path("plain.safetensors"), recurrent_model())
    audio.write(Path("x.wav"), np.concatenate([hum(1), sound(1)], axis=1), RATE, "FLOAT")
    audio.write(Path("hum.wav"), hum(1), RATE, "FLOAT")
    assert run(monkeypatch, "profile", "hum.wav", "-o", "hum.safetensors") == 0
    outputs = {}
    for name, options in {
        "none": [],
        "file": ["--noise-profile", "hum.wav"],
        "stored": ["--noise-profile", "hum.safetensors"],
        "span": ["--noise-profile", "0:1"],
        "voice": ["--voice-profile", "hum.safetensors"],
        "adapt": ["--adapt", "--voice-profile", "hum.wav"],
    }.items():
        assert run(monkeypatch, "enhance", "x.wav", "-o", f"{name}.wav", "--model", "m.safetensors", *options) == 0
        outputs[name] = audio.read(Path(f"{name}.wav"))[0]
    assert np.abs(outputs["file"] - outputs["none"]).max() > 1e-4
    for name in ("stored", "span"):
        np.testing.assert_allclose(outputs[name], outputs["file"], atol=1e-3)
    assert np.abs(outputs["voice"] - outputs["file"]).max() > 1e-4
    capsys.readouterr()
    bad = ["enhance", "x.wav", "-o", "no.wav", "--model", "plain.safetensors", "--voice-profile", "hum.wav"]
    assert run(monkeypatch, *bad) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("no.wav").exists()


@pytest.mark.parametrize(
    ("options", "used"),
    [
        (["--noise-profile", "0:1"], "default"),
        (["--adapt"], "default"),
        (["--voice-profile", "x.wav"], "profile"),
        (["--adapt", "--voice-profile", "x.wav"], "profile"),
        (["--noise-profile", "0:1", "--profile-mode", "replace"], "snmf"),
    ],
)
def test_the_model_for_a_profile_is_reported_if_another_was_named(
    options: list[str], used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    audio.write(Path("x.wav"), sound(1), RATE)
    for name, model in (("a", ["--model", "default"]), ("b", []), ("c", ["--model", used])):
        assert run(monkeypatch, "enhance", "x.wav", "-o", f"{name}.wav", *options, *model) == 0
        assert (f"`{used}`" in capsys.readouterr().err) == (name == "a" and used != "default")
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes() == Path("c.wav").read_bytes()


def test_a_network_with_a_profile_can_be_exported() -> None:
    torch = pytest.importorskip("torch")
    from deepnmf.export.mask_graph import mask_graph
    from deepnmf.export.steps import mask_step

    rng = np.random.default_rng(0)
    m, noise = (rng.random((257, n)).astype(np.float32) for n in (6, 30))
    network = profiled_model().network.with_profiles({"noise": noise})
    expected = network.estimator().push(m)
    graph, step = mask_graph(network), mask_step(network)
    states = [torch.zeros(shape) for shape in graph.states.values()]
    np.testing.assert_allclose(graph(torch.from_numpy(m), *states)[0].detach(), expected, atol=1e-5)
    states = [torch.zeros(shape) for shape in step.states.values()]
    for frame, mask in zip(m.T, expected.T, strict=True):
        found, *states = step(torch.from_numpy(frame.copy()), *states)
        np.testing.assert_allclose(found.detach(), mask, atol=1e-5)


def test_a_network_with_a_profile_is_a_model_like_any_other(tmp_path: Path) -> None:
    model, noise = profiled_model(), np.random.default_rng(0).random((257, 30)).astype(np.float32)
    adapted = dataclasses.replace(model, network=model.network.with_profiles({"noise": noise}))
    save_model(tmp_path / "m.safetensors", adapted)
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.network.profile_inputs() == {"voice"}
    np.testing.assert_allclose(enhanced(loaded, sound(1)), enhanced(adapted, sound(1)), atol=2e-3)  # half precision


def test_adaptation_uses_pauses_and_not_single_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    model = profiled_model()
    given: list[np.ndarray] = []
    monkeypatch.setattr(
        type(model.network), "with_profiles", lambda network, profiles: given.append(profiles["noise"]) or network
    )
    recording = sound(4)
    recording[:, RATE : 2 * RATE] += hum(1)
    adapt_to_noise(model, recording, RATE, with_speech=True)
    adapt_to_noise(model, recording, RATE)
    (pauses, everything) = given
    assert 0.1 < pauses.shape[1] / everything.shape[1] < 0.3
    places = [int(np.abs(everything - frame[:, None]).sum(axis=0).argmin()) for frame in pauses.T]
    steps = np.diff(places)
    assert (steps > 0).all()
    assert (steps > 1).sum() < len(places) / 5  # of frames by themselves, 4 in 5 would be alone
