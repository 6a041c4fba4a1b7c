"""docs/dependencies.md has every package in pyproject.toml, and every extra."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from helpers import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;, ]", requirement)[0] for requirement in requirements}


def named_in(cells: list[str]) -> set[str]:
    return set(re.findall(r"[\w.-]+", " ".join(cells)))


def test_every_dependency_has_a_row_with_its_licence() -> None:
    rows = {name: row for row in ROWS for name in row[0].split(", ")}
    assert names(PROJECT["dependencies"]) <= rows.keys()
    assert all(re.search(r"MIT|BSD|Apache|ISC|LGPL|MPL", rows[name][2]) for name in names(PROJECT["dependencies"]))


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_every_extra_has_a_row_with_its_packages(extra: str) -> None:
    (row,) = [row for row in ROWS if row[0] == f"`{extra}`"]
    others = [cell for other in ROWS for cell in other if f"`{other[0].strip('`')}`" in row[1]]  # "those of `plot`"
    stubs = {"types-tqdm"}
    assert names(PROJECT["optional-dependencies"][extra]) - stubs <= named_in([row[1], *others])
