"""Odd streams, names, signals and errors: the files that can be done are done, and each fault is one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import deepnmf.enhancement.batch
from deepnmf.model import save_model
from helpers.enhance_cli import leftovers, run, write_endless
from helpers.enhance_models import small_model
from helpers.platforms import NEEDS_NAMES_OF_BYTES
from helpers.ranks import start_ranks
from helpers.signals import TinyCorpus
from helpers.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells, signals and names of POSIX")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two recordings and a model."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        soundfile.write(name, 0.1 * np.random.default_rng(0).standard_normal(8000), 16000)
    save_model(tmp_path / "m.safetensors", small_model())
    return tmp_path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash, in which `deepnmf` is ours."""
    function = f'deepnmf() {{ "{sys.executable}" -m deepnmf "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", function + line], capture_output=True, check=False, env={**os.environ, **environment}
    )


ENHANCE = "deepnmf enhance a.wav b.wav --model m.safetensors -o out"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{ENHANCE} 2>&-", 0),
        (f"{ENHANCE} >&-", 0),
        (f"{ENHANCE} <&- >&- 2>&-", 0),
        (f"{ENHANCE} | head -0", 0),
        (f"({ENHANCE} 2>&1) | head -0", 0),
        (f"{ENHANCE} > /dev/full", 1),
        (f"{ENHANCE} 2> /dev/full", 0),
        (f"{ENHANCE} --json > /dev/full", 1),
    ],
)
def test_streams_that_are_closed_or_full_do_not_stop_the_work(folder: Path, line: str, code: int) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    result = shell(line)
    assert result.returncode == code, result.stderr
    assert b"Traceback" not in result.stderr
    assert b"Exception ignored" not in result.stderr
    for name in ("a.wav", "b.wav"):
        assert soundfile.info(str(folder / "out" / name)).frames == 8000


