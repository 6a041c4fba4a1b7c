"""Docstrings name functions by Sphinx roles and equations by their section; here both become links of the site."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([\w.]+)`")
SECTION = re.compile(r"docs/model\.md §(\d)")


class Links(Extension):
    """Turn ``:func:`name``` and ``docs/model.md §1`` into references that mkdocstrings resolves, or warns about."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object (an event of griffe)."""
        if obj.docstring is not None:
            value = ROLE.sub(r"[`\1`][\1]", obj.docstring.value)
            obj.docstring.value = SECTION.sub(r"[docs/model.md §\1][model-\1]", value)
