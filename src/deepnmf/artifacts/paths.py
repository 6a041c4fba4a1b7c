"""Paths as they are recorded and compared."""

from __future__ import annotations

import os
from pathlib import Path


def resolved(path: Path | str) -> Path:
    """Return an absolute path, its links followed; those in a circle stay, for which `Path.resolve` may raise."""
    return Path(os.path.realpath(path))
