"""`deepnmf enhance` as a program: pipes, signals, start-up."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio import files as audio
from deepnmf.audio.formats import AudioFormat
from deepnmf.audio.pipes import wav_header
from deepnmf.audio.samples import SampleFormat, packed, unpacked
from deepnmf.model import save_model
from helpers.enhance_cli import leftovers, program, write_endless
from helpers.enhance_models import constant_model, small_model
from helpers.waiting import PATIENCE_SECONDS, wait_until

RATE = 16000


def noise(channels: int = 1, samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(path, small_model())
    return path


def test_wav_through_the_program(tmp_path: Path, model_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(2, 50000), 16000)  # above 8 kHz, only files are warmed up
    data = (tmp_path / "x.wav").read_bytes()
    output, errors = program("enhance", "-", "--model", model_path, stdin=subprocess.PIPE).communicate(data)
    assert not errors
    found, rate_hz = soundfile.read(io.BytesIO(output), dtype="float32")
    assert (rate_hz, found.shape) == (16000, (50000, 2))
    to_file = program("enhance", tmp_path / "x.wav", "-o", tmp_path / "y.wav", "--model", model_path)
    to_file.communicate()
    assert np.abs(audio.read(tmp_path / "y.wav")[0] - found.T).max() <= 2**-15
    into = program("enhance", "-", "-o", tmp_path / "z.flac", "--model", model_path, stdin=subprocess.PIPE)
    into.communicate(data)
    assert np.array_equal(audio.read(tmp_path / "z.flac")[0], found.T)


def test_raw_samples_through_the_program_and_the_noise_on_the_side(tmp_path: Path, model_path: Path) -> None:
    options = ["--raw-format", "f32le", "--raw-rate-hz", 48000, "--raw-channels", 2, "--model", model_path]
    process = program("enhance", "-", *options, "--output-noise", tmp_path / "n.wav", stdin=subprocess.PIPE)
    output, _ = process.communicate(packed(noise(2, 30000), SampleFormat("FLOAT")))
    speech = unpacked(output, SampleFormat("FLOAT"), 2)
    assert process.returncode == 0
    assert np.abs(speech + audio.read(tmp_path / "n.wav")[0] - noise(2, 30000)).max() <= 1e-4


def test_a_pipe_is_live_with_the_stated_latency(model_path: Path) -> None:
    options = ["--raw-format", "s16le", "--model", model_path]
    process = program("enhance", "-", *options, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(packed(noise(), SampleFormat("PCM_16")))
    process.stdin.flush()
    due = RATE - RATE * 25 // 1000  # all but one window comes while stdin is still open
    assert len(process.stdout.read(2 * due)) == 2 * due
    process.stdin.close()
    assert len(process.stdout.read()) == 2 * (RATE - due)
    process.wait()


def test_a_closed_pipe_ends_it_quietly(model_path: Path) -> None:
    process = program("enhance", "-", "--model", model_path, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(wav_header(AudioFormat(RATE, 1, None, "WAV", "PCM_16")))
    process.stdin.flush()
    process.stdout.read(44)
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        for _ in range(1000):
            process.stdin.write(packed(noise(), SampleFormat("PCM_16")))
            process.stdin.flush()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.slow
def test_bad_input_is_one_line(tmp_path: Path, model_path: Path) -> None:
    for arguments in (
        ["-", "--raw-format", "mp3"],
        ["-", "--adapt"],
        ["-", "x.wav"],
        ["-", "--noise-profile", tmp_path / "missing.wav"],
        [tmp_path / "missing.wav"],
        [tmp_path / "missing.wav", "--adapt", "--noise-profile", "0:5"],
    ):
        process = program("enhance", *arguments, "--model", model_path, stdin=subprocess.DEVNULL)
        output, errors = process.communicate()
        assert (process.returncode, output, errors.count(b"\n")) == (1, b"", 1), errors
        assert errors.startswith(b"deepnmf: ")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_removes_the_temporary_files(
    tmp_path: Path, model_path: Path, number: signal.Signals, code: int, jobs: int
) -> None:
    for name in ("a.wav", "b.wav"):
        write_endless(tmp_path / name)
    process = program("enhance", tmp_path, "-o", tmp_path / "out", "--jobs", jobs, "--model", model_path)
    wait_until(lambda: len(leftovers(tmp_path)) == jobs, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    assert b"Traceback" not in errors
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.wav", "b.wav"]


def test_enhancing_imports_nothing_slow(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", constant_model(1.0))
    audio.write(tmp_path / "x.wav", noise(), RATE)
    slow = {"torch", "librosa", "scipy", "matplotlib", "numba", "tomllib", "numpy.random"}
    slow |= {f"deepnmf.{name}" for name in ("networks.settings", "nmf.sparse_nmf", "audio.ffmpeg", "audio.sndfile")}
    code = (
        "import sys; from deepnmf import cli\n"
        "sys.argv = ['deepnmf', 'enhance', 'x.wav', '--model', 'm.safetensors']\n"
        "try: cli.main()\n"
        f"finally: print(sorted({slow} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert output.splitlines()[-1] == "[]"
