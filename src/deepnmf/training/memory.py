"""Memory that the process keeps between updates."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of ``mallopt`` (``malloc.h`` of glibc)."""
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next allocations, and return whether it does; only glibc can.

    By default, glibc maps large blocks one by one and returns them to the system when they are freed. The tensors of
    each update then cost page faults, for pages that the kernel has to zero: a third of the processor time of training
    recurrent networks. Kept, freed blocks of other sizes take a tenth to a half as much memory again.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, LARGEST_INT))
