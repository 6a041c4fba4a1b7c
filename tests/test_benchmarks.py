"""The benchmark scripts still run, and the delays they find are those that are stated."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.model import save_model
from deepnmf.training.processes import Processes
from helpers import ROOT
from helpers.enhance_models import small_model

sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.mark.parametrize(
    ("name", "package", "latency_ms"),
    [
        ("deepnmf", "deepnmf", 25),
        ("deepnmf at 48 kHz", "deepnmf", 25),
        ("RNNoise", "pyrnnoise", 30),
        ("WebRTC", "webrtc_noise_gain", 15),
        ("speexdsp", "speexdsp_ns", 20),
    ],
)
def test_every_system_runs_with_the_latency_in_the_table(
    tmp_path: Path, name: str, package: str, latency_ms: float
) -> None:
    import speed

    pytest.importorskip(package)
    save_model(tmp_path / "m.safetensors", small_model())
    found = speed.measure_stream(name, str(tmp_path / "m.safetensors"), seconds=3)
    assert abs(found["delay_ms"] + found["frame_ms"] - latency_ms) <= 2
    assert found["real_time_factor"] > 0


def test_adaptation_scores_every_system() -> None:
    import adaptation

    rng = np.random.default_rng(0)
    speech = [(0.1 * rng.standard_normal(16000)).astype(np.float32)]
    noise = (0.1 * rng.standard_normal(16000 * 7)).astype(np.float32)
    scores = adaptation.noise_scores(small_model(), noise, speech)
    assert list(scores) == list(adaptation.SYSTEMS)
    assert np.isfinite(list(scores.values())).all()


def test_harm_to_clean_speech_and_to_noise_is_measured() -> None:
    import distortion

    noise = (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)
    assert distortion.attenuation_db(small_model(), noise) > 0  # a mask takes away
    pytest.importorskip("pesq")
    scores = distortion.clean_scores(small_model(), [noise])
    means, leasts = zip(*(map(float, score.split(" / ")) for score in scores), strict=True)
    assert means == leasts  # there is but one
    hum = np.sin(2 * np.pi * 60 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(distortion.without_rumble(hum + noise) - distortion.without_rumble(noise)).max() < 1e-5


@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_the_speed_of_nmf_is_measured_of_every_system(beta: float) -> None:
    import nmf

    for learn in (False, True):
        shares = nmf.measure(features=20, atoms=3, frames=40, learn=learn, beta=beta, repeats=2)
        assert {"plain NumPy", "deepnmf"} <= set(shares)
        assert all(len(repeats) == 2 and min(repeats) > 0 for repeats in shares.values())


def test_the_throughput_of_training_is_measured_on_one_shared_batch(capsys: pytest.CaptureFixture[str]) -> None:
    import scaling

    case = "deep NMF, K = 4"
    shares = [scaling.parts_of_batch(case, Processes(rank, 3))[1] for rank in range(3)]
    assert sum(len(example.speech) * example.speech.shape[2] for share in shares for example in share) == 1000
    larger = [scaling.parts_of_batch(case, Processes(rank, 2), 4000)[1] for rank in range(2)]
    assert [[example.speech.shape[2] for example in share] for share in larger] == [[1000, 1000], [1000, 1000]]
    scaling.work(case, seconds=0)
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 1000 * scaling.LEAST_UPDATES
    assert min(found["wall"], found["processor"]) > 0


def test_hops_of_engine_and_graph_are_timed(tmp_path: Path) -> None:
    import streaming

    for package in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    save_model(tmp_path / "m.safetensors", small_model())
    found = streaming.hop_seconds(str(tmp_path / "m.safetensors"), 16000, means=1)
    assert list(found) == ["engine", "graph"]
    assert min(found.values()) > 0


def test_streams_take_turns_with_rnnoise(tmp_path: Path) -> None:
    import streaming

    pytest.importorskip("pyrnnoise")
    save_model(tmp_path / "m.safetensors", small_model())
    found = streaming.real_time_factors(str(tmp_path / "m.safetensors"), seconds=0.2, repeats=2)
    assert list(found) == list(streaming.NAMES)
    assert all(len(factors) == 2 and min(factors) > 0 for factors in found.values())
    factor, share = streaming.block_share(str(tmp_path / "m.safetensors"), repeats=1, seconds=1)
    assert factor > 0
    assert share > 0


def test_folders_are_timed_with_any_number_of_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import folder

    save_model(tmp_path / "m.safetensors", small_model())
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / "in" / name, np.zeros(800), 16000)
    options = argparse.Namespace(jobs=2, repeats=1, model=str(tmp_path / "m.safetensors"))
    folder.report(tmp_path / "in", options)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [int(row[0]) for row in rows] == [1, 2]
    assert all(float(cell) > 0 for row in rows for cell in row)


def test_gains_above_the_band_of_the_model_are_scored(tmp_path: Path) -> None:
    import upper_band

    save_model(tmp_path / "m.safetensors", small_model())
    speech = 0.1 * np.random.default_rng(0).standard_normal(24000) * (np.arange(24000) > 12000)
    noise = 0.01 * np.random.default_rng(1).standard_normal(24000)
    case = upper_band.case("white", speech, noise, str(tmp_path / "m.safetensors"))
    ones = upper_band.scores(case, np.ones_like(case.gains))
    assert ones[2:4] == pytest.approx((0, 0), abs=1e-5)  # nothing is attenuated
    assert upper_band.scores(case, case.with_one_gain())[2] < 0


def test_objectives_of_plain_and_extrapolated_updates_are_tabulated() -> None:
    import nmf

    X = np.random.default_rng(0).random((60, 20)).astype(np.float32)
    lines = nmf.convergence(X, atoms=3, beta=1.0, sparsity=0.1, updates=21).splitlines()
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["10", "20", "21"]


def test_rates_are_compared_in_the_band_that_both_hold() -> None:
    import rates

    pytest.importorskip("fast_bss_eval")
    pytest.importorskip("pystoi")
    rng = np.random.default_rng(0)
    clean = (0.1 * rng.standard_normal(16000)).astype(np.float32)
    noisy = clean + (0.01 * rng.standard_normal(16000)).astype(np.float32)
    found = {rate: np.array(rates.pair_scores(clean, noisy, rate, small_model())) for rate in (8000, 16000, 48000)}
    for scores in found.values():
        assert scores.shape == (2, len(rates.SCORED))
        assert np.isfinite(scores).all()
    np.testing.assert_array_equal(found[16000][0], found[16000][1])
    np.testing.assert_allclose(found[48000][0], found[48000][1], rtol=0.05)
    assert "±" in rates.cell("si_sdr", found[8000][None, :, 0])


def test_updates_are_measured_beside_those_by_autograd() -> None:
    import training

    config = training.config_of("deep-nmf", {}, layers=2)
    found = training.shares(config, "multiplicative", frames=30, repeats=2)
    assert list(found) == ["own", "autograd"]
    assert all(len(repeats) == 2 and min(repeats) > (0, 0) for repeats in found.values())
    assert training.operations(config, 1, "multiplicative") == 30 * config.features.stft.bins * training.ATOMS


def test_tables_are_written_as_they_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tables import Tables

    tables = Tables(tmp_path / "tables.md")
    for heads in (("network", "ms"), ("kind", "frames", "share")):
        tables.start(*heads)
        tables.add(f"| {' | '.join('1' * len(heads))} |")
    tables.finish("Peak 1")
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "tables.md").read_text(encoding="utf-8")
    assert [line.count("|") for line in printed.splitlines()[:7]] == [3, 3, 3, 0, 4, 4, 4]


def test_masks_are_steadier_after_the_changes_to_residual_noise() -> None:
    import residual_noise

    rng = np.random.default_rng(0)
    mixture = rng.normal(size=(257, 80)) + 1j * rng.normal(size=(257, 80))
    before = 0.05 * rng.random((257, 80))
    pauses = np.ones(80, bool)
    for change in (
        residual_noise.steadier,
        residual_noise.steady_in_pauses,
        residual_noise.steady_where_small,
    ):
        after = residual_noise.mask(mixture, change(mixture, before * mixture, pauses))
        assert np.log(after).std() < np.log(before).std() / 1.2
    assert (residual_noise.lower(mixture, before * mixture, pauses) / mixture).real.max() < before.max()
