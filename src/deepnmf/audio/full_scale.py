"""Full scale: the samples beyond it, and the highest one, of sound that is written in blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DeepnmfError
from .formats import AudioFormat
from .samples import UNBOUNDED


class Metered:
    """What a writer of blocks measures.

    Attributes
    ----------
    encoding : AudioFormat
        Encoding of what is written.
    clipped : int
        Samples above full scale, which were clipped.
    peak : float
        The largest magnitude.
    """

    encoding: AudioFormat
    clipped = 0
    peak = 0.0

    def measure(self, block: np.ndarray, shown: Path | str) -> None:
        """Count the next block ``(channels, n)``.

        Raises
        ------
        DeepnmfError
            If a sample is NaN or infinite, which PCM would turn into silence.
        """
        peak = float(np.abs(block).max())
        if not np.isfinite(peak):
            raise DeepnmfError(f"{shown}: not written, its samples would be NaN or infinite; is the model damaged?")
        self.peak = max(self.peak, peak)
        if peak > 1 and self.encoding.subtype not in UNBOUNDED:
            self.clipped += int((np.abs(block) > 1).sum())
