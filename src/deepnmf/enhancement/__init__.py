"""Enhancement of recordings and streams; needs NumPy and soundfile only, so that it starts fast."""

from .arrays import enhance_array
from .enhancer import Enhancer

__all__ = ["Enhancer", "enhance_array"]
