"""Speech enhancement with deep unfolded non-negative matrix factorisation."""

TYPE_CHECKING = False  # nothing is imported here: the command is not yet ready for Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from ._version import __version__ as __version__
    from .enhancement import Enhancer
    from .enhancement import enhance_array as enhance
    from .errors import DeepnmfError
    from .model import Model, load_model

__all__ = ["DeepnmfError", "Enhancer", "Model", "enhance", "load_model"]

_HOMES = {
    "DeepnmfError": ("errors", "DeepnmfError"),
    "Enhancer": ("enhancement", "Enhancer"),
    "Model": ("model", "Model"),
    "enhance": ("enhancement", "enhance_array"),
    "__version__": ("_version", "__version__"),
    "load_model": ("model", "load_model"),
}


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first used, so that `deepnmf --help` need not wait for NumPy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'deepnmf' has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
