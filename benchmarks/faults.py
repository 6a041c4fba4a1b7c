"""Fault runs: kills and signals at random moments, a full disk, a clock that goes back, two runs, damaged files.

Usage: python benchmarks/faults.py [--moments 50] [--corruptions 1000] [--audio 2000] [--seed 0]
                                   [--only CHECK ...] [--commands NAME ...]

Each command is run once undisturbed, then disturbed and run again; its artifacts have to be those of the undisturbed
run, and nothing may be left beside them. What a damaged file gives has to be one line that names it. Prints a table;
exits with 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
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
from run_processes import Run, processes_in

from deepnmf.artifacts.locks import LOCK
from deepnmf.training.experiment import EXPERIMENT

VARIABLE = ("timing.json", "curves.csv", ".deepnmf-outputs.jsonl")
"""Files whose contents hold times, or the history of a folder."""
KEPT = ("torchinductor_", "pymp-")
"""First letters of temporary folders that torch keeps, and that are left if all processes are killed at once."""
COMMANDS = ["enhance", "features", "evaluate", "train", "train_ranks", "train_workers", "enhance_jobs", "evaluate_jobs"]
PARALLEL = {"train_ranks", "train_workers", "enhance_jobs", "evaluate_jobs"}
"""Those of several processes, in which a full disk and the clock change nothing."""
RANKS = {"train_ranks": 2}
"""Those that torchrun starts, in so many processes."""
STOP_SECONDS = 3.0
"""Time after a signal in which a command that was about to end may still end by itself."""
PAGE = 4096
Outcome = tuple[str, str, str]
"""Check, what was done, and ``"ok"`` or what is wrong."""


@dataclass(frozen=True)
class Command:
    """A command that is disturbed."""

    name: str
    line: list[str]
    output: Path
    work: Path
    """Its working folder."""
    ranks: int = 1

    def start(self, before: Callable[[], object] | None = None) -> Run:
        """Start it; `before` is called in its process first."""
        return Run(self.line, self.work, self.ranks, before)

    def run(self, before: Callable[[], object] | None = None) -> tuple[int, str]:
        """Run it; return exit code and what it printed on stderr."""
        return self.start(before).wait()

    def artifacts(self) -> dict[str, bytes]:
        """Return what it has written, temporary files included."""
        found = {
            path.relative_to(self.output).as_posix(): b"" if path.name in VARIABLE else path.read_bytes()
            for path in self.output.rglob("*")
            if path.is_file()
        }
        left = [path.name for path in (self.work / "tmp").glob("*") if not path.name.startswith(KEPT)]
        return found | {f"(temporary) {name}": b"" for name in left}

    def clear(self) -> None:
        """Delete what it has written."""
        shutil.rmtree(self.output, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)


def main() -> None:
    """Run the checks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--corruptions", type=int, default=1000)
    parser.add_argument("--audio", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    parser.add_argument("--commands", nargs="+", default=COMMANDS)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell lets jobs in the background ignore
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


def commands(folder: Path, names: Sequence[str], disk: Path | None = None) -> list[Command]:
    """Return the commands of these names on a tiny corpus below `folder`, which write there, or to another disk."""
    corruption.write_corpus(folder)
    sources = ["--speech", str(folder / "speech"), "--noise", str(folder / "noise")]
    settings = [word for setting in corruption.SETTINGS for word in ("--set", setting)]
    Run(["prepare", *sources, "-o", str(folder / "prepared")], folder / "run-prepare").wait()
    manifest, out = str(folder / "prepared/manifest.jsonl"), (disk or folder) / "out"
    enhance = ["enhance", str(folder / "noise"), "-o", str(out), "--skip-existing", "--model", "snmf"]
    evaluate = ["evaluate", "--manifest", manifest, "--model", "snmf", "--metric", "si_sdr", "-o", str(out)]
    train = ["train", *sources, "--epochs", "3", *settings, "-o", str(out)]
    corruption.write_corpus(folder / "long", seconds=20)
    longer = ["train", "--speech", str(folder / "long/speech"), "--noise", str(folder / "noise"), "--epochs", "3"]
    longer += ["--network", "gru", "--set", "network.units=8", "--set", "train.batch_segments=2", "-o", str(out)]
    lines = {
        "enhance": enhance,
        "features": ["features", manifest, "-o", str(out)],
        "evaluate": evaluate,
        "train": train,
        "train_ranks": train,
        "train_workers": [*longer, "--workers", "2"],
        "enhance_jobs": [*enhance, "-j", "2"],
        "evaluate_jobs": [*evaluate, "-j", "2"],
    }
    return [Command(name, lines[name], out, folder / f"run-{name}", RANKS.get(name, 1)) for name in names]


def killed(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Kill each command at random moments, and run it again."""
    return disturbed("killed", kill_after, folder, options)


def interrupted(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Interrupt each command at random moments, by Ctrl-C or SIGTERM: it removes what it has half written itself."""
    return disturbed("interrupted", interrupt_after, folder, options)


def disturbed(
    what: str,
    disturb: Callable[[Command, float, np.random.Generator], str],
    folder: Path,
    options: argparse.Namespace,
) -> Iterator[Outcome]:
    """Disturb each command at a random moment, or up to three times as it goes on, and run it to its end."""
    rng = np.random.default_rng(options.seed)
    for command in commands(folder, options.commands):
        seconds, expected = undisturbed(command)
        for _ in range(options.moments):
            command.clear()
            times = rng.uniform(0, seconds, rng.integers(1, 4))
            ended = next((wrong for moment in times if (wrong := disturb(command, moment, rng)) != "ok"), "ok")
            again = compared(command, expected, *command.run())
            moments = ", then ".join(f"{moment:.2f} s" for moment in times)
            yield f"{what}: {command.name}", f"after {moments}", ended if ended != "ok" else again
        command.clear()


def undisturbed(command: Command) -> tuple[float, dict[str, bytes]]:
    """Run a command; return the seconds that it takes, and its artifacts."""
    command.clear()
    start = time.monotonic()
    code, errors = command.run()
    if code:
        raise SystemExit(f"{command.name}: undisturbed, it exits with {code}: {errors}")
    return time.monotonic() - start, command.artifacts()


def kill_after(command: Command, seconds: float, rng: np.random.Generator) -> str:
    """Start a command, kill it or one of its processes after some time, and return what is wrong with its end."""
    run = command.start()
    time.sleep(seconds)
    run.kill(rng)
    left, (_, errors) = run.left_over(), run.wait()
    if left:
        return f"{len(left)} processes go on"
    odd = [line for line in errors.splitlines() if line.startswith(("Traceback", "deepnmf: unexpected"))]
    return f"printed {odd[0]}" if odd else "ok"


def interrupt_after(command: Command, seconds: float, rng: np.random.Generator) -> str:
    """Start a command, interrupt it after some time, and return what is wrong with its end."""
    number = signal.Signals(rng.choice([signal.SIGINT, signal.SIGTERM]))
    run = command.start()
    time.sleep(seconds)
    (run.interrupt if number == signal.SIGINT else run.terminate)()
    left, (code, errors) = run.left_over(), run.wait()
    if left:
        return f"{len(left)} processes go on"
    # Ranks print which of them has ended first, as an error; before its first line, a command ends as Python does.
    right = {0, 128 + number, -number} | ({1} if command.ranks > 1 else set())
    if code not in right:
        return f"{number.name}, and exit {code}: {errors.splitlines()[-1:]}"
    return unwound(command, code, errors)


def signalled(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Send Ctrl-C or SIGTERM at moments spread over commands that start from cold, with their imports."""
    script = "import sys; from deepnmf.__main__ import main; sys.exit(main())"
    found = commands(folder, [name for name in options.commands if name not in RANKS])
    helped = Command("help", ["--help"], folder / "none", folder / "run-help")
    for command, program in [
        (helped, ["-c", script]),
        (helped, ["-m", "deepnmf"]),
        *((c, ["-c", script]) for c in found),
    ]:
        line, name = [sys.executable, *program, *command.line], f"signalled: {command.name} by {program[0]}"
        start = time.monotonic()
        cold(line, command).communicate()
        seconds = time.monotonic() - start
        for index, number in itertools.product(range(options.moments), (signal.SIGINT, signal.SIGTERM)):
            command.clear()
            moment = seconds * (index + 0.5) / options.moments
            process = cold(line, command)
            time.sleep(moment)
            sent = time.monotonic()
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does
            else:
                process.send_signal(number)
            errors = process.communicate()[1]
            took, left = time.monotonic() - sent, processes_in(command.work)
            yield name, f"{number.name} after {moment:.3f} s", stopped(command, process.returncode, errors, took, left)
        command.clear()


def cold(line: list[str], command: Command) -> subprocess.Popen[str]:
    """Start a line as a process that has nothing imported, in the working folder of a command."""
    (command.work / "tmp").mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        line,
        cwd=command.work,
        env={**os.environ, "TMPDIR": str(command.work / "tmp")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stopped(command: Command, code: int, errors: str, seconds: float, left: list[int]) -> str:
    """Return whether a signal has ended a command, quietly and soon."""
    if "Traceback" in errors and f"{os.sep}deepnmf{os.sep}" not in errors and not command.artifacts():
        return "ok"  # before the first line of the package, while Python itself starts
    if "ignored" in errors or code == 1:
        return f"exit {code}: {errors.splitlines()[-1:]}"
    if code == 0 and seconds > STOP_SECONDS:
        return f"goes on for {seconds:.1f} s"
    return f"{len(left)} processes go on" if left else unwound(command, code, errors)


def unwound(command: Command, code: int, errors: str) -> str:
    """Return whether an interrupted command has ended as it should, with nothing half-written."""
    if code not in {0, 1, 128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM}:
        return f"exit {code}: {errors.splitlines()[-1:]}"
    odd = [line for line in errors.splitlines() if line.startswith(("Traceback", "deepnmf: unexpected"))]
    half = [
        name
        for name in command.artifacts()
        if Path(name).name.startswith((".deepnmf-", "(temporary)")) and name not in VARIABLE
    ]
    return f"printed {odd[0]}" if odd else f"left: {', '.join(half)}" if half else "ok"


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
    for command in commands(folder, [name for name in options.commands if name not in PARALLEL]):
        _, expected = undisturbed(command)
        for _ in range(max(1, options.moments // 5)):
            limit = int(10 ** rng.uniform(1, 5.5))
            command.clear()
            code, errors = command.run(functools.partial(limit_files, limit))
            yield f"disk full: {command.name}", f"at {limit} bytes", refused(command, expected, code, errors)
            again = compared(command, expected, *command.run())
            yield f"disk full: {command.name}", f"at {limit} bytes, run again", again
        command.clear()


def small_disk(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Run each command on a disk (tmpfs, which root can mount) that is too small for it, then grow the disk."""
    rng, disk = np.random.default_rng(options.seed), folder / "disk"
    disk.mkdir(parents=True)
    if os.geteuid() or not _mounted(disk, 2**30):
        return
    try:
        for command in commands(folder, [name for name in options.commands if name not in PARALLEL], disk):
            _, expected = undisturbed(command)
            needed = sum(-(-len(content) // PAGE) * PAGE for content in expected.values())
            for _ in range(max(1, options.moments // 5)):
                command.clear()
                size = PAGE * int(rng.integers(1, needed // PAGE + 2))
                _mounted(disk, size, "remount,")
                first = refused(command, expected, *command.run())
                yield f"small disk: {command.name}", f"{size} of {needed} bytes", first
                _mounted(disk, 2**30, "remount,")
                again = compared(command, expected, *command.run())
                yield f"small disk: {command.name}", f"{size} of {needed} bytes, grown", again
            command.clear()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _mounted(disk: Path, size: int, how: str = "") -> bool:
    line = ["mount", "-t", "tmpfs", "-o", f"{how}size={size}", "tmpfs", str(disk)]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


def limit_files(size: int) -> None:
    """Let this process write no file beyond a size, in bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def refused(command: Command, expected: dict[str, bytes], code: int, errors: str) -> str:
    """Return whether a run that could not write has given the reason, and left only whole artifacts."""
    if code not in {0, 1} or "Traceback" in errors or "unexpected" in errors:
        return f"exit {code}: {errors.splitlines()[-1:]}"
    if code and not any(line.startswith("deepnmf: ") for line in errors.splitlines()):
        return "no line gives the reason"
    partial = {name for name in command.artifacts() if "partial" in name}  # made for runs that are interrupted
    if stray := sorted(command.artifacts().keys() - expected.keys() - partial):
        return f"stray: {', '.join(stray)}"
    return "ok"


def clock_back(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Run each command with a clock that goes back at every look, and with inputs of the future."""
    for command in commands(folder, [name for name in options.commands if name not in PARALLEL]):
        _, expected = undisturbed(command)
        command.clear()
        code, errors = command.run(turn_back)
        yield f"clock: {command.name}", "goes back", compared(command, expected, code, errors)
        for path in command.output.rglob("*"):
            os.utime(path, (4e9, 4e9))
        yield f"clock: {command.name}", "artifacts of the future", compared(command, expected, *command.run())
        command.clear()


def turn_back() -> None:
    """Let the clocks of this process go back by a second at every look."""
    count = itertools.count()
    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, lambda: 1e9 - next(count))


def two_at_once(folder: Path, options: argparse.Namespace) -> Iterator[Outcome]:
    """Start a training in the folder of another, which is stopped meanwhile and killed then."""
    (command,) = commands(folder, ["train"])
    _, expected = undisturbed(command)
    for _ in range(max(1, options.moments // 10)):
        first = stopped_at_work(command)
        code, errors = dataclasses.replace(command, work=folder / "run-second").run()
        verdict = "ok" if code == 1 and "another run" in errors else f"exit {code}: {errors.splitlines()[-1:]}"
        yield "two trainings", "the second", verdict
        first.kill()
        first.wait()
        yield "two trainings", "after the first has died", compared(command, expected, *command.run())


def stopped_at_work(command: Command) -> Run:
    """Start a training, and return it stopped while it has the lock of its folder, under which it writes all files."""
    while True:
        command.clear()
        run = command.start()
        while not (command.output / EXPERIMENT).exists() and not run.has_ended():
            time.sleep(0.01)
        if run.stop() and (command.output / LOCK).exists():
            return run
        run.kill()  # it was faster than this process: another try
        run.wait()


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
    "interrupted": interrupted,
    "signalled": signalled,
    "full_disk": full_disk,
    "small_disk": small_disk,
    "clock_back": clock_back,
    "two_at_once": two_at_once,
    "corrupted": corrupted,
    "mutated": mutated,
}

if __name__ == "__main__":
    main()
