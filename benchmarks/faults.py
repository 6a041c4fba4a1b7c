"""Fault runs: kills at random moments, a full disk, a clock that goes back, two runs at once, damaged files.

Usage: python benchmarks/faults.py [--moments 50] [--corruptions 1000] [--audio 2000] [--seed 0]
                                   [--only CHECK ...] [--commands NAME ...]

Each command is run once undisturbed, then disturbed and run again; its artifacts have to be those of the undisturbed
run, and nothing may be left beside them. What a damaged file gives has to be one line that names it. Prints a table;
exits with 1 if anything went wrong. The whole takes about an hour on an idle core.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import corruption
import mutated_audio
import numpy as np

VARIABLE = ("timing.json", "curves.csv", ".deepnmf-outputs.jsonl")
"""Files whose contents hold times, or the history of a folder."""
MODULE = [sys.executable, "-m", "deepnmf"]
BACKWARDS = """
import itertools, sys, time
count = itertools.count()
for name in ("time", "monotonic", "perf_counter"):
    setattr(time, name, lambda: 1e9 - next(count))
from deepnmf.cli import main
main()
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "deepnmf"]
Outcome = tuple[str, str, str]
"""Check, what was done, and ``"ok"`` or what is wrong."""


@dataclass(frozen=True)
class Command:
    """A command that is disturbed."""

    name: str
    line: list[str]
    output: Path
    program: tuple[str, ...] = tuple(MODULE)

    def start(self, program: list[str] | None = None, limit: int | None = None) -> subprocess.Popen[str]:
        """Start it in a session of its own; `limit` is the largest file that it can write, in bytes."""

        def full() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.Popen(
            [*(program or self.program), *self.line],
            start_new_session=True,
            preexec_fn=full,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def run(self, program: list[str] | None = None, limit: int | None = None) -> tuple[int, str]:
        """Run it; return exit code and what it printed on stderr."""
        process = self.start(program, limit)
        errors = process.communicate()[1]
        return process.returncode, errors

    def artifacts(self) -> dict[str, bytes]:
        """Return what it has written."""
        paths = (path for path in self.output.rglob("*") if path.is_file())
        return {
            path.relative_to(self.output).as_posix(): b"" if path.name in VARIABLE else path.read_bytes()
            for path in paths
        }

    def clear(self) -> None:
        """Delete what it has written."""
        shutil.rmtree(self.output, ignore_errors=True)


def main() -> None:
    """Run the checks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--corruptions", type=int, default=1000)
    parser.add_argument("--audio", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    parser.add_argument("--commands", nargs="+", default=["enhance", "features", "evaluate", "train", "train2"])
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for check in options.only:
            for name, what, outcome in CHECKS[check](Path(folder) / check, options):
                counts[name] += 1
                wrong[name] += outcome != "ok"
                if outcome != "ok" or ("mutated" not in name and "damaged" not in name):
                    print(f"{name}: {what}: {outcome}", file=sys.stderr, flush=True)
    print("| check | runs | wrong |\n|---|---:|---:|")
    for name, count in counts.items():
        print(f"| {name} | {count} | {wrong[name]} |")
    sys.exit(wrong.total() > 0)


def commands(folder: Path, names: Sequence[str]) -> list[Command]:
    """Return the commands of these names on a tiny corpus below `folder`, each with its input prepared."""
    corruption.write_corpus(folder)
    sources = ["--speech", str(folder / "speech"), "--noise", str(folder / "noise")]
    settings = [word for setting in corruption.SETTINGS for word in ("--set", setting)]
    training = [*sources, "--epochs", "3", *settings]
    subprocess.run([*MODULE, "prepare", *sources, "-o", str(folder / "prepared")], check=True, capture_output=True)
    manifest, out = str(folder / "prepared/manifest.jsonl"), folder / "out"
    scoring = ["--manifest", manifest, "--model", "snmf", "--metric", "si_sdr"]
    found = [
        Command(
            "enhance", ["enhance", str(folder / "noise"), "-o", str(out), "--skip-existing", "--model", "snmf"], out
        ),
        Command("features", ["features", manifest, "-o", str(out)], out),
        Command("evaluate", ["evaluate", *scoring, "-o", str(out)], out),
        Command("train", ["train", *training, "-o", str(out)], out),
    ]
    found.append(Command("train2", found[-1].line, out, tuple(TORCHRUN)))
    return [command for command in found if command.name in names]


def killed(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Kill each command at random moments, and run it again."""
    rng = np.random.default_rng(options.seed)
    for command in commands(folder, options.commands):
        command.clear()
        start = time.monotonic()
        command.run()
        seconds, expected = time.monotonic() - start, command.artifacts()
        for _ in range(options.moments):
            command.clear()
            moment = rng.uniform(0, seconds)
            kill_after(command, moment, rng)
            code, errors = command.run()
            yield f"killed: {command.name}", f"after {moment:.2f} s", compared(command, expected, code, errors)
        command.clear()


def kill_after(command: Command, seconds: float, rng: np.random.Generator) -> None:
    """Start a command and kill it, or one of its ranks, after some time."""
    process = command.start()
    time.sleep(seconds)
    ranks = children(process.pid) if command.program != tuple(MODULE) else []
    if ranks:
        os.kill(int(rng.choice(ranks)), signal.SIGKILL)
    elif process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def children(parent: int) -> list[int]:
    """Return the processes that a process has started (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


def compared(command: Command, expected: dict[str, bytes], code: int, errors: str) -> str:
    """Return whether the artifacts are those of an undisturbed run."""
    found = command.artifacts()
    if code:
        return f"run again, it exits with {code}: {errors.splitlines()[-1:]}"
    if stray := sorted(found.keys() ^ expected.keys()):
        return f"stray or missing: {', '.join(stray)}"
    other = [name for name in expected if found[name] != expected[name]]
    return f"differ: {', '.join(other)}" if other else "ok"


def full_disk(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Run each command with a limit on the size of files, then without."""
    rng = np.random.default_rng(options.seed)
    for command in commands(folder, [name for name in options.commands if name != "train2"]):
        command.clear()
        command.run()
        expected = command.artifacts()
        for _ in range(max(1, options.moments // 5)):
            limit = int(10 ** rng.uniform(1, 5.5))
            command.clear()
            code, errors = command.run(limit=limit)
            yield f"disk full: {command.name}", f"at {limit} bytes", refused(command, expected, code, errors)
            again = compared(command, expected, *command.run())
            yield f"disk full: {command.name}", f"at {limit} bytes, run again", again
        command.clear()


def refused(command: Command, expected: dict[str, bytes], code: int, errors: str) -> str:
    """Return whether a run that could not write says so, and has left only whole artifacts."""
    if code not in {0, 1} or "Traceback" in errors or "unexpected" in errors:
        return f"exit {code}: {errors.splitlines()[-1:]}"
    if code and not any(line.startswith("deepnmf: ") for line in errors.splitlines()):
        return "no line says why"
    partial = {name for name in command.artifacts() if "partial" in name}  # made for runs that are interrupted
    if stray := sorted(command.artifacts().keys() - expected.keys() - partial):
        return f"stray: {', '.join(stray)}"
    return "ok"


def clock_back(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Run each command with a clock that goes back at every look, and with inputs of the future."""
    for command in commands(folder, [name for name in options.commands if name != "train2"]):
        command.clear()
        command.run()
        expected = command.artifacts()
        command.clear()
        code, errors = command.run([sys.executable, "-c", BACKWARDS])
        yield f"clock: {command.name}", "goes back", compared(command, expected, code, errors)
        for path in command.output.rglob("*"):
            os.utime(path, (4e9, 4e9))
        yield f"clock: {command.name}", "artifacts of the future", compared(command, expected, *command.run())
        command.clear()


def two_at_once(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Start a training in the folder of another, which is killed then."""
    (command,) = commands(folder, ["train"])
    command.clear()
    command.run()
    expected = command.artifacts()
    for _ in range(max(1, options.moments // 10)):
        command.clear()
        first = command.start()
        while not (command.output / ".deepnmf-lock").exists() and first.poll() is None:
            time.sleep(0.01)
        code, errors = command.run()
        said = "ok" if code == 1 and "another run" in errors else f"exit {code}: {errors.splitlines()[-1:]}"
        yield "two trainings", "the second", said
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        yield "two trainings", "after the first has died", compared(command, expected, *command.run())


def corrupted(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Damage artifacts."""
    experiment = corruption.make_experiment(folder)
    for name, what, outcome in corruption.corruptions(experiment, options.corruptions, options.seed):
        yield "damaged artifacts", f"{name}: {what}", "ok" if outcome in {"named", "harmless"} else outcome


def mutated(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Damage recordings."""
    folder.mkdir(parents=True)
    for name, what, outcome in mutated_audio.mutations(folder, options.audio, options.seed):
        yield "mutated audio", f"{name}: {what}", "ok" if outcome in {"named", "read"} else outcome


CHECKS: dict[str, Callable[[Path, argparse.Namespace], Iterator[Outcome]]] = {
    "killed": killed,
    "full_disk": full_disk,
    "clock_back": clock_back,
    "two_at_once": two_at_once,
    "corrupted": corrupted,
    "mutated": mutated,
}

if __name__ == "__main__":
    main()
