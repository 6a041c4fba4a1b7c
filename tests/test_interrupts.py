"""Ctrl-C and SIGTERM end the command at any moment: quietly, with nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.enhance_cli import leftovers, write_endless
from helpers.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
COMMAND = """
from pathlib import Path
from deepnmf import __main__, cli
from deepnmf.artifacts import atomic
from deepnmf.artifacts.locks import only_run

def command(*_, **__):
    with only_run(Path("new")), atomic.atomic_path(Path("new/file")):
        import module_that_swallows

cli._needed = lambda _: command
__main__.main()
"""
SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.{})
except BaseException:
    pass
"""
LOSES = """
import os, signal, time
from deepnmf.interrupts import stop_on_signals

class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

with stop_on_signals():
    try:
        Lost()
        time.sleep(60)
    except KeyboardInterrupt:
        print("ended")
"""
HOLDS = """
import os, signal, time
from deepnmf.interrupts import held_back, stop_on_signals

with stop_on_signals(), held_back():
    ready, started = os.pipe()
    if not (child := os.fork()):
        os.write(started, b".")
        time.sleep(60)
        os._exit(1)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)  # which nothing holds back there
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.kill(os.getpid(), signal.{})
    print("goes on", flush=True)
"""


def ended(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, from which it can import."""
    line = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_import_that_catches_all_exceptions_does_not_swallow_a_signal(tmp_path: Path, name: str) -> None:
    (tmp_path / "module_that_swallows.py").write_text(SWALLOWS.format(name))
    result = ended(COMMAND, tmp_path)
    number = int(getattr(signal, name))
    assert (result.returncode, result.stderr) == (-number if name == "SIGINT" else 128 + number, "")
    assert not (tmp_path / "new").exists()


def test_a_signal_whose_exception_python_loses_is_sent_again(tmp_path: Path) -> None:
    result = ended(LOSES, tmp_path)
    assert (result.stdout, result.stderr) == ("ended\n", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_an_interrupted_command_ends_the_loop_of_a_shell(tmp_path: Path) -> None:
    write_endless(tmp_path / "long.wav")
    script = f"for i in 1 2; do echo $i; {sys.executable} -m deepnmf enhance long.wav --model snmf; done; echo end"
    line = ["bash", "-c", script]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: leftovers(tmp_path), process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate()[0].split() == ["1"]
    assert process.returncode == -signal.SIGINT


def test_a_worker_that_gets_two_signals_at_once_ends_silently() -> None:
    code = (
        "import os, signal\n"
        "from deepnmf.evaluation import workers\n"
        "workers._on_signals(workers._end)\n"
        "both = {signal.SIGINT, signal.SIGTERM}\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, both)\n"
        "for number in both: os.kill(os.getpid(), number)\n"
        "try: signal.pthread_sigmask(signal.SIG_UNBLOCK, both)\n"
        "except SystemExit: print('ends', flush=True)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ends\n", "")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 128 + signal.SIGTERM), ("SIGINT", -signal.SIGINT)])
def test_signals_are_held_back_while_processes_are_started_but_not_in_those(
    name: str, code: int, tmp_path: Path
) -> None:
    found = ended(HOLDS.format(name), tmp_path)
    assert found.stdout.split() == [str(128 + signal.SIGTERM), "goes", "on"]
    assert found.returncode == code
    assert name == "SIGINT" or not found.stderr  # of which Python prints a KeyboardInterrupt
