"""What holds for every text of the repository: references, one version."""

from __future__ import annotations

import re
import subprocess

from deepnmf._version import __version__
from helpers import ROOT


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
