"""The number of examples of a property, which follows the profile of Hypothesis."""

from __future__ import annotations

from hypothesis import settings


def at_rate(examples_of_hundred: int) -> settings:
    """Return settings of a test that draws so many examples where others draw 100, and more in the profile thorough."""
    return settings(max_examples=max(1, examples_of_hundred * settings().max_examples // 100), deadline=None)
