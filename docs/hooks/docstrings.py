"""Docstrings name functions by Sphinx roles and equations by their section; here both become links of the site."""

from __future__ import annotations

import pydoc
import re
from types import ModuleType
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?(\.?[\w.]+)`")
SECTION = re.compile(r"docs/model\.md §(\d)")


class Links(Extension):
    """Turn ``:func:`name``` and ``docs/model.md §1`` into references.

    What exists becomes a link if the reference has it, else stays code; a name of nothing gives a warning.
    """

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object (an event of griffe)."""
        if obj.docstring is not None:
            value = ROLE.sub(lambda role: _link(role[1], obj.path), obj.docstring.value)
            obj.docstring.value = SECTION.sub(r"[docs/model.md §\1][model-\1]", value)


def _link(name: str, scope: str) -> str:
    """Return a link to what a name means in the docstring of `scope`: seen from there, or from a package around it."""
    while scope:
        if (found := pydoc.locate(f"{scope}.{name.removeprefix('.')}")) is not None:
            return f'<autoref optional identifier="{_full_name(found)}"><code>{name.strip(".")}</code></autoref>'
        scope = scope.rpartition(".")[0]
    if (found := pydoc.locate(name)) is not None:
        return f'<autoref optional identifier="{_full_name(found)}"><code>{name}</code></autoref>'
    return f"[`{name}`][{name}]"


def _full_name(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return thing.__name__
    thing = getattr(thing, "fget", thing)  # of a property
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
