"""What holds for every text of the repository: width of lines, references, one version."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from deepnmf._version import __version__
from helpers import ROOT


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


def test_no_page_that_does_not_exist_is_referred_to() -> None:
    mentioned = "MODEL" + ".md"
    for folder in ("src", "docs", "recipes", "benchmarks", "tests"):
        files = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".toml", ".sh"}]
        assert [str(path) for path in files if mentioned in path.read_text(encoding="utf-8")] == []


def test_the_version_is_that_of_citation_and_changelog() -> None:
    released = re.findall(r"^## ([\d.]+) ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert released[0] == __version__
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]


def test_scripts_are_executable_and_parse() -> None:
    scripts = [ROOT / ".ci" / name for name in ("lowest", "package", "readme_block", "run")]
    for script in [*scripts, *(ROOT / "recipes").rglob("run.sh")]:
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert script.stat().st_mode & 0o100