@pytest.mark.parametrize(
    "line",
    [
        "deepnmf models --json",
        "deepnmf show m.safetensors",
        "deepnmf verify m.safetensors",
        "deepnmf prepare --speech speech --noise noise -o out",
        pytest.param(
            "deepnmf train --speech speech --noise noise -o out --epochs 1 --network gru --set network.units=4",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.parametrize(("reader", "code"), [("| head -0", 0), ("2>&1 | head -0", 0), ("> /dev/full", 1)])
def test_a_reader_that_hangs_up_does_not_stop_the_work(
    folder: Path, tiny_corpus: TinyCorpus, line: str, reader: str, code: int
) -> None:
    if "/dev/full" in reader and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (folder / "speech").symlink_to(tiny_corpus.speech)
    (folder / "noise").symlink_to(tiny_corpus.noise)
    result = shell(f"{line} {reader}")
    assert result.returncode == code, result.stderr
    assert (folder / "out/manifest.jsonl").exists() == ("-o out" in line)
    assert (folder / "out/dev").exists() == ("train" in line)


@pytest.mark.parametrize(
    "line",
    [
        "deepnmf enhance - --model m.safetensors < a.wav >&-",
        "deepnmf enhance - --model m.safetensors <&-",
        "deepnmf enhance - --model m.safetensors -o out.wav < /dev/null",
        "deepnmf enhance '' --model m.safetensors",
        "deepnmf enhance a.wav --model ''",
        "deepnmf show ''",
        "deepnmf enhance a.wav -o '' --model m.safetensors",
        "deepnmf enhance --model m.safetensors",
        "deepnmf enhance - --json < a.wav",
        "deepnmf export model.tflite --model m.safetensors",
        "deepnmf export model --model m.safetensors",
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_done_is_one_line(line: str) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    result = shell(line)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith(b"deepnmf: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "line",
    [
        "--version",
        "--help",
        "enhance --help",
        "--show-completion bash",
        "models",
        "models --json",
        "show m.safetensors",
        "verify m.safetensors",
        "enhance --dry-run a.wav",
        "enhance a.wav b.wav --model m.safetensors -o out --quiet",
        "enhance a.wav b.wav --model m.safetensors -o out --quiet --json",
        "enhance a.wav --model m.safetensors -o -",
        "enhance - --model m.safetensors < a.wav",
        "profile a.wav -o p.safetensors",
    ],
)
def test_a_full_stdout_is_named(folder: Path, line: str) -> None:
    for full in ("> /dev/full", "1< a.wav"):  # the latter can only be read
        result = shell(f"deepnmf {line} {full}")
        is_quiet = "--quiet" in line and "--json" not in line
        assert result.returncode == (0 if is_quiet else 1), result.stderr
        assert result.stderr.count(b"\n") == (0 if is_quiet else 1), result.stderr
        assert is_quiet or b"stdout" in result.stderr
    assert (folder / "out/b.wav").exists() == ("-o out" in line)


@pytest.mark.parametrize("line", [["--nope"], ["enhance", "--nope"], ["train"], ["evaluate", "-j", "x"]])
def test_of_several_processes_one_prints_an_error_of_usage(line: list[str]) -> None:
    ranks = start_ranks(2, ["-m", "deepnmf", *line])
    first, second = (process.communicate()[1] for process in ranks)
    assert "Error: " in first
    assert second == ""
    assert [process.returncode for process in ranks] == [2, 2]


NAMES = [
    b"na\xffme.wav",
    "ünï – 音.wav".encode(),
    b"two\nlines.wav",
    b" -q.wav",
    b"x" * 246 + b".wav",
    b"x" * 251 + b".wav",
]


@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
@pytest.mark.parametrize("options", ["", "--json", "-v"])
@NEEDS_NAMES_OF_BYTES
def test_names_of_any_bytes_are_enhanced_and_printed(folder: Path, environment: dict[str, str], options: str) -> None:
    (folder / "in").mkdir()
    for name in NAMES:
        shutil.copy(folder / "a.wav", os.fsencode(folder) + b"/in/" + name)
    result = shell(f"deepnmf enhance in -o out --model m.safetensors {options}", **environment)
    assert result.returncode == 0, result.stderr
    found = {os.fsencode(path.name) for path in (folder / "out").iterdir() if not path.name.startswith(".")}
    assert found == set(NAMES)
    assert len(result.stdout.splitlines()) == len(NAMES)
    again = shell("deepnmf enhance in -o out --model m.safetensors --skip-existing")  # the record holds in any locale
    assert b"6 skipped" in again.stderr


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device on this system")
@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_devices_of_stdout_are_stdout(folder: Path, name: str) -> None:
    for redirected in ("> out.wav", "| cat > out.wav"):
        result = shell(f"deepnmf enhance a.wav --model m.safetensors -o {name} {redirected}")
        assert result.returncode == 0, result.stderr
        assert soundfile.info(str(folder / "out.wav")).frames == 8000


@pytest.mark.parametrize(
    "line",
    [
        "enhance a.wav -o loop --model m.safetensors",
        "enhance a.wav -o loop/x.wav --model m.safetensors",
        "enhance loop --model m.safetensors",
        "prepare --speech loop --noise loop/below -o out",
        "prepare --corpus wham --root loop -o out",
        "features loop -o out",
        "evaluate --clean loop --enhanced loop -o out",
        "evaluate --manifest loop --model m.safetensors -o out",
        "verify loop",
        "show loop",
        pytest.param("train --speech loop --noise a.wav -o out", marks=pytest.mark.slow),
        pytest.param("report loop -o out.html", marks=pytest.mark.slow),
    ],
)
def test_links_in_a_circle_are_named(folder: Path, line: str) -> None:
    (folder / "loop").symlink_to("loop")
    result = shell(f"deepnmf {line}")
    assert result.returncode == 1
    assert b"unexpected" not in result.stderr
    assert b"loop" in result.stderr.splitlines()[-1]
    assert not (folder / "out").exists()


@pytest.mark.usefixtures("folder")
def test_a_working_folder_that_is_gone_is_named() -> None:
    result = shell("mkdir gone; cd gone; rmdir ../gone; deepnmf enhance ../a.wav -o x.wav")
    assert result.returncode == 1
    assert b"working folder is gone" in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_display_that_matplotlib_lacks_does_not_matter_for_files(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    result = shell("deepnmf show m.safetensors --plot atoms.png", MPLBACKEND="nonsense")
    assert result.returncode == 0, result.stderr
    assert (folder / "atoms.png").exists()


@pytest.mark.usefixtures("folder")
def test_a_name_that_becomes_too_long_is_named_and_the_rest_is_done(folder: Path) -> None:
    shutil.copy(folder / "a.wav", folder / ("x" * 250 + ".wav"))
    result = shell("deepnmf enhance *.wav --model m.safetensors")
    assert result.returncode == 1
    assert b"too long" in result.stderr
    assert (folder / "b_enhanced.wav").exists()


def test_without_a_temporary_directory_files_are_enhanced(folder: Path) -> None:
    nowhere = str(folder / "nowhere")
    result = shell(f"{ENHANCE}; ls out", TMPDIR=nowhere, TEMP=nowhere, TMP=nowhere)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_leaves_nothing_half_written(folder: Path, name: str, times: int) -> None:
    write_endless(folder / "long.wav")
    command = [sys.executable, "-m", "deepnmf", "enhance", "long.wav", "--model", "m.safetensors"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: leftovers(folder), process)
    for _ in range(times):
        process.send_signal(getattr(signal, name))
    _, errors = process.communicate()
    number = int(getattr(signal, name))
    assert process.returncode == (-number if name == "SIGINT" else 128 + number)  # a shell makes 130 of the former
    assert not errors
    assert not leftovers(folder)
    assert not (folder / "long_enhanced.wav").exists()


def test_a_signal_while_python_shuts_down_is_no_traceback() -> None:
    code = (
        "import atexit, os, signal, sys; from deepnmf.cli import main\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "sys.argv = ['deepnmf', '--version']; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == -signal.SIGTERM
    assert result.stdout.startswith("deepnmf ")
    assert not result.stderr


def test_nohup_is_respected(folder: Path) -> None:
    shell(f"trap '' HUP; {ENHANCE} & pid=$!; sleep 0.1; kill -HUP $pid; wait $pid")
    assert (folder / "out/b.wav").exists()


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError(), ValueError("a\nb"), OSError(5, "Input/output error"), MemoryError()]
)
def test_an_error_that_nobody_expected_stays_with_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    enhance_file = deepnmf.enhancement.batch.enhance_file

    def fail_on_a(source: Path, *arguments: object) -> list[str]:
        if source.name == "a.wav":
            raise error
        return enhance_file(source, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(deepnmf.enhancement.batch, "enhance_file", fail_on_a)
    for debug in ([], ["--debug"]):
        assert run(monkeypatch, "enhance", "a.wav", "b.wav", "-o", "out", "--model", "m.safetensors", *debug) == 1
        errors = capsys.readouterr().err
        unexpected = not isinstance(error, (OSError, MemoryError))
        assert ("Traceback" in errors) == (unexpected and bool(debug))
        assert sum("a.wav" in line for line in errors.splitlines() if line.startswith("deepnmf: ")) == 1
        assert (type(error).__name__ in errors) == unexpected
    assert (folder / "out/b.wav").exists()


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        ("clean a.wav", "deepnmf enhance a.wav"),
        ("denoise a.wav", "deepnmf enhance a.wav"),
        ("a.wav", "deepnmf enhance a.wav"),
        ("missing.mp3 -o x.wav", "deepnmf enhance missing.mp3 -o x.wav"),
        ("enhanse a.wav", "enhance"),
        ("enhance a.wav --strength 3", "--max-attenuation-db"),
        ("enhance a.wav --strength=3", "--max-attenuation-db"),
        ("enhance a.wav --force", "--skip-existing"),
        ("enhance -r .", "leave it out"),
        ("enhance a.wav --mask-out gains.npy", "--output-mask"),
        ("enhance --mask-out=gains.npy a.wav", "--output-mask"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_people_type_gets_what_they_meant(line: str, suggestion: str) -> None:
    result = shell(f"deepnmf {line}")
    assert result.returncode == 2
    assert suggestion in result.stderr.decode()
