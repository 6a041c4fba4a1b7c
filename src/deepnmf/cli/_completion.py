"""Shell completion of values; its imports are loaded at each key press."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model_cards import package_models


def completion(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return the completion function for `names`."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


def complete_model(incomplete: str) -> list[str]:
    """Complete the name of a model of the package; without a match the shell completes paths."""
    return completion(package_models())(incomplete)
