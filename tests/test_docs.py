"""The documentation: complete references, pages that hold what they should, and a site that needs no other server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import deepnmf
from deepnmf.cli import app
from helpers import ROOT

pytestmark = pytest.mark.slow

pytest.importorskip("mkdocs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built with every warning as an error: broken links and references are among them."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands
    assert "enhance" in commands
    for name, command in commands.items():
        assert f'id="deepnmf-{name}"' in page
        missing = [option for parameter in command.params for option in parameter.opts if option not in page]
        assert not missing, name


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert deepnmf.__all__
    assert [name for name in deepnmf.__all__ if f'id="deepnmf.{name}"' not in page] == []


def test_equations_are_mathml(site: Path) -> None:
    source = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    page = (site / "model.html").read_text(encoding="utf-8")
    assert page.count("<math ") == source.count("```math") > 10


def test_nothing_is_loaded_from_other_servers(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|img|iframe|link(?! rel=\"canonical\"))\b[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*")
    assert [found for page in pages for found in loaded.findall(page.read_text(encoding="utf-8"))] == []
