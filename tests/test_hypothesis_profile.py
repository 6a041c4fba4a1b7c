"""Every property test follows the profile of Hypothesis, such as thorough."""

from __future__ import annotations

from hypothesis import settings

from helpers import ROOT
from helpers.examples import at_rate


def test_no_test_fixes_its_number_of_examples() -> None:
    fixed = {path.name for path in (ROOT / "tests").rglob("*.py") if "max_examples=" in path.read_text("utf-8")}
    assert fixed == {"conftest.py", "examples.py", "test_hypothesis_profile.py"}


def test_the_number_scales_with_the_profile() -> None:
    before, usual = settings.get_current_profile_name(), at_rate(50).max_examples
    settings.load_profile("thorough")
    try:
        assert at_rate(50).max_examples == 1000
    finally:
        settings.load_profile(before)
    assert at_rate(50).max_examples == usual
