"""Files that live elsewhere in the repository, read where they are; links between them and to source files."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s#:]+)(#[^()\s]*)?\)")


def pages() -> dict[str, str]:
    """Return the path in the site of each file from outside ``docs/``, by its path in the repository."""
    readmes = {path.relative_to(ROOT).as_posix(): path.parent.name for path in ROOT.glob("recipes/*/README.md")}
    cards = [path.name for path in ROOT.glob("src/deepnmf/models/*.md")]
    return {
        "data/README.md": "corpora.md",
        "benchmarks/RESULTS.md": "results/benchmarks.md",
        "recipes/open/RESULTS.md": "results/open.md",
        "recipes/open/ABLATIONS.md": "results/ablations.md",
        "recipes/open/model_size/pareto.svg": "results/pareto.svg",
        "recipes/open/atoms.png": "results/atoms.png",
        **{path: f"recipes/{name}.md" for path, name in readmes.items()},
        **{f"src/deepnmf/models/{name}": f"models/{name}" for name in cards},
    }


PAGES = pages()


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages to those of ``docs/`` (an event of MkDocs)."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links to repository files to their pages and modules; of other files keep the words (an event of MkDocs)."""
    source = Path(page.file.abs_src_path).relative_to(ROOT).as_posix()
    return LINK.sub(lambda link: _translated(link, source, page.file.src_uri), markdown)


def _translated(link: re.Match[str], source: str, page: str) -> str:
    text, target, anchor = link[1], link[2], link[3] or ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    for known in (path, f"{path}/README.md", f"{path}/RESULTS.md"):  # a link to a folder shows its page
        if known in PAGES or known.startswith("docs/"):
            uri = PAGES.get(known, known.removeprefix("docs/"))
            return f"[{text}]({posixpath.relpath(uri, posixpath.dirname(page) or '.')}{anchor})"
    if path.startswith("src/deepnmf/") and path.endswith(".py"):
        module = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return f"[{text}][{module}]"
    return text if (ROOT / path).exists() else link[0]
