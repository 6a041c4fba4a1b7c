"""Command lines that may be anything: working ones, with options dropped, added, and given values of any kind."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import typer
from hypothesis import strategies as st

from deepnmf import cli
from deepnmf.model import save_model
from helpers.enhance_models import small_model
from helpers.signals import RATE_HZ, noise, voice

SECONDS = 5
"""Processor time after which a command is interrupted, as by Ctrl-C: some lines set a million epochs."""
TINY = ["--set", "snmf.speech_atoms=4", "--set", "snmf.noise_atoms=3", "--set", "snmf.iterations=3"]
TRAINING = ["--features features", "--dictionary d.safetensors", "--network deep-nmf", "--epochs 1"]
MODEL = "--model m.safetensors"
SCORING = [MODEL, "--metric si_sdr", "-o new"]
FOLDERS = ["--speech speech", "--noise noise", "-o new"]
WORKING: dict[str, list[list[str]]] = {
    "enhance": [
        ["a.wav", "-o out.wav", MODEL],
        ["a.wav", "b.flac", "speech", "-o new", MODEL, "--skip-existing"],
        ["--files-from list.txt", "-o new", MODEL, "--json"],
        ["a.wav", "-o out.flac", "--noise-profile 0:0.1", "--model snmf", "--output-noise noise.wav"],
        ["-", "-o -", "--raw-format s16le", MODEL],
    ],
    "profile": [["noise/hiss/a.wav", "-o profile.safetensors", "--model snmf", "--span 0:0.5"]],
    "models": [["--json"]],
    "export": [["model.onnx", MODEL, "--rate-hz 48000", "--attenuation-input"]],
    "train": [
        [*TRAINING, "-o new"],
        [*FOLDERS, "--epochs 1", "--network gru", "--set network.units=4"],
        [*FOLDERS, "--epochs 1", "--init m.safetensors"],
    ],
    "prepare": [FOLDERS, ["--noisy noisy", "--clean clean", "-o new"], ["--speech speech", "--noise noise", "-o exp"]],
    "features": [["exp/manifest.jsonl", "-o new"], ["exp/manifest.jsonl", "-o new", "--shard 1/2"]],
    "pretrain": [["features", "-o new.safetensors"]],
    "evaluate": [
        ["--manifest exp/manifest.jsonl", *SCORING],
        ["--clean clean", "--noisy noisy", "--enhanced again=noisy", *SCORING, "--baseline m"],
        ["--clean clean", "--enhanced noisy", "--metric stoi", "-o new"],
    ],
    "report": [["exp", "-o new.html"], ["m.safetensors", "-o new.html", "--scores exp/test"]],
    "show": [["exp"], ["m.safetensors", "--plot atoms.png"]],
    "verify": [["exp"], ["features"]],
}
"""Lines of each command that work in :func:`write_files`; a piece is an argument, or an option and its value."""
PATHS = [
    "a.wav", "b.flac", "empty.wav", "clean", "noisy", "text.txt", "list.txt", "config.toml", "speech", "noise",
    "speech/s0", "exp", "exp/manifest.jsonl",
    "exp/best.safetensors", "m.safetensors", "d.safetensors", "features", "features/plan.json",
    "none.wav", "none/deep/er", "a.wav/below", "new", "new.safetensors", "out.wav", "out.mp3", "out.xyz", "new/", ".",
    "..", "", "-", "/dev/null", "/dev/full", "/proc/self/mem", "~", "*.wav", "speech/*/*.wav", "s-{000..009}.tar",
    "\udcff.wav", "ünï\n音.wav", "x" * 300, "loop", "dangling",
]  # fmt: skip
NUMBERS = ["0", "1", "2", "-1", "3.5", "1e309", "nan", "-inf", "1e-300", str(2**31), str(2**63), "1" * 5000, "0x10"]
WORDS = [
    "default", "snmf", "si_sdr", "dnsmos", "test", "dev", "gru", "deep-nmf", "cpu", "cuda", "meta", "mps", "cpu:9",
    "adam", "1/2", "2/1", "0:0.1", "9:1", "0:", "name=exp", "=", "wav", "flac", "PCM_16", "FLOAT", "s16le", "shared",
    "independent", "network.layers=2", "network.layers=nan", "train.eta=-1", "train.epochs=1", "x.y=z", "a=b=c",
    "features.context=0", "features.stft={}", "snmf.iterations=1e9", "prepare.copies=3", "train=1", "voicebank_demand",
]  # fmt: skip
VALUES = st.sampled_from(PATHS) | st.sampled_from(NUMBERS) | st.sampled_from(WORDS) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)  # fmt: skip
FORBIDDEN = {"--download", "--tensorboard"}
"""One reaches for the network, the other loads a package for seconds."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed on stderr."""

    line: list[str]
    code: int
    errors: str


