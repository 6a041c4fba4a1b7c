"""Equations: fences named ``math`` hold LaTeX, which becomes MathML as the site is built; no script is needed."""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def on_config(config: Any, **_: Any) -> Any:
    """Add the fence to those of Markdown (an event of MkDocs)."""
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "equation", "format": equation})
    return config


def equation(source: str, _language: str, name: str, _options: Any, _markdown: Any, **_: Any) -> str:
    """Return LaTeX as MathML in a box of its own, which scrolls where the screen is narrow."""
    return f'<div class="{name}">{convert(source.strip(), display="block")}</div>'
