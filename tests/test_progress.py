"""Progress is a bar on a terminal and a few lines in a log, and never in the way of the work."""

from __future__ import annotations

import io
import sys

import pytest

from deepnmf import progress
from deepnmf.progress import Progress


class Clock:
    """Seconds that pass only when a test lets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "monotonic", made)
    return made


def run(clock: Clock, steps: int, seconds: float, **options: bool) -> None:
    with Progress("features", steps, "mixtures", **options) as bar:
        for step in range(steps):
            clock.now += seconds
            bar.update(note=f"step {step}")


def test_a_log_has_a_line_at_start_and_end_and_at_most_one_a_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    run(clock, steps=1200, seconds=0.125)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "1,200 mixtures" in lines[0]
    assert "1,200 mixtures in 02:30" in lines[-1]
    assert "480 of 1,200" in lines[1]
    assert all("\r" not in line for line in lines)


def test_slow_steps_have_a_line_each(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    run(clock, steps=3, seconds=600)
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_brief_steps_are_silent_unless_they_are_long(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    run(clock, steps=10, seconds=1, brief=True)
    assert capsys.readouterr().err == ""
    run(clock, steps=10, seconds=7, brief=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert "9 of 10" in line
    assert "step 8" in line


def test_what_an_earlier_run_did_is_not_counted_as_work(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("evaluate", 10, "recordings", done=7) as bar:
        bar.update(3)
    first, last = capsys.readouterr().err.splitlines()
    assert "7 done already" in first
    assert "done, 3 recordings" in last


def test_a_stage_that_fails_is_not_reported_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), Progress("features", None, "mixtures"):
        raise ZeroDivisionError
    assert "done" not in capsys.readouterr().err


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("features", 2, "mixtures") as bar:
        bar.update()
        bar.write("a.wav: left out")
        bar.update()
    text = sys.stderr.getvalue()
    assert "100%" in text
    assert "a.wav: left out\n" in text


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full(), "closed"])
def test_a_bad_stderr_does_not_stop_the_work(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | str | None
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream == "closed" else stream)
    with Progress("features", 3, "mixtures") as bar:
        for _ in range(3):
            clock.now += 61
            bar.update()
        bar.write("a line")
    assert bar.count == 3
