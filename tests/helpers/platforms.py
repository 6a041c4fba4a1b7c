"""Marks of tests that not every platform can run."""

import sys

import pytest

NEEDS_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals, FIFOs and names of POSIX")
NEEDS_NAMES_OF_BYTES = pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="names are Unicode there")