@st.composite
def lines(draw: Callable[..., Any], name: str) -> list[str]:
    """Draw a line of a command: a working one, some pieces dropped or with other values, some options added."""
    pieces = [piece.split(" ", 1) for piece in draw(st.sampled_from(WORKING[name]))]
    line: list[str] = []
    for piece in pieces:
        fate = draw(st.sampled_from(["keep"] * 5 + ["drop", "change"]))
        if fate != "drop":
            line += piece if fate == "keep" else [*piece[:-1], draw(VALUES)]
    options = options_of(name)
    for index in draw(st.lists(st.integers(0, len(options) - 1), max_size=3)) if options else []:
        flag, takes_value = options[index]
        line += [flag, draw(VALUES)] if takes_value else [flag]
    line += draw(st.lists(VALUES, max_size=1))
    return [name, *line, *(TINY if name in {"pretrain", "train"} else [])]


def options_of(name: str) -> list[tuple[str, bool]]:
    """Return the options of a command, and whether each takes a value."""
    command: Any = typer.main.get_command(cli.application())
    found = [(parameter.opts[-1], not parameter.is_flag) for parameter in command.commands[name].params
             if parameter.param_type_name == "option"]  # fmt: skip
    return [option for option in found if option[0] not in FORBIDDEN]


def write_files(folder: Path) -> None:
    """Write what the lines name below a folder: recordings, a model, an experiment of all stages, odd files."""
    for index, pitch_hz in enumerate((110, 140, 190, 230)):
        _write(folder / f"speech/s{index}/a.wav", voice(pitch_hz, 6 * pitch_hz, index, 0.6))
    for kind in ("hiss", "hum", "rumble"):
        _write(folder / f"noise/{kind}/a.wav", noise(kind, 0, 0.8))
        _write(folder / f"clean/{kind}.wav", voice(150, 900, 0, 0.3))
        _write(folder / f"noisy/{kind}.wav", voice(150, 900, 0, 0.3) + 0.1 * noise(kind, 0, 0.3))
    _write(folder / "a.wav", voice(150, 900, 0, 0.3))
    _write(folder / "b.flac", voice(150, 900, 0, 0.3))
    (folder / "empty.wav").touch()
    (folder / "text.txt").write_text("nothing that is audio\n")
    (folder / "list.txt").write_text("a.wav\nnone.wav\n")
    (folder / "config.toml").write_text("[network]\nlayers = 2\n")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    save_model(folder / "m.safetensors", small_model())
    for line in (
        "prepare --speech speech --noise noise -o exp",
        "features exp/manifest.jsonl -o features --set network.kind=deep-nmf",
        " ".join(["pretrain features -o d.safetensors", *TINY]),
        " ".join(["train", *TRAINING, "-o exp"]),
        "evaluate --manifest exp/manifest.jsonl --model exp --metric si_sdr -o exp/test",
    ):
        ended = run(line.split(), folder, seconds=600)
        assert ended.code == 0, ended


def _write(path: Path, samples: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ, "PCM_16")


def run(line: list[str], folder: Path, seconds: float = SECONDS) -> Ended:
    """Run a command line in this process, in a folder, for a bounded processor time."""
    errors = io.StringIO()
    with _as_before(), contextlib.redirect_stderr(errors), contextlib.redirect_stdout(_stream()):
        os.chdir(folder)
        sys.argv, sys.stdin = ["deepnmf", *line], _stream()
        code: Any = 0
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return Ended(line, code, errors.getvalue())


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Put back what a command changes in its process."""
    here, line, stdin, environment = Path.cwd(), sys.argv, sys.stdin, dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPROF)}
    signal.signal(signal.SIGPROF, signal.default_int_handler)
    try:
        yield
    finally:
        os.chdir(here)
        sys.argv, sys.stdin = line, stdin
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return all files below a folder with their bytes, and its folders."""
    return {
        os.fsdecode(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def copy_of(files: Path, folder: Path) -> Path:
    """Return a folder with a new copy of some files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(files, folder, symlinks=True)
    return folder
