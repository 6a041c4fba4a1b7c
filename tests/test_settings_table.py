"""The documentation's tables of settings hold every setting, with its default and its range."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import pytest

from deepnmf.config import FeatureConfig, PrepareConfig, SnmfConfig, StftSpec
from deepnmf.networks.kinds import KINDS
from helpers import ROOT
from helpers.scripts import loaded

NETWORKS, TRAININGS = ([getattr(KINDS[kind], name) for kind in KINDS] for name in ("SETTINGS", "TRAINING"))
CLASSES = {PrepareConfig, FeatureConfig, StftSpec, SnmfConfig, *NETWORKS, *TRAININGS}


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return loaded(ROOT / "docs" / "hooks" / "settings.py")


@pytest.mark.parametrize("cls", sorted(CLASSES, key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_every_setting_has_a_row_and_a_meaning(cls: type, hook: ModuleType) -> None:
    section = hook.tables().partition(f"## Section `{cls.SECTION}`\n")[2].partition("\n## ")[0]  # type: ignore[attr-defined]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        if item.name in ("kind", "stft"):
            continue
        shown = {"None": "none", "True": "true", "False": "false"}.get(str(item.default), str(item.default))
        found = [row for row in rows if row[0] == f"| `{item.name}`" and row[1] == f"`{shown}`"]
        assert found, item.name
        assert all(len(row[4]) > 10 for row in found), f"{item.name} has no description after it"
        if item.metadata.get("range"):
            assert any(f"{item.metadata['range'][1]:,.12g}" in row[3] for row in found)


def test_the_page_has_the_mark(hook: ModuleType) -> None:
    assert hook.MARK in (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8").splitlines()
