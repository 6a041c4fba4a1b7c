"""What holds for every text of the repository: width of lines, links, references, one version."""

from __future__ import annotations

import itertools
import pydoc
import re
import subprocess
from pathlib import Path

import pytest

from deepnmf._version import __version__
from helpers import ROOT

MEMBER = re.compile(r"^::: (\S+)", re.MULTILINE)
"""What a page of the reference describes."""


def pages() -> list[Path]:
    """Return the Markdown files of the repository, built and ignored folders left out."""
    ignored = {"build", "dist", "exp", "node_modules", "venv"}
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not ignored & {*path.parts} and path.parts[0][:1] != ".")


def too_long(text: str) -> list[int]:
    """Return the numbers of the lines above 120 columns; rows of tables and bare links cannot be broken."""
    lines = enumerate(text.splitlines(), 1)
    return [number for number, line in lines if len(line) > 120 and not re.match(r"\||\s*[-*]?\s*\S+$", line)]


@pytest.mark.parametrize("page", pages(), ids=str)
def test_no_line_is_above_120_columns(page: Path) -> None:
    assert too_long((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if ":" not in path:
            found = (ROOT / page).parent / path if path else ROOT / page
            assert found.exists(), target
            assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """Return the places of a page that links can lead to: headings, as GitHub names them, and names of our own.

    Examples
    --------
    >>> sorted(anchors("## The `default` rule\\n## 1. NMF { #model-1 }"))
    ['1-nmf', 'model-1', 'the-default-rule']
    """
    headings = re.findall(r"^#+ (.*?)(?:\{.*\})?$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"\{ #([\w-]+) \}", text)) | set(re.findall(r'id="([\w-]+)"', text))


@pytest.mark.parametrize("page", [page for page in pages() if page.parts[0] == "docs"], ids=str)
def test_names_in_the_documentation_are_in_its_reference(page: Path) -> None:
    members = {name for path in (ROOT / "docs/reference").glob("*.md") for name in MEMBER.findall(path.read_text())}
    for name in re.findall(r"\]\[(deepnmf[\w.]*)\]", (ROOT / page).read_text(encoding="utf-8")):
        assert pydoc.locate(name) is not None, name
        parents = itertools.accumulate(name.split("."), "{}.{}".format)
        assert members & set(parents), name


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    own = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    recipes = [f"recipes/{path.parent.name}.md" for path in (ROOT / "recipes").glob("*/README.md")]
    assert [name for name in own + recipes if f": {name}\n" not in navigation] == []


def test_the_version_is_that_of_citation_and_changelog() -> None:
    released = re.findall(r"^## ([\d.]+) ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert released[0] == __version__
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]


def test_scripts_are_executable_and_parse() -> None:
    scripts = [path for path in (ROOT / ".ci").iterdir() if path.read_text(encoding="utf-8").startswith("#!")]
    assert scripts
    for script in [*scripts, *(ROOT / "recipes").rglob("run.sh")]:
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert script.stat().st_mode & 0o100
