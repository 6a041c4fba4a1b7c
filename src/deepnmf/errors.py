"""User-facing exceptions: one line with the problem, its place, and a remedy."""

from __future__ import annotations

import importlib.util
import sys
import unicodedata


class DeepnmfError(Exception):
    """Invalid input. The command line prints its one-line message and exits with 1."""


class InputError(DeepnmfError, ValueError):
    """A file, a folder or a value that cannot be used."""


class ConfigError(InputError):
    """A setting that does not exist, or whose value is out of range."""


class MissingExtra(DeepnmfError, ImportError):  # noqa: N818 - a missing extra, not an error
    """An optional package is not installed.

    Parameters
    ----------
    purpose : str
        What needs it, as the subject of a sentence in the singular: ``"training"``.
    packages : str
        Names of the missing packages, as they are imported.

    Examples
    --------
    >>> print(MissingExtra("evaluation", "pystoi", "fast_bss_eval"))
    evaluation needs pystoi, fast_bss_eval: pip install pystoi fast-bss-eval
    """

    def __init__(self, purpose: str, *packages: str) -> None:
        command = " ".join(package.replace("_", "-") for package in packages)
        super().__init__(f"{purpose} needs {', '.join(packages)}: pip install {command}", name=packages[0])
        self._given = purpose, *packages

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, ...]]:
        """Pickle the arguments of the constructor: that of the exception is the finished line."""
        return type(self), self._given


def require(purpose: str, *packages: str) -> None:
    """Check that packages are installed, without importing them, which takes seconds for some.

    Raises
    ------
    MissingExtra
        If any is not; all missing ones are named.
    """
    if missing := [package for package in packages if not is_installed(package)]:
        raise MissingExtra(purpose, *missing)


def is_installed(package: str) -> bool:
    """Return whether a package can be found, without importing it."""
    if package in sys.modules:
        return sys.modules[package] is not None
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # an import hook that refuses
        return False


def unread(error: OSError | UnicodeError) -> str:
    """Return why a text file could not be read.

    Examples
    --------
    >>> unread(UnicodeDecodeError("utf-8", b"RIFF", 0, 1, "invalid start byte"))
    'it is not text in UTF-8'
    """
    return str(error.strerror or error) if isinstance(error, OSError) else "it is not text in UTF-8"


def unprinted(error: OSError) -> str:
    """Return the line about a stdout that cannot be written to, such as a file on a full disk."""
    return f"cannot write to stdout ({error.strerror or error})"


def printable(text: str) -> str:
    r"""Return text as one line, control characters and lone surrogates (from odd file names) escaped.

    Examples
    --------
    >>> print(printable("two\nlines"))
    two\nlines
    """
    kinds = {"Cc", "Cs", "Zl", "Zp"}
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in kinds else c for c in text)
