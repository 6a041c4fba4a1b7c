"""Freed memory is used again, without page faults; where the C library has no such setting, nothing happens."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from deepnmf.training import memory

FAULTS = """
import resource, sys
import numpy as np
from deepnmf.training.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def use():
    np.ones(2**24, np.float32), np.ones(2**23, np.float32)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Return the page faults of arrays of 64 and 32 MB, after the first ones."""
    return int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_used_again() -> None:
    assert faults("keep") < 1000
    assert faults("keep") < faults("by default") / 10


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not memory.keep_freed_memory()
    monkeypatch.undo()
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not memory.keep_freed_memory()
