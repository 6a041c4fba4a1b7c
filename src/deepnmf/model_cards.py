r"""The cards of the package's models: Markdown, from which scores and limitations are parsed.

Scores are in the first table of the section "Scores": a column for each metric, a row for each model, named in
backticks. That table is the only copy of a model's scores.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "models"
LIMITATIONS = "Limitations"
"""Title of the section on limitations."""
COMPARISON = "default"
"""Model whose card compares the models of the package, on the same mixtures, with the noisy input."""


def package_models() -> list[str]:
    """Return the names of the package's models."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def package_path(name: str) -> Path:
    """Return the file of a model of the package."""
    return FOLDER / f"{name}.safetensors"


def package_card(name: str) -> str:
    """Return the card in Markdown of a model of the package; empty for another name."""
    path = FOLDER / f"{name}.md"
    return path.read_text(encoding="utf-8") if name in package_models() and path.is_file() else ""


def limitations(card: str) -> str:
    r"""Return the section on limitations of a card as one line of plain text, empty without one.

    Examples
    --------
    >>> limitations("# m\n\n## Limitations\n\nAt −6 dB,\n[babble](noise.md).\n\n## Data\n")
    'At -6 dB, babble.'
    """
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", _section(card, LIMITATIONS))  # of a link, its words
    return " ".join(text.split()).replace("`", "").replace("−", "-")


def scores(card: str, system: str) -> dict[str, float]:
    r"""Return the scores of a system in a card, by metric as `deepnmf evaluate` names them; empty without a row.

    Examples
    --------
    >>> card = "## Scores\n\n| mean | SI-SDR, dB | STOI |\n|---|---|---|\n| noisy | −1.5 | 0.6 |\n| `m` | 9.5 | |\n"
    >>> scores(card, "noisy"), scores(card, "m")
    ({'si_sdr': -1.5, 'stoi': 0.6}, {'si_sdr': 9.5})
    """
    table = re.search(r"(?:^\|.*\n?)+", _section(card, "Scores"), re.MULTILINE)
    lines = table[0].splitlines() if table else [""]
    header, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    names = [cell.partition(",")[0].lower().replace("-", "_") for cell in header[1:]]
    found: dict[str, float] = {}
    for first, *cells in rows:
        if first.strip("`*") == system:
            for name, cell in zip(names, cells, strict=False):
                with contextlib.suppress(ValueError):  # an empty cell, a dash
                    found[name] = float(cell.replace("−", "-"))
    return found


def package_scores(system: str) -> dict[str, float]:
    """Return the scores of a model of the package, or of "noisy", by its own card else by the comparison's."""
    return scores(package_card(system), system) or scores(package_card(COMPARISON), system)


def _section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""
