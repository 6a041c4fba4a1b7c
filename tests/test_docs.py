"""The documentation: complete references, pages that hold what they should, and a site that needs no other server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import deepnmf
from deepnmf.cli import app
from deepnmf.errors import DeepnmfError
from helpers import ROOT
from helpers.chromium import open_chromium, set_screen, skip_without_chromium
from helpers.waiting import wait_until

pytestmark = pytest.mark.slow

for package in ("mkdocs", "onnxruntime", "platformdirs"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built with every warning as an error: broken links and references are among them."""
    from deepnmf.page.runtime import runtime_folder

    try:
        runtime_folder()
    except DeepnmfError as error:
        pytest.skip(str(error))
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
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        missing = [name for option in options for name in option.opts if name not in page]
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


def test_the_first_page_has_the_page_for_browsers_and_an_example_to_listen_to(site: Path) -> None:
    html = (site / "index.html").read_text(encoding="utf-8")
    referenced = re.findall(r'(?:src|href)="((?:try|example)/[^"]+)"', html)
    assert {each.partition("/")[2] for each in referenced} == {
        "index.html",
        "before.wav",
        "after.wav",
        "spectrograms.png",
    }
    assert all((site / each).stat().st_size > 1000 for each in referenced)
    description = json.loads((site / "try" / "page.json").read_text(encoding="utf-8"))
    files = [*description["runtime"].values(), *(model["graph"] for model in description["models"])]
    assert len(files) > 4
    assert all((site / "try" / file["url"]).is_file() for file in files)


def test_from_a_disk_the_search_finds_and_the_first_page_fits_a_phone(site: Path, tmp_path: Path) -> None:
    skip_without_chromium()
    browser = open_chromium(tmp_path / "profile")
    try:
        set_screen(browser, 1440)
        browser.get((site / "index.html").as_uri())
        browser.find_element("css selector", ".md-search__input").click()
        browser.switch_to.active_element.send_keys("attenuation")
        wait_until(lambda: browser.find_elements("css selector", ".md-search-result__item"))
        set_screen(browser, 390)
        browser.get((site / "index.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.quit()
