"""Completion of values in the shell; what it imports is loaded at each press of the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model_cards import package_models


def completion(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes a value to one of `names`."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


def complete_model(incomplete: str) -> list[str]:
    """Complete the name of a model of the package; without a match the shell completes paths."""
    return completion(package_models())(incomplete)
