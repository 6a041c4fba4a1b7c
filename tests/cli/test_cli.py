"""The command line: quick help, one clear line for bad input, never a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.main import get_command

from deepnmf._version import __version__
from deepnmf.cli import UsageError, app
from deepnmf.config import FeatureConfig
from deepnmf.model import Model, save_model
from helpers.networks import deep_nmf
from helpers.signals import TinyCorpus
from helpers.waiting import PATIENCE_SECONDS

HEAVY = ("torch", "librosa", "numpy", "scipy", "soundfile", "soxr", "tqdm", "rich", "fast_bss_eval", "pystoi")
COMMANDS = sorted(getattr(get_command(app), "commands", {}))


def deepnmf(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deepnmf", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=cwd, timeout=PATIENCE_SECONDS
    )


def assert_one_clear_line(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode not in (0, -11, -6)
    assert "Traceback" not in result.stderr + result.stdout
    assert result.stderr.strip()


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(option: str) -> None:
    result = deepnmf(option)
    assert result.returncode == 0
    assert all(f"\n  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [[], *([name] for name in COMMANDS)], ids=lambda words: " ".join(words) or "(none)"
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from deepnmf.cli import app\n"
        f"try: app({[*arguments, '--help']!r})\n"
        f"except SystemExit: print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert result.stdout.splitlines()[-1] == "LOADED []", result.stdout + result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_explains_itself(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert (command.help or "").strip()
    undocumented = [p.name for p in command.params if isinstance(p, typer.core.TyperOption) and not p.help]
    assert not undocumented


def test_the_commands_are_those_of_the_pipeline() -> None:
    assert {"prepare", "features", "pretrain", "train", "enhance", "evaluate"} <= set(COMMANDS)


def test_version() -> None:
    result = deepnmf("--version")
    assert (result.returncode, result.stdout) == (0, f"deepnmf {__version__}\n")


def test_no_arguments_show_the_help() -> None:
    result = deepnmf()
    assert "Usage: " in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["enhanse"], ["--colour"], *([name, "--no-such-option"] for name in COMMANDS)])
def test_a_mistyped_command_or_option_is_refused(arguments: list[str]) -> None:
    result = deepnmf(*arguments)
    assert result.returncode == 2
    assert_one_clear_line(result)


BAD_INPUT = [
    ["enhance", "none.wav", "--model", "tiny.safetensors"],
    ["enhance", "empty", "--model", "tiny.safetensors"],
    ["enhance", "text.wav", "--model", "tiny.safetensors"],
    ["enhance", "sound.wav", "--model", "none.safetensors"],
    ["enhance", "sound.wav", "--model", "text.wav"],
    ["enhance", "sound.wav", "--model", "unheard-of"],
    ["train", "--speech", "none", "--noise", "none", "-o", "out"],
    ["train", "--speech", "empty", "--noise", "empty", "-o", "out"],
    ["train", "--manifest", "none.jsonl", "-o", "out"],
    ["train", "--manifest", "text.wav", "-o", "out"],
    ["evaluate", "--manifest", "none.jsonl", "--model", "tiny.safetensors", "-o", "out"],
    ["evaluate", "--manifest", "text.wav", "--model", "tiny.safetensors", "-o", "out"],
    ["evaluate", "--clean", "empty", "--enhanced", "none", "-o", "out"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an empty folder, a text named .wav, a sound and a tiny model; do not change it."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "empty").mkdir()
    (folder / "text.wav").write_text("not a sound")
    soundfile.write(folder / "sound.wav", np.zeros(1600), 16000)
    W = np.ones((257, 2), np.float32)
    network = deep_nmf(W, W, 257, layers=1)
    save_model(folder / "tiny.safetensors", Model(network, FeatureConfig()))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("arguments", BAD_INPUT, ids=" ".join)
def test_bad_input_gives_one_clear_line(folder: Path, arguments: list[str]) -> None:
    before = sorted(path for path in folder.rglob("*") if path.is_file())
    result = deepnmf(*arguments, cwd=folder)
    assert_one_clear_line(result)
    assert result.returncode == 1, result.stderr  # 2 is for usage, and these are good usage
    assert result.stderr.splitlines()[-1].startswith("deepnmf: ")
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == before


def test_a_reader_that_hangs_up_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deepnmf", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.wait()


@pytest.mark.slow
def test_a_mistyped_folder_does_not_keep_the_right_one_out(tmp_path: Path, tiny_corpus: TinyCorpus) -> None:
    ends = [
        "--network",
        "deep-nmf",
        "--epochs",
        "1",
        "--layers",
        "1",
        "--trained-layers",
        "2",
        "--set",
        "snmf.iterations=2",
        "--set",
        "snmf.speech_atoms=4",
    ]
    corpus = ["--speech", tiny_corpus.speech, "--noise"]
    assert deepnmf("train", *corpus, "none", "-o", "exp", *ends, cwd=tmp_path).returncode == 1
    result = deepnmf("train", *corpus, tiny_corpus.noise, "-o", "exp", *ends, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "value", ["twelve", "", "nan", "inf", "-inf", "1e400", "12dB", "-1e9", "1" * 5000, "\N{SUPERSCRIPT TWO}"]
)
def test_a_numeric_option_says_what_it_expects(name: str, value: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    options = [
        option for option in command.params if hasattr(option.type, "min") or option.type.name in {"int", "float"}
    ]
    for option in options:
        with pytest.raises(UsageError) as refused:
            command.make_context(
                name, [f"{option.opts[0]}={value}"] if len(option.opts[0]) > 2 else [option.opts[0], value]
            )
        message = refused.value.format_message()
        assert option.opts[-1] in message
        assert re.search(r"must be a (whole|finite) number.*, not '", message), message
        assert len(message.splitlines()) == 1
        assert len(message) < 160
