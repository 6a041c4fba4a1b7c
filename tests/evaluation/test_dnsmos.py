"""DNSMOS: the scores of speechmos on a stream of blocks, at any rate and length; recordings without a clean side."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deepnmf import enhance
from deepnmf.audio import files as audio
from deepnmf.cli import app
from deepnmf.errors import DeepnmfError, MissingExtra
from deepnmf.evaluation import EnhancedFiles, FolderRecordings, System, compare, dnsmos, evaluate, read_evaluation
from deepnmf.evaluation.dnsmos import PARTS, RATE_HZ, WINDOW, DnsmosStream
from helpers.signals import voice


def talk(seconds: float, rate_hz: int = RATE_HZ, seed: int = 0) -> np.ndarray:
    """Return a voice in hiss, ``(samples,)``."""
    hiss = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    samples = 0.3 * voice(120, 700, seed, seconds)[: len(hiss)] + 0.02 * hiss
    return audio.resample(samples.astype(np.float32), RATE_HZ, rate_hz)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Replace the networks by the means of a window and of its square; return the windows that they get."""
    windows: list[np.ndarray] = []

    def scores(samples: np.ndarray) -> list[float]:
        windows.append(samples)
        return [float(x) for x in (samples.mean(), np.square(samples).mean(), samples.max(), samples.min())]

    monkeypatch.setattr(dnsmos, "_window_scores", scores)
    monkeypatch.setattr(sys.modules["deepnmf.evaluation.evaluate"], "require", lambda *_: None)
    dnsmos._dnsmos.cache_clear()
    return windows


def streamed(samples: np.ndarray, block: int) -> dict[str, float]:
    stream = DnsmosStream()
    for start in range(0, len(samples), block):
        stream.push(samples[start : start + block])
    return stream.scores()


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("length", [1, 1000, WINDOW - 1, WINDOW, 160_000, 176_000, 16_000 * 22 + 5])
def test_blocks_of_any_size_give_the_scores_of_the_whole(length: int) -> None:
    samples = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    whole = streamed(samples, length)
    assert all(math.isfinite(value) for value in whole.values())
    for block in (max(1, length // 7), 32_000):
        assert streamed(samples, block) == whole


def test_windows_are_those_of_speechmos(cheap: list[np.ndarray]) -> None:
    for length in (500, 5 * RATE_HZ, WINDOW, 10 * RATE_HZ - 1, 11 * RATE_HZ, 11 * RATE_HZ - 1, 26 * RATE_HZ + 3):
        samples = np.arange(length, dtype=np.float32)
        cheap.clear()
        streamed(samples, 30_000)
        while len(samples) < WINDOW:  # from here on as in speechmos.dnsmos
            samples = np.append(samples, samples)
        expected = []
        for index in range(int(np.floor(len(samples) / RATE_HZ) - 9.01) + 1):
            segment = samples[int(index * RATE_HZ) : int((index + 9.01) * RATE_HZ)]
            if len(segment) >= WINDOW:
                expected.append(segment)
        assert len(cheap) == len(expected) > 0
        assert all(np.array_equal(one, other) for one, other in zip(cheap, expected, strict=True))


def test_memory_does_not_grow_with_the_recording(cheap: list[np.ndarray]) -> None:
    stream = DnsmosStream()
    for _ in range(300):
        stream.push(np.ones(RATE_HZ, np.float32))
        assert len(stream._held) <= 11 * RATE_HZ
        cheap.clear()


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(5), np.zeros(20 * RATE_HZ)])
@pytest.mark.usefixtures("cheap")
def test_silence_has_no_score(samples: np.ndarray) -> None:
    assert all(math.isnan(value) for value in dnsmos.dnsmos(samples, RATE_HZ).values())


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 9.5, 12.0])
def test_the_scores_are_those_of_speechmos(seconds: float) -> None:
    theirs = pytest.importorskip("speechmos.dnsmos")
    samples = talk(seconds)
    expected = theirs.run(samples / np.abs(samples).max(), RATE_HZ)
    found = dnsmos.dnsmos(samples / np.abs(samples).max(), RATE_HZ)
    names = ("sig_mos", "bak_mos", "ovrl_mos", "p808_mos")
    assert [found[part] for part in PARTS] == pytest.approx([float(expected[name]) for name in names], abs=1e-4)


def write_noisy(folder: Path) -> dict[str, np.ndarray]:
    """Write recordings of several rates, lengths and channel counts; return their samples by name."""
    signals = {
        "short": talk(0.3)[None],
        "telephone": talk(2, 8000)[None],
        "studio": np.stack([talk(1, 48000), talk(1, 48000, 1)]),
        "silent": np.zeros((1, 8000), np.float32),
    }
    rates = {"telephone": 8000, "studio": 48000}
    for name, samples in signals.items():
        audio.write(folder / f"{name}.wav", samples, rates.get(name, RATE_HZ), "FLOAT")
    return signals


@pytest.mark.usefixtures("cheap")
def test_noisy_recordings_alone_are_scored_before_and_after(tmp_path: Path) -> None:
    write_noisy(tmp_path / "noisy")
    result = evaluate(FolderRecordings(noisy=tmp_path / "noisy"), tmp_path / "out", model="small")
    rows = {row["id"]: row for row in result.rows}
    assert set(rows) == {"short", "telephone", "studio", "silent"}
    assert rows["telephone"]["seconds"] == 2
    assert math.isnan(rows["silent"]["dnsmos_sig_input"])
    assert "undefined for 1 of 4" in result.table
    for name in ("short", "telephone", "studio"):
        samples, rate_hz = audio.read(tmp_path / f"noisy/{name}.wav")
        enhanced = enhance(samples, rate_hz, model="small").mean(axis=0)
        expected = dnsmos.dnsmos(audio.resample(enhanced, rate_hz, RATE_HZ), RATE_HZ)
        assert rows[name]["dnsmos_bak_output"] == pytest.approx(expected["dnsmos_bak"], rel=1e-2, abs=1e-6)
    assert read_evaluation(tmp_path / "out").metrics == PARTS


@pytest.mark.usefixtures("cheap")
def test_what_any_system_has_enhanced_is_scored_alone_or_beside_a_model(tmp_path: Path) -> None:
    write_noisy(tmp_path / "noisy")
    files = EnhancedFiles("same", tmp_path / "noisy")
    alone = evaluate(FolderRecordings(), tmp_path / "alone", model=files)
    assert not any(name.endswith("_input") for row in alone.rows for name in row)
    same = System("function", RATE_HZ, lambda samples, _: samples)
    both = compare(FolderRecordings(noisy=tmp_path / "noisy"), tmp_path / "both", [files, same], only=["dnsmos"])
    for name in PARTS:
        difference = both.summary["systems"][1]["differences"]["overall"][name]["difference"]["mean"]
        assert difference == pytest.approx(0, abs=2e-3)
        gains = both.summary["systems"][0]["scores"]["overall"][name]["improvement"]["mean"]
        assert gains == 0


@pytest.mark.usefixtures("cheap")
def test_a_bad_file_is_listed_and_the_others_are_scored(tmp_path: Path) -> None:
    write_noisy(tmp_path / "noisy")
    (tmp_path / "noisy/text.wav").write_text("no audio")
    result = evaluate(FolderRecordings(noisy=tmp_path / "noisy"), tmp_path / "out", model="small")
    assert (len(result.rows), len(result.failures)) == (4, 1)
    assert result.failures[0].startswith("text: ")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert isinstance(result.exception, DeepnmfError), result.exception
    return str(result.exception)


def test_what_needs_a_clean_side_is_refused_without_one(tmp_path: Path) -> None:
    write_noisy(tmp_path / "noisy")
    only = ("--noisy-only", tmp_path / "noisy", "-o", tmp_path / "out")
    assert "si_sdr: needs clean recordings" in run(*only, "--metric", "si_sdr")
    assert "--save-audio" in run(*only, "--save-audio")
    assert "give either" in run(*only, "--clean", tmp_path)
    assert "give either" in run(*only, "--noisy", tmp_path)
    assert "no noisy recordings" in run("--enhanced", tmp_path / "noisy", "--model", "small", "-o", tmp_path / "out")


def test_without_the_extra_one_line_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_noisy(tmp_path / "noisy")
    monkeypatch.setitem(sys.modules, "speechmos", None)
    with pytest.raises(MissingExtra, match="pip install speechmos"):
        evaluate(FolderRecordings(noisy=tmp_path / "noisy"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
